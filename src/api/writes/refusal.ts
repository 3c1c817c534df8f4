import { ProblemError } from '../../wire/problems.ts';

/** Why a commit, a proposal or the first GroupInfo is refused; `reason` of the problem. */
const REFUSALS = {
  'malformed-commit': 'the commit is not a well-formed PublicMessage with a commit',
  'malformed-proposal': 'the proposal is not a well-formed PublicMessage with a proposal',
  'malformed-welcome': 'the Welcome is not well-formed',
  'malformed-group-info': 'the GroupInfo is not well-formed',
  'wrong-group': 'a part of it is for another group',
  'wrong-epoch': 'a part of it is for another epoch',
  'wrong-suite': 'this cipher suite is not the group’s, or not one that this server takes',
  'wrong-sender': 'the sender is not the leaf of the calling device',
  'wrong-signer': 'the GroupInfo is not signed by the committer’s leaf',
  'wrong-identity': 'a leaf’s credential is not of the device it should be of',
  'wrong-roster': 'the tree in the GroupInfo has other members than the group will have',
  'wrong-roles': 'the GroupInfo states other roles than the group will have',
  'unknown-signature-key': 'a leaf’s signature key is none that its device registered',
  'unknown-proposal': 'the commit refers to a proposal that is not in the log',
  'unsupported-proposal': 'proposals of this type are not taken',
  'proposal-not-covered': 'the commit leaves out a valid proposal that waits for one',
  'path-missing': 'this commit needs an update path',
  'impossible-roster': 'the commit names a leaf where nobody sits, or one twice',
  'invalid-roles': 'the roles are not well-formed, or name an administrator who is no member',
  'not-allowed': 'the caller’s role does not allow this',
  'last-admin': 'the group would be left without an administrator',
  'package-not-claimed': 'an added key package was not claimed for this group by way of this server',
  'unknown-device': 'an added leaf is of no registered device',
  'duplicate-member': 'a device would be in the group twice',
  'duplicate-key': 'a signature key would be in the group twice',
  'welcome-missing': 'members are added without a Welcome',
  'welcome-unexpected': 'there is a Welcome, but nobody is added',
  'welcome-mismatch': 'the Welcome is not for exactly the added key packages',
  'tree-missing': 'the GroupInfo has no ratchet tree',
  'external-pub-missing': 'the GroupInfo has no external public key',
  'too-many-members': 'the group would have more members than this server takes',
  'resync-expected': 'an external commit of a member removes its own former leaf and nothing else',
} as const;

export type Refusal = keyof typeof REFUSALS;

export function invalidCommit(reason: Refusal): ProblemError {
  return new ProblemError('invalid-commit', REFUSALS[reason], { members: { reason } });
}
