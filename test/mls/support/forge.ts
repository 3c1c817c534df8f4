import { encodeMlsMessage, type GroupInfo, type Proposal, type PublicMessage } from 'ts-mls';
import type { Commit } from 'ts-mls/commit.js';
import { createContentCommitSignature } from 'ts-mls/framedContent.js';
import { signGroupInfo } from 'ts-mls/groupInfo.js';
import { type LeafNodeCommit, signLeafNodeCommit } from 'ts-mls/leafNode.js';
import { protectProposalPublic } from 'ts-mls/messageProtectionPublic.js';
import type { Sender } from 'ts-mls/sender.js';
import { decodeMessage } from '../../../src/mls/encoding/decode.ts';
import { type GroupState, unwrap } from '../../../src/mls/session/state.ts';
import type { Suite } from '../../../src/mls/suite.ts';

/** A commit of a member who lies: its content changed and signed again, so that only the server's rules can refuse it. */
export async function resigned(
  suite: Suite,
  state: GroupState,
  commit: Uint8Array,
  change: (commit: Commit) => Commit,
  sender?: Sender,
): Promise<Uint8Array> {
  const message = publicMessageIn(commit);
  const { content, auth } = message;
  if (content.contentType !== 'commit' || auth.contentType !== 'commit') throw new Error('not a commit');
  const { groupContext, signaturePrivateKey } = unwrap(state);
  const { framedContent, signature } = await createContentCommitSignature(
    groupContext,
    'mls_public_message',
    change(content.commit),
    sender ?? content.sender,
    content.authenticatedData,
    signaturePrivateKey,
    suite.signature,
  );
  const forged = { ...message, content: framedContent, auth: { ...auth, signature } } as PublicMessage;
  return encodeMlsMessage({ version: 'mls10', wireformat: 'mls_public_message', publicMessage: forged });
}

/** The leaf of an update path, changed and signed again. */
export async function resignedLeaf(
  suite: Suite,
  state: GroupState,
  commit: Commit,
  change: (leaf: LeafNodeCommit) => LeafNodeCommit,
): Promise<Commit> {
  const { groupContext, privatePath, signaturePrivateKey } = unwrap(state);
  const leaf = change(commit.path!.leafNode);
  const tbs = { ...leaf, groupId: groupContext.groupId, leafIndex: privatePath.leafIndex };
  const leafNode = await signLeafNodeCommit(tbs, signaturePrivateKey, suite.signature);
  return { ...commit, path: { ...commit.path!, leafNode } };
}

/** A GroupInfo changed and signed again. */
export async function resignedGroupInfo(
  suite: Suite,
  state: GroupState,
  groupInfo: Uint8Array,
  change: (groupInfo: GroupInfo) => GroupInfo,
): Promise<Uint8Array> {
  const decoded = decodeMessage(groupInfo);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_group_info') throw new Error('no GroupInfo');
  const tbs = change(decoded.message.groupInfo);
  const forged = await signGroupInfo(tbs, unwrap(state).signaturePrivateKey, suite.signature);
  return encodeMlsMessage({ version: 'mls10', wireformat: 'mls_group_info', groupInfo: forged });
}

/** Any proposal, signed by a member. */
export async function proposed(suite: Suite, state: GroupState, proposal: Proposal): Promise<Uint8Array> {
  const { signaturePrivateKey, keySchedule, groupContext, privatePath } = unwrap(state);
  const { publicMessage } = await protectProposalPublic(
    signaturePrivateKey,
    keySchedule.membershipKey,
    groupContext,
    new Uint8Array(0),
    proposal,
    privatePath.leafIndex,
    suite,
  );
  return encodeMlsMessage({ version: 'mls10', wireformat: 'mls_public_message', publicMessage });
}

export function publicMessageIn(bytes: Uint8Array): PublicMessage {
  const decoded = decodeMessage(bytes);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_public_message') throw new Error('not public');
  return decoded.message.publicMessage;
}
