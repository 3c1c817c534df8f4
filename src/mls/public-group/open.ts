import type { GroupInfo } from 'ts-mls';
import { verifyGroupInfoSignature } from 'ts-mls/groupInfo.js';
import { verifyLeafNodeSignatureKeyPackage } from 'ts-mls/leafNode.js';
import { directPath, leafWidth, toNodeIndex } from 'ts-mls/treemath.js';
import { equalBytes } from '../../wire/bytes.ts';
import type { Sha256 } from '../../wire/ids.ts';
import { decodeMessage } from '../encoding/decode.ts';
import { decodeTree } from '../encoding/tree-codec.ts';
import { rolesIn } from '../framing.ts';
import { hasExternalPub } from './bundle.ts';
import { leafCheck, runChecks, type SignatureCheck } from './commit.ts';
import { contextExtensionsRefusal } from './context-extensions.ts';
import { conceal, type GroupData, leafNodeAt, memberOf, membersOfTree, type PublicGroup } from './group.ts';
import { createHashedTree, treeHashOf } from './hashed-tree.ts';
import { leafRefusal, newLeafRefusal, uniquenessRefusal } from './leaf-rules.ts';
import { administratorRefusal } from './policy.ts';
import { isRefused, type Refused, refused } from './refusal.ts';
import { areParentHashesValid } from './update-path.ts';
import type { CommitRules, Verifier } from './verify.ts';

export interface OpenedGroup {
  readonly kind: 'opened';
  readonly group: PublicGroup;
}

/**
 * The public state of a group from its GroupInfo and ratchet tree, every leaf's signature, the parent hashes, the tree
 * hash and the GroupInfo's signature verified (RFC 9420 §12.4.3.1 as far as it needs no secrets).
 *
 * @param source `tree` is used when the GroupInfo carries none
 */
export async function openPublicGroup(
  { suite, sha256 }: Verifier,
  source: { readonly groupInfo: Uint8Array; readonly tree?: Uint8Array },
): Promise<OpenedGroup | Refused> {
  const opened = openUnverified(source, sha256);
  if (isRefused(opened)) return opened;
  if (opened.data.context.cipherSuite !== suite.name) return refused('wrong-suite');
  const unsigned = await runChecks(suite, signatureChecks(opened));
  return unsigned ?? { kind: 'opened', group: conceal(opened.data) };
}

/**
 * The same without signatures, synchronous: for a reducer, from a GroupInfo that was verified when it was accepted.
 */
export function foldGroupInfo(
  source: { readonly groupInfo: Uint8Array; readonly tree?: Uint8Array },
  sha256: Sha256,
): OpenedGroup | Refused {
  const opened = openUnverified(source, sha256);
  return isRefused(opened) ? opened : { kind: 'opened', group: conceal(opened.data) };
}

/** A group that is just being created: epoch 0, its only member the caller, who is its administrator. */
export async function verifyNewGroup(
  verifier: Verifier,
  groupInfo: Uint8Array,
  rules: Pick<CommitRules, 'caller' | 'isSignatureKeyOf'>,
): Promise<OpenedGroup | Refused> {
  const opened = openUnverified({ groupInfo }, verifier.sha256);
  if (isRefused(opened)) return opened;
  const { context } = opened.data;
  if (context.epoch !== 0n || context.confirmedTranscriptHash.length > 0) return refused('wrong-epoch');
  const [member, ...others] = membersOfTree(opened.data);
  if (member === undefined || others.length > 0 || member.leaf !== 0) return refused('bad-tree', 'not a group of one');
  if (member.identity !== rules.caller) return refused('wrong-sender');
  if (rolesIn(context.extensions) === undefined) return refused('bad-roles');
  const founder = leafNodeAt(opened.data, member.leaf)!;
  const unsound =
    contextExtensionsRefusal(context.extensions) ??
    newLeafRefusal(founder, founder.leafNodeSource, context, context.extensions);
  if (unsound !== undefined) return unsound;
  const unadministered = administratorRefusal(context.extensions, [member.identity]);
  if (unadministered !== undefined) return unadministered;
  if (!hasExternalPub(opened.groupInfo)) return refused('external-pub-missing');
  if (!rules.isSignatureKeyOf(member.identity, member.signatureKey)) return refused('unknown-signature-key');
  return openPublicGroup(verifier, { groupInfo });
}

