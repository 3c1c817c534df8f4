import type { CommitAccepted } from '../../log/events.ts';
import type { CommitSummary } from '../../mls/handshake.ts';
import { parseIdentity } from '../../mls/identity.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { DeviceId, Position } from '../../wire/ids.ts';
import type { Draft } from './draft.ts';
import { frameEntry } from './entry-row.ts';
import { createGroupState, type GroupState } from './group-state.ts';
import type { Handshakes } from './handshakes.ts';
import { inboxKey } from './keys.ts';
import { dropped, type Place, placed, placeEntry, placeOf, type Result } from './place.ts';
import { epochStarts, type GroupHead, groupInfos, groups, pendingProposals, unusedWelcomes } from './rows.ts';
import { pruneWelcomes, replaceWelcomes } from './trees.ts';
import { closeWindow, openWindow } from './windows.ts';

/**
 * A commit of the current epoch, by a member or an external joiner, ends that epoch; any other is dropped (D1). All it
 * brings takes effect at one place: roster, roles, windows, and after it the Welcomes, so that no Welcome is readable
 * before its commit (D2).
 */
export function foldCommitAccepted(draft: Draft, event: CommitAccepted, place: Place, handshakes: Handshakes): Result {
  const before = draft.get(groups, event.group);
  if (before === undefined) return dropped('not-found', 'no such group');
  if (event.epoch !== before.epoch) return dropped('epoch-conflict', 'another commit has ended this epoch');
  const commit = handshakes.commit(event.commit, draft.get(pendingProposals, before.no) ?? []);
  if (commit.kind === 'malformed') return dropped('invalid-commit', commit.reason);
  if (!equalBytes(commit.groupId, event.group) || commit.epoch !== event.epoch) {
    return dropped('invalid-commit', 'the commit is of another group or epoch');
  }
  if (commit.unknownRefs.length > 0)
    return dropped('invalid-commit', 'the commit refers to a proposal nobody has seen');
  if (committerOf(before, commit) !== event.device) return dropped('forbidden', 'the commit is not from this member');
  const folded = handshakes.foldRoster(before.roster, commit);
  if (folded.kind === 'impossible') return dropped('invalid-commit', folded.reason);
  const after = createGroupState({
    ...before,
    epoch: before.epoch + 1,
    roles: commit.roles ?? before.roles,
    roster: folded.roster,
  });
  if (folded.added.some(({ leaf }) => after.members[leaf] === undefined)) {
    return dropped('invalid-commit', 'the commit adds somebody without an identity');
  }

  const head = placeEntry(draft, after, place, (position) => ({
    kind: 'commit',
    ...placeOf(event, position),
    epoch: event.epoch,
    payload: event.commit,
  }));
  draft.put(groups, event.group, after);
  draft.put(epochStarts, { group: after.no, epoch: after.epoch }, head.position + 1);
  draft.remove(pendingProposals, after.no);
  moveWindows(draft, before, after, head);
  const joinedByWelcome = folded.added
    .filter(({ leaf }) => commit.sender.kind === 'member' || leaf !== folded.committer)
    .map(({ leaf }) => after.members[leaf]!.device);
  keepTrees(draft, event, before, after, joinedByWelcome);
  if (event.welcome !== undefined) placeWelcomes(draft, event, event.welcome, after, head, joinedByWelcome, place);
  return placed(after, head);
}

/** The device whose leaf sent the commit; of an external commit, the one that its new leaf speaks for. */
function committerOf(state: GroupState, commit: CommitSummary): DeviceId | undefined {
  switch (commit.sender.kind) {
    case 'member':
      return state.members[commit.sender.leaf]?.device;
    case 'new-member-commit':
      return commit.committer === undefined ? undefined : parseIdentity(commit.committer.identity)?.device;
    case 'external':
    case 'new-member-proposal':
      return undefined;
    default:
      return commit.sender satisfies never;
  }
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
  event: CommitAccepted,
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
  const fresh = [...joined].map((device) => ({ device, epoch, time: event.time }));
  const kept = pruneWelcomes([...still, ...fresh], event.time);
  draft.put(groupInfos, { group: after.no, epoch }, event.groupInfo);
  if (!kept.some((welcome) => welcome.epoch === before.epoch)) {
    draft.remove(groupInfos, { group: after.no, epoch: before.epoch });
  }
  replaceWelcomes(draft, after.no, epoch, old, kept);
}

/** One entry in the inbox of each device that was added, behind the commit in the order of everything. */
function placeWelcomes(
  draft: Draft,
  event: CommitAccepted,
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
