/**
 * Why a public group does not take something. Each reason is the first rule that is broken, in the order: framing,
 * sender, proposals, roles, key packages, tree, signatures, GroupInfo, Welcome. The sentences are for people; programs
 * look at the reason.
 */
export const PUBLIC_GROUP_REFUSALS = {
  // framing
  malformed: 'this is not a well-formed MLSMessage',
  'wrong-suite': 'this cipher suite is not the group’s, or not one that this server takes',
  'wrong-group': 'a part of it is for another group',
  'wrong-epoch': 'it is for another epoch',
  'not-a-commit': 'this is not a PublicMessage with a commit',
  'not-a-proposal': 'this is not a PublicMessage with a proposal',
  // who
  'unknown-sender': 'the sender is no member of the group',
  'wrong-sender': 'the sender is not the leaf of the calling device',
  'bad-signature': 'the message is not signed by its sender',
  // proposals, RFC 9420 §12.2 and §12.4.3.2
  'unknown-proposal': 'the commit refers to a proposal that does not wait in this epoch',
  'uncovered-proposal': 'the commit leaves out a valid proposal that waits for one',
  'unsupported-proposal': 'proposals of this type are not taken here',
  'too-many-proposals': 'there are more proposals than are taken',
  'duplicate-proposal': 'the commit refers to a proposal twice',
  'conflicting-proposals': 'two of the proposals exclude each other',
  'update-by-committer': 'the commit contains an update of its own sender',
  'removes-committer': 'the commit removes its own sender',
  'unknown-leaf': 'a proposal is about a leaf where nobody sits',
  'already-member': 'a device would be in the group twice',
  'too-many-members': 'the group would have more members than this server takes',
  'external-init': 'an external commit has exactly one ExternalInit, and no other commit has any',
  'external-reference': 'an external commit refers to no proposals',
  'external-remove': 'an external commit removes its sender’s former leaf and nothing else',
  // roles
  forbidden: 'the role of who proposes this does not allow it',
  'join-closed': 'nobody joins this group without an invitation',
  'bad-roles': 'the roles are not well-formed, are dropped, or name an administrator who is no member',
  'no-administrator': 'the group would be left without an administrator',
  'unsupported-extension': 'a member does not support what the group asks for',
  // key packages and leaves
  'bad-key-package': 'an added key package is not valid',
  'unclaimed-key-package': 'an added key package was not claimed for this group by way of this server',
  'bad-leaf': 'a leaf is not well-formed',
  'bad-leaf-signature': 'a leaf is not signed by its own key',
  'identity-changed': 'a leaf’s credential is of another device than before',
  'unknown-signature-key': 'a leaf’s signature key is none that its device registered',
  'key-not-new': 'a new leaf has the encryption key of the old one',
  'duplicate-key': 'a key or an identity would be in the tree twice',
  // tree
  'bad-tree': 'the ratchet tree is missing, or not one that the group could have',
  'path-missing': 'this commit needs an update path',
  'bad-path': 'the update path does not fit the tree',
  'bad-parent-hash': 'the parent hashes are not those that follow from the tree',
  'wrong-tree-hash': 'the GroupInfo states another tree than the group will have',
  // GroupInfo and Welcome
  'bad-group-info': 'the GroupInfo is not well-formed, or not of this group and the new epoch',
  'wrong-transcript-hash': 'the GroupInfo states another transcript than the commit makes',
  'wrong-extensions': 'the GroupInfo states other extensions than the group will have',
  'wrong-confirmation-tag': 'the GroupInfo has another confirmation tag than the commit',
  'wrong-signer': 'the GroupInfo is not signed by the committer’s leaf',
  'bad-group-info-signature': 'the signature of the GroupInfo is wrong',
  'external-pub-missing': 'the GroupInfo has no external public key',
  'welcome-missing': 'members are added without a Welcome',
  'welcome-unexpected': 'there is a Welcome, but nobody is added',
  'welcome-mismatch': 'the Welcome is not for exactly the added key packages',
  // opaque groups
  'not-a-private-commit': 'the handshakes of this group are private: a commit is a PrivateMessage',
  'not-a-private-proposal': 'the handshakes of this group are private: a proposal is a PrivateMessage',
  'roster-missing': 'the handshakes of this group are private: the commit’s changes of the roster have to be declared',
  'roster-unexpected': 'the server reads the roster of this group out of its commits; none is declared',
  'roster-mismatch': 'the declared changes of the roster are not ones that this commit can make',
} as const;

export type PublicGroupRefusal = keyof typeof PUBLIC_GROUP_REFUSALS;

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
