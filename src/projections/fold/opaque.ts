import type { OpaqueCommitAccepted, OpaqueGroupCreated } from '../../log/events.ts';
import { nameLane } from '../../log/subjects.ts';
import type { GroupRoles } from '../../mls/roles.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { isRevoked } from './commits.ts';
import type { Draft } from './draft.ts';
import { turnEpoch } from './epoch-turn.ts';
import { createGroupState, type DeclaredMember, type GroupState } from './group-state.ts';
import type { Handshakes } from './handshakes.ts';
import { dropped, type Place, placed, placeEntry, placeOf, type Result } from './place.ts';
import { epochStarts, groupInfos, groups, names } from './rows.ts';
import { openWindow } from './windows.ts';

/**
 * A group whose handshakes only its members can read. Its roster begins with its creator and goes on with what
 * committers declare; everything else (one commit an epoch, windows, Welcomes) is as in any group.
 */
export function foldOpaqueGroupCreated(
  draft: Draft,
  event: OpaqueGroupCreated,
  place: Place,
  handshakes: Handshakes,
): Result {
  const hash = event.name === undefined ? undefined : nameLane('group', event.name).hash;
  if (draft.get(groups, event.group) !== undefined) return dropped('already-exists', 'a group with this id exists');
  if (hash !== undefined && draft.get(names, hash) !== undefined) {
    return dropped('name-taken', 'another group has this name');
  }
  const name = event.name === undefined ? {} : { name: event.name };
  const id = event.group.slice(); // what is read from the log shares memory with its batch
  const founder: GroupRoles = { admins: [event.account], invite: 'admins', join: 'invite' };
  const state = createGroupState({
    no: draft.counters.groups + 1,
    id,
    ...name,
    epoch: 0,
    roles: statedRoles(event, 0, founder, handshakes),
    roster: [],
    declared: [{ account: event.account, device: event.device }],
  });
  draft.newGroupNo();
  draft.put(groups, event.group, state);
  if (event.groupInfo !== undefined) draft.put(groupInfos, { group: state.no, epoch: 0 }, event.groupInfo);
  draft.put(epochStarts, { group: state.no, epoch: 0 }, 1);
  if (hash !== undefined) draft.put(names, hash, id);
  const head = placeEntry(draft, state, place, (position) => ({
    kind: 'group-created',
    ...placeOf(event, position),
    payload: { ...name, handshakes: 'private' },
  }));
  openWindow(draft, state.no, event.device, head);
  return placed(state, head);
}

/** A commit of the current epoch by a member ends it (D1). What it declares has to fit the roster as declared so far. */
export function foldOpaqueCommitAccepted(
  draft: Draft,
  event: OpaqueCommitAccepted,
  place: Place,
  handshakes: Handshakes,
): Result {
  const before = draft.get(groups, event.group);
  if (before === undefined) return dropped('not-found', 'no such group');
  if (before.declared === undefined) return dropped('invalid-commit', 'the group is not opaque');
  if (event.epoch !== before.epoch) return dropped('epoch-conflict', 'another commit has ended this epoch');
  if (!before.leaves.has(event.device)) return dropped('forbidden', 'the commit is not from a member');
  if (isRevoked(draft, event.device)) return dropped('forbidden', 'the device was revoked');
  if (event.added.some(({ device }) => isRevoked(draft, device))) {
    return dropped('invalid-commit', 'the commit adds a device that was revoked');
  }
  const declared = nextRoster(before.declared, event);
  if (typeof declared === 'string') return dropped('invalid-commit', declared);
  const epoch = before.epoch + 1;
  const roles = statedRoles(event, epoch, before.roles, handshakes);
  const after = createGroupState({ ...before, epoch, roles, declared });

  const joinedByWelcome = event.added.map(({ device }) => device);
  const head = placeEntry(draft, after, place, (position) => ({
    kind: 'commit',
    ...placeOf(event, position),
    epoch: event.epoch,
    payload: event.commit,
    roster: { added: joinedByWelcome, removed: event.removed },
  }));
  turnEpoch(draft, event, { before, after, head, joinedByWelcome, place });
  return placed(after, head);
}

type Declared = NonNullable<GroupState['declared']>;

/** The roster as declared, or why it cannot be. Who comes takes the first free place, so that places stay few. */
function nextRoster(declared: Declared, { added, removed, device }: OpaqueCommitAccepted): Declared | string {
  const next: (DeclaredMember | null)[] = [...declared];
  for (const gone of removed) {
    const index = next.findIndex((member) => member?.device === gone);
    if (index === -1) return 'the commit removes somebody who is no member';
    if (gone === device) return 'a committer cannot remove itself';
    next[index] = null;
  }
  for (const come of added) {
    if (next.some((member) => member?.device === come.device)) return 'the commit adds somebody twice';
    const free = next.indexOf(null);
    next[free === -1 ? next.length : free] = { account: come.account, device: come.device };
  }
  while (next.at(-1) === null) next.pop();
  return next;
}

/**
 * The roles that a GroupInfo states, taken on trust: they say whom to ask for an invitation, and open nothing. Without
 * one the last ones stay.
 */
function statedRoles(
  event: { readonly group: Uint8Array; readonly groupInfo?: Uint8Array },
  epoch: number,
  before: GroupRoles,
  handshakes: Handshakes,
): GroupRoles {
  const info = event.groupInfo === undefined ? undefined : handshakes.groupInfo(event.groupInfo);
  if (info?.roles === undefined || info.epoch !== epoch || !equalBytes(info.groupId, event.group)) return before;
  return { ...info.roles, join: 'invite' };
}
