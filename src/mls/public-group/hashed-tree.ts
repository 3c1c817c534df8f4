import type { RatchetTree } from 'ts-mls';
import { encodeLeafNodeHashInput, encodeParentNodeHashInput } from 'ts-mls/treeHash.js';
import { isLeaf, leafWidth, left, type NodeIndex, parent, right, root, toNodeIndex } from 'ts-mls/treemath.js';
import type { Sha256 } from '../../wire/ids.ts';

/**
 * A ratchet tree with the hashes of its subtrees (RFC 9420 §7.8). A value, except that hashes are filled in when they
 * are first asked for. {@link withNodes} keeps every hash whose subtree did not change, so that a commit costs the
 * hashes along its path and not those of the whole group.
 */
export interface HashedTree {
  readonly nodes: RatchetTree;
  /** By node index. */
  readonly hashes: (Uint8Array | undefined)[];
}

export function createHashedTree(nodes: RatchetTree): HashedTree {
  return { nodes, hashes: new Array<Uint8Array | undefined>(nodes.length).fill(undefined) };
}

/**
 * The same tree with other nodes. What changed is seen by identity, because no node is ever changed in place. A tree
 * that grows or shrinks keeps the indices of all nodes that stay, so their hashes stay, too.
 */
export function withNodes(tree: HashedTree, nodes: RatchetTree): HashedTree {
  const hashes = tree.hashes.slice(0, nodes.length);
  while (hashes.length < nodes.length) hashes.push(undefined);
  const leaves = leafWidth(nodes.length);
  const top = root(leaves);
  for (let index = 0; index < Math.min(nodes.length, tree.nodes.length); index += 1) {
    if (nodes[index] === tree.nodes[index]) continue;
    let node = toNodeIndex(index);
    hashes[node] = undefined;
    while (node !== top) {
      node = parent(node, leaves);
      hashes[node] = undefined;
    }
  }
  return { nodes, hashes };
}

/** Tree hash of the subtree at a node. */
export function subtreeHash(tree: HashedTree, index: NodeIndex, sha256: Sha256): Uint8Array {
  const known = tree.hashes[index];
  if (known !== undefined) return known;
  const hash = nodeHash(tree.nodes, index, sha256, (child) => subtreeHash(tree, child, sha256));
  tree.hashes[index] = hash;
  return hash;
}

export function treeHashOf(tree: HashedTree, sha256: Sha256): Uint8Array {
  return subtreeHash(tree, root(leafWidth(tree.nodes.length)), sha256);
}

/**
 * Tree hash of a subtree as it was before some leaves were added (`original_sibling_tree_hash`, RFC 9420 §7.9): those
 * leaves blank and in nobody's unmerged leaves. Only subtrees that hold one of them are hashed anew.
 */
export function subtreeHashWithout(
  tree: HashedTree,
  index: NodeIndex,
  absent: readonly number[],
  sha256: Sha256,
): Uint8Array {
  const [first, last] = spanOf(index);
  const inside = absent.filter((leaf) => leaf >= first && leaf <= last);
  if (inside.length === 0) return subtreeHash(tree, index, sha256);
  const node = tree.nodes[index];
  const nodes: RatchetTree = [];
  nodes[index] =
    node?.nodeType === 'parent'
      ? {
          nodeType: 'parent',
          parent: {
            ...node.parent,
            unmergedLeaves: node.parent.unmergedLeaves.filter((leaf) => !inside.includes(leaf)),
          },
        }
      : undefined;
  return nodeHash(nodes, index, sha256, (child) => subtreeHashWithout(tree, child, inside, sha256));
}

/** First and last leaf below a node. */
function spanOf(index: NodeIndex): readonly [number, number] {
  let level = 0;
  while (((index >> level) & 1) === 1) level += 1;
  const reach = 2 ** level - 1;
  return [(index - reach) / 2, (index + reach) / 2];
}

function nodeHash(
  nodes: RatchetTree,
  index: NodeIndex,
  sha256: Sha256,
  childHash: (child: NodeIndex) => Uint8Array,
): Uint8Array {
  const node = nodes[index];
  if (isLeaf(index)) {
    const leafNode = node?.nodeType === 'leaf' ? node.leaf : undefined;
    return sha256(encodeLeafNodeHashInput({ nodeType: 'leaf', leafIndex: index / 2, leafNode }));
  }
  const parentNode = node?.nodeType === 'parent' ? node.parent : undefined;
  const [leftHash, rightHash] = [childHash(left(index)), childHash(right(index))];
  return sha256(encodeParentNodeHashInput({ nodeType: 'parent', parentNode, leftHash, rightHash }));
}
