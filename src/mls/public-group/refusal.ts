/**
 * Why a public group does not take something. Each reason is the first rule that is broken, in the order: framing,
 * sender, proposals, roles, key packages, tree, signatures, GroupInfo, Welcome.
 */
export type PublicGroupRefusal =
  // framing
  | 'malformed'
  | 'wrong-suite'
  | 'wrong-group'
  | 'wrong-epoch'
  | 'not-a-commit'
  | 'not-a-proposal'
  // who
  | 'unknown-sender'
  | 'wrong-sender'
  | 'bad-signature'
  // proposals, RFC 9420 §12.2 and §12.4.3.2
  | 'unknown-proposal'
  | 'uncovered-proposal'
  | 'unsupported-proposal'
  | 'too-many-proposals'
  | 'duplicate-proposal'
  | 'conflicting-proposals'
  | 'update-by-committer'
  | 'removes-committer'
  | 'unknown-leaf'
  | 'already-member'
  | 'too-many-members'
  | 'external-init'
  | 'external-reference'
  | 'external-remove'
  // roles
  | 'forbidden'
  | 'join-closed'
  | 'bad-roles'
  | 'no-administrator'
  | 'unsupported-extension'
  // key packages and leaves
  | 'bad-key-package'
  | 'unclaimed-key-package'
  | 'bad-leaf'
  | 'bad-leaf-signature'
  | 'identity-changed'
  | 'unknown-signature-key'
  | 'key-not-new'
  | 'duplicate-key'
  // tree
  | 'bad-tree'
  | 'path-missing'
  | 'bad-path'
  | 'bad-parent-hash'
  | 'wrong-tree-hash'
  // GroupInfo and Welcome
  | 'bad-group-info'
  | 'wrong-transcript-hash'
  | 'wrong-extensions'
  | 'wrong-confirmation-tag'
  | 'wrong-signer'
  | 'bad-group-info-signature'
  | 'external-pub-missing'
  | 'welcome-missing'
  | 'welcome-unexpected'
  | 'welcome-mismatch';

/** The answer when something is not taken; the group stays as it was. */
export interface Refused {
  readonly kind: 'refused';
  readonly reason: PublicGroupRefusal;
  /** For the log of an operator; nothing secret in it. */
  readonly detail?: string;
}

export function refused(reason: PublicGroupRefusal, detail?: string): Refused {
  return detail === undefined ? { kind: 'refused', reason } : { kind: 'refused', reason, detail };
}

/** Whether a value of this folder is a refusal. */
export function isRefused(value: object): value is Refused {
  return 'kind' in value && value.kind === 'refused';
}