interface Unverified {
  readonly data: GroupData;
  readonly groupInfo: GroupInfo;
}

function openUnverified(
  source: { readonly groupInfo: Uint8Array; readonly tree?: Uint8Array },
  sha256: Sha256,
): Unverified | Refused {
  const decoded = decodeMessage(source.groupInfo);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_group_info') return refused('bad-group-info');
  const { groupInfo } = decoded.message;
  const { groupContext: context, confirmationTag, extensions } = groupInfo;
  const inside = extensions.find((extension) => extension.extensionType === 'ratchet_tree')?.extensionData;
  const treeBytes = inside ?? source.tree;
  if (treeBytes === undefined) return refused('bad-tree', 'there is none');
  const read = decodeTree(treeBytes);
  if ('malformed' in read) return refused('bad-tree', read.malformed);
  const tree = createHashedTree(read.tree);
  const data: GroupData = { context, confirmationTag, tree, pending: [] };
  return treeRefusal(data, groupInfo, sha256) ?? { data, groupInfo };
}

function treeRefusal(data: GroupData, groupInfo: GroupInfo, sha256: Sha256): Refused | undefined {
  const { tree, context } = data;
  for (const { leaf } of membersOfTree(data)) {
    const node = leafNodeAt(data, leaf)!;
    const refusal = leafRefusal(node, node.leafNodeSource, context.cipherSuite, context.extensions);
    if (refusal !== undefined) return refusal;
  }
  const duplicate = uniquenessRefusal(undefined, tree);
  if (duplicate !== undefined) return duplicate;
  for (const [index, node] of tree.nodes.entries()) {
    if (node?.nodeType === 'parent' && !areUnmergedSound(data, index, node.parent.unmergedLeaves)) {
      return refused('bad-tree', `unmerged leaves of node ${index}`);
    }
  }
  if (!equalBytes(treeHashOf(tree, sha256), context.treeHash)) return refused('wrong-tree-hash');
  if (!areParentHashesValid(tree, sha256)) return refused('bad-parent-hash');
  return memberOf(data, groupInfo.signer) === undefined ? refused('wrong-signer') : undefined;
}

/** RFC 9420 §12.4.3.1: an unmerged leaf is a member below the node, and unmerged in every node between. */
function areUnmergedSound({ tree }: GroupData, index: number, unmerged: readonly number[]): boolean {
  return unmerged.every((leaf) => {
    if (tree.nodes[leaf * 2] === undefined) return false;
    const path = directPath(toNodeIndex(leaf * 2), leafWidth(tree.nodes.length));
    const at = path.indexOf(toNodeIndex(index));
    const between = path.slice(0, Math.max(at, 0)).map((node) => tree.nodes[node]);
    return at >= 0 && between.every((node) => node?.nodeType !== 'parent' || node.parent.unmergedLeaves.includes(leaf));
  });
}

function signatureChecks({ data, groupInfo }: Unverified): SignatureCheck[] {
  const checks = membersOfTree(data).map(({ leaf }): SignatureCheck => {
    const node = leafNodeAt(data, leaf)!;
    if (node.leafNodeSource !== 'key_package') return leafCheck(node, data.context.groupId, leaf);
    return {
      reason: 'bad-leaf-signature',
      verify: ({ signature }) => verifyLeafNodeSignatureKeyPackage(node, signature),
    };
  });
  const signer = leafNodeAt(data, groupInfo.signer)!;
  const ofGroupInfo: SignatureCheck = {
    reason: 'bad-group-info-signature',
    verify: ({ signature }) => verifyGroupInfoSignature(groupInfo, signer.signaturePublicKey, signature),
  };
  return [...checks, ofGroupInfo];
}
