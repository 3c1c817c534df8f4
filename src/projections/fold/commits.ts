import type { CommitAccepted } from '../../log/events.ts';
import type { CommitSummary } from '../../mls/handshake.ts';
import { parseIdentity } from '../../mls/identity.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { DeviceId } from '../../wire/ids.ts';
import type { Draft } from './draft.ts';
import { turnEpoch } from './epoch-turn.ts';
import { createGroupState, type GroupState } from './group-state.ts';
import type { Handshakes } from './handshakes.ts';
import { dropped, type Place, placed, placeEntry, placeOf, type Result } from './place.ts';
import { devices, groups, pendingProposals } from './rows.ts';

/**
 * A commit of the current epoch, by a member or an external joiner, ends that epoch; any other is dropped (D1). All it
 * brings takes effect at one place: roster, roles, windows, and after it the Welcomes, so that no Welcome is readable
 * before its commit (D2).
 */
export function foldCommitAccepted(draft: Draft, event: CommitAccepted, place: Place, handshakes: Handshakes): Result {
  const before = draft.get(groups, event.group);
  if (before === undefined) return dropped('not-found', 'no such group');
  if (before.declared !== undefined) return dropped('invalid-commit', 'the group is opaque');
  if (event.epoch !== before.epoch) return dropped('epoch-conflict', 'another commit has ended this epoch');
  const commit = handshakes.commit(event.commit, draft.get(pendingProposals, before.no) ?? []);
  if (commit.kind === 'malformed') return dropped('invalid-commit', commit.reason);
  if (!equalBytes(commit.groupId, event.group) || commit.epoch !== event.epoch) {
    return dropped('invalid-commit', 'the commit is of another group or epoch');
  }
  if (commit.unknownRefs.length > 0)
    return dropped('invalid-commit', 'the commit refers to a proposal nobody has seen');
  if (committerOf(before, commit) !== event.device) return dropped('forbidden', 'the commit is not from this member');
  // a revocation that came first counts, whatever was known when the commit was let in: members rely on it
  if (isRevoked(draft, event.device)) return dropped('forbidden', 'the device was revoked');
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
  if (folded.added.some(({ leaf }) => isRevoked(draft, after.members[leaf]!.device))) {
    return dropped('invalid-commit', 'the commit adds a device that was revoked');
  }

  const head = placeEntry(draft, after, place, (position) => ({
    kind: 'commit',
    ...placeOf(event, position),
    epoch: event.epoch,
    payload: event.commit,
  }));
  const joinedByWelcome = folded.added
    .filter(({ leaf }) => commit.sender.kind === 'member' || leaf !== folded.committer)
    .map(({ leaf }) => after.members[leaf]!.device);
  turnEpoch(draft, event, { before, after, head, joinedByWelcome, place });
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

/** Whether its account has taken this device out. */
export function isRevoked(draft: Draft, device: DeviceId): boolean {
  return draft.get(devices, device)?.revoked === true;
}
