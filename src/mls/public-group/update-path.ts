import type { RatchetTree } from 'ts-mls';
import { encodeParentHashInput } from 'ts-mls/parentHash.js';
import { resolution } from 'ts-mls/ratchetTree.js';
import {
  copath,
  directPath,
  leafToNodeIndex,
  leafWidth,
  left,
  type NodeIndex,
  right,
  toLeafIndex,
} from 'ts-mls/treemath.js';
import type { UpdatePath } from 'ts-mls/updatePath.js';
import { equalBytes } from '../../wire/bytes.ts';
import type { Sha256 } from '../../wire/ids.ts';
import { isUsableKemKey } from '../encoding/kem-key.ts';
import { type HashedTree, subtreeHash, subtreeHashWithout, withNodes } from './hashed-tree.ts';
import { type Refused, refused } from './refusal.ts';

/** A path secret of 32 bytes behind the tag of its AEAD. */
const SEALED_SECRET_BYTES = 48;
const NO_HASH = new Uint8Array(0);

/**
 * The tree after an update path (RFC 9420 §7.5, §12.4.2): its length is that of the filtered direct path, every node
 * has one ciphertext for each member of the copath's resolution who was there before the commit, and the parent hashes
 * that follow from it are the ones the new leaf was signed with.
 *
 * @param tree with the proposals applied; an external joiner's leaf already in its place
 * @param newLeaves leaves that the commit adds: they get the path secret in the Welcome instead
 */
export function applyPath(
  tree: HashedTree,
  committer: number,
  path: UpdatePath,
  newLeaves: readonly number[],
  sha256: Sha256,
): HashedTree | Refused {
  const leafNode = leafToNodeIndex(toLeafIndex(committer));
  const width = leafWidth(tree.nodes.length);
  const direct = directPath(leafNode, width);
  const sides = copath(leafNode, width);
  const excluded = new Set<number>(newLeaves.map((leaf) => leaf * 2));
  const steps = direct.flatMap((node, i) => {
    const receivers = resolution(tree.nodes, sides[i]!);
    return receivers.length === 0 ? [] : [{ node, side: sides[i]!, receivers }];
  });
  if (steps.length !== path.nodes.length) return refused('bad-path', 'a path of another length');
  for (const [i, { receivers }] of steps.entries()) {
    const { hpkePublicKey, encryptedPathSecret } = path.nodes[i]!;
    const expected = receivers.filter((node) => !excluded.has(node)).length;
    const isSealed = encryptedPathSecret.every(
      (sealed) => isUsableKemKey(sealed.kemOutput) && sealed.ciphertext.length === SEALED_SECRET_BYTES,
    );
    if (!isUsableKemKey(hpkePublicKey) || encryptedPathSecret.length !== expected || !isSealed) {
      return refused('bad-path', `node ${i} of the path`);
    }
  }

  if (isReused(tree.nodes, direct, path)) return refused('duplicate-key', 'a key that the path replaces');

  const nodes = tree.nodes.slice();
  for (const node of direct) nodes[node] = undefined;
  nodes[leafNode] = { nodeType: 'leaf', leaf: path.leafNode };
  let parentHash: Uint8Array = NO_HASH;
  for (let i = steps.length - 1; i >= 0; i -= 1) {
    const { node, side } = steps[i]!;
    const { hpkePublicKey } = path.nodes[i]!;
    nodes[node] = { nodeType: 'parent', parent: { hpkePublicKey, unmergedLeaves: [], parentHash } };
    // the copath does not change, so its hash in the tree before the path is the original sibling's
    const originalSiblingTreeHash = subtreeHash(tree, side, sha256);
    parentHash = sha256(encodeParentHashInput({ encryptionKey: hpkePublicKey, parentHash, originalSiblingTreeHash }));
  }
  if (path.leafNode.leafNodeSource !== 'commit') return refused('bad-leaf', 'the leaf of a path is of another source');
  if (!equalBytes(path.leafNode.parentHash, parentHash)) return refused('bad-parent-hash');
  return withNodes(tree, nodes);
}

/**
 * RFC 9420 §12.4.2: no key of the path appears in the tree that it is applied to, also not in a node that it replaces. All other nodes
 * are compared with the finished tree.
 */
function isReused(nodes: RatchetTree, direct: readonly NodeIndex[], path: UpdatePath): boolean {
  const replaced = direct.flatMap((index) => {
    const node = nodes[index];
    return node?.nodeType === 'parent' ? [node.parent.hpkePublicKey] : [];
  });
  const fresh = [path.leafNode.hpkePublicKey, ...path.nodes.map(({ hpkePublicKey }) => hpkePublicKey)];
  return fresh.some((key) => replaced.some((old) => equalBytes(old, key)));
}

/**
 * Whether every parent of the tree can be shown to come from somebody below it (RFC 9420 §7.9.2). For a tree that
 * comes from outside; a tree kept up by commits has it by construction.
 */
export function areParentHashesValid(tree: HashedTree, sha256: Sha256): boolean {
  return tree.nodes.every(
    (node, index) => node?.nodeType !== 'parent' || isParentHashValid(tree, index as NodeIndex, sha256),
  );
}

function isParentHashValid(tree: HashedTree, index: NodeIndex, sha256: Sha256): boolean {
  const node = tree.nodes[index];
  if (node?.nodeType !== 'parent') return false;
  const { hpkePublicKey: encryptionKey, parentHash, unmergedLeaves } = node.parent;
  const sides = [
    [left(index), right(index)],
    [right(index), left(index)],
  ] as const;
  return sides.some(([child, sibling]) => {
    const below = resolution(tree.nodes, child);
    const unmerged = below.filter((member) => member % 2 === 0 && unmergedLeaves.includes(member / 2));
    // one of the resolution made this node; all others came later, so they are unmerged here
    if (below.length !== unmerged.length + 1) return false;
    const maker = below.find((member) => !unmerged.includes(member))!;
    const originalSiblingTreeHash = subtreeHashWithout(tree, sibling, unmergedLeaves, sha256);
    const expected = sha256(encodeParentHashInput({ encryptionKey, parentHash, originalSiblingTreeHash }));
    const stated = parentHashOf(tree.nodes, maker);
    return stated !== undefined && equalBytes(stated, expected);
  });
}

function parentHashOf(nodes: RatchetTree, index: NodeIndex): Uint8Array | undefined {
  const node = nodes[index];
  if (node?.nodeType === 'parent') return node.parent.parentHash;
  return node?.leaf.leafNodeSource === 'commit' ? node.leaf.parentHash : undefined;
}
