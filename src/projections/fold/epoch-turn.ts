import type { AccountId, DeviceId, Position } from '../../wire/ids.ts';
import type { Draft } from './draft.ts';
import { frameEntry } from './entry-row.ts';
import type { GroupState } from './group-state.ts';
import { inboxKey } from './keys.ts';
import type { Place } from './place.ts';
import { epochStarts, type GroupHead, groupInfos, groups, pendingProposals, unusedWelcomes } from './rows.ts';
import { pruneWelcomes, replaceWelcomes } from './trees.ts';
import { closeWindow, openWindow } from './windows.ts';

/** An accepted commit, as far as it does not matter whether its group is opaque. */
interface AcceptedBundle {
  readonly time: number;
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly welcome?: Uint8Array;
  readonly groupInfo?: Uint8Array;
}

interface EpochTurn {
  readonly before: GroupState;
  readonly after: GroupState;
  /** After the commit's entry. */
  readonly head: GroupHead;
  readonly joinedByWelcome: readonly DeviceId[];
  readonly place: Place;
}

/** Everything that a commit brings beside its entry: the group's new row, windows, trees, and last the Welcomes (D2). */
export function turnEpoch(draft: Draft, event: AcceptedBundle, turn: EpochTurn): void {
  const { before, after, head, joinedByWelcome, place } = turn;
  draft.put(groups, after.id, after);
  draft.put(epochStarts, { group: after.no, epoch: after.epoch }, head.position + 1);
  draft.remove(pendingProposals, after.no);
  moveWindows(draft, before, after, head);
  keepTrees(draft, event, before, after, joinedByWelcome);
  if (event.welcome !== undefined) placeWelcomes(draft, event, event.welcome, after, head, joinedByWelcome, place);
}

/** Who is a member before and after goes on reading, also when its leaf was replaced in between. */
function moveWindows(draft: Draft, before: GroupState, after: GroupState, head: GroupHead): void {
  for (const device of before.leaves.keys()) {
    if (!after.leaves.has(device)) closeWindow(draft, after.no, device, head);
  }
  for (const device of after.leaves.keys()) {
    if (!before.leaves.has(device)) openWindow(draft, after.no, device, head);
  }
}

function keepTrees(
  draft: Draft,
  event: AcceptedBundle,
  before: GroupState,
  after: GroupState,
  joinedByWelcome: readonly DeviceId[],
): void {
  const old = draft.get(unusedWelcomes, after.no) ?? [];
  const joined = new Set(joinedByWelcome.map((device) => draft.deviceNo(device)));
  const members = new Set([...after.leaves.keys()].map((device) => draft.deviceNo(device)));
  const committer = draft.deviceNo(event.device);
  const still = old.filter(({ device }) => members.has(device) && !joined.has(device) && device !== committer);
  const { epoch } = after;
  // without a GroupInfo there is no tree to keep: whoever joins has it in the Welcome
  const fresh = event.groupInfo === undefined ? [] : [...joined].map((device) => ({ device, epoch, time: event.time }));
  const kept = pruneWelcomes([...still, ...fresh], event.time);
  if (event.groupInfo !== undefined) draft.put(groupInfos, { group: after.no, epoch }, event.groupInfo);
  if (!kept.some((welcome) => welcome.epoch === before.epoch)) {
    draft.remove(groupInfos, { group: after.no, epoch: before.epoch });
  }
  replaceWelcomes(draft, after.no, epoch, old, kept);
}

/** One entry in the inbox of each device that was added, behind the commit in the order of everything. */
function placeWelcomes(
  draft: Draft,
  event: AcceptedBundle,
  welcome: Uint8Array,
  state: GroupState,
  head: GroupHead,
  added: readonly DeviceId[],
  place: Place,
): void {
  const framed = frameEntry({
    kind: 'welcome',
    time: event.time,
    sender: event.device,
    payload: {
      group: state.id,
      ...(state.name === undefined ? {} : { name: state.name }),
      ...(state.declared === undefined ? {} : { handshakes: 'private' }),
      position: head.position as Position,
      head: head.hash,
      epoch: state.epoch,
      inviter: event.account,
      welcome,
    },
  });
  for (const device of added) {
    draft.append(inboxKey(draft.deviceNo(device), place.sequence, place.index), framed);
    draft.touchedDevices.add(device);
    place.index += 1;
  }
}
