import { PUBLIC_GROUP_REFUSALS, type PublicGroupRefusal } from '../../mls/public-group/refusal.ts';
import { ProblemError } from '../../wire/problems.ts';

/** A commit, a proposal or the first GroupInfo is refused; `reason` of the problem says why. */
export function invalidCommit(reason: PublicGroupRefusal): ProblemError {
  return new ProblemError('invalid-commit', PUBLIC_GROUP_REFUSALS[reason], { members: { reason } });
}

/**
 * What newer tables could hold that a refusal would not have been spoken by:
 *
 * - `nothing`: it stands on the bytes, on limits, on the clock, or on the group as its epoch began. A handshake of another epoch is never
 *   judged by this one, so whatever the log holds beside it, these bytes are not valid
 * - `group`: on who is a member, or on which proposals wait in the epoch
 * - `tables`: on devices or claims as well, which change without the group
 */
export type StandsOn = 'nothing' | 'group' | 'tables';

const STANDS_ON = {
  // the bytes alone
  malformed: 'nothing',
  'wrong-suite': 'nothing',
  'wrong-group': 'nothing',
  'not-a-commit': 'nothing',
  'not-a-proposal': 'nothing',
  'not-a-private-commit': 'nothing',
  'not-a-private-proposal': 'nothing',
  'unsupported-proposal': 'nothing',
  'duplicate-proposal': 'nothing',
  'conflicting-proposals': 'nothing',
  'external-init': 'nothing',
  'external-reference': 'nothing',
  'roster-missing': 'nothing',
  'roster-unexpected': 'nothing',
  // the declared changes beside each other, not beside the group's roster
  'roster-mismatch': 'nothing',
  // the epoch is compared before: another one is an `epoch-conflict`
  'wrong-epoch': 'nothing',
  // the same question as `not-found` and `forbidden` about a group, which is asked on the newest tables, too
  'unknown-sender': 'group',
  // a leaf keeps its device, and its key, for as long as the epoch lasts
  'wrong-sender': 'nothing',
  'bad-signature': 'nothing',
  // it may wait by now
  'unknown-proposal': 'group',
  // a commit may have taken it, perhaps this very one; or its device is revoked, and it is valid no more
  'uncovered-proposal': 'tables',
  // a commit may hold so many, and in an epoch those that wait become only more
  'too-many-proposals': 'nothing',
  // the tree as the epoch began, and what the bytes make of it
  'update-by-committer': 'nothing',
  'removes-committer': 'nothing',
  'unknown-leaf': 'nothing',
  'already-member': 'nothing',
  'too-many-members': 'nothing',
  'external-remove': 'nothing',
  'identity-changed': 'nothing',
  'key-not-new': 'nothing',
  // or a proposal that waits has the key: it goes on waiting for as long as the epoch lasts
  'duplicate-key': 'nothing',
  // any member may remove a device that is revoked
  forbidden: 'tables',
  // the roles and the members as the epoch began
  'join-closed': 'nothing',
  'bad-roles': 'nothing',
  'no-administrator': 'nothing',
  'unsupported-extension': 'nothing',
  // its form, its signature and its time
  'bad-key-package': 'nothing',
  // claimed, or registered, at another node
  'unclaimed-key-package': 'tables',
  'unknown-signature-key': 'tables',
  // leaves, the tree, GroupInfo and Welcome: the bytes and the epoch
  'bad-leaf': 'nothing',
  'bad-leaf-signature': 'nothing',
  'bad-tree': 'nothing',
  'path-missing': 'nothing',
  'bad-path': 'nothing',
  'bad-parent-hash': 'nothing',
  'wrong-tree-hash': 'nothing',
  'bad-group-info': 'nothing',
  'wrong-transcript-hash': 'nothing',
  'wrong-extensions': 'nothing',
  'wrong-confirmation-tag': 'nothing',
  'wrong-signer': 'nothing',
  'bad-group-info-signature': 'nothing',
  'external-pub-missing': 'nothing',
  'welcome-missing': 'nothing',
  'welcome-unexpected': 'nothing',
  'welcome-mismatch': 'nothing',
} as const satisfies Record<PublicGroupRefusal, StandsOn>;

/** @param reason of an `invalid-commit` */
export function standsOn(reason: unknown): StandsOn {
  return typeof reason === 'string' && Object.hasOwn(STANDS_ON, reason)
    ? STANDS_ON[reason as PublicGroupRefusal]
    : 'nothing';
}
