import type { RatchetTree } from 'ts-mls';
import type { Decoder } from 'ts-mls/codec/tlsDecoder.js';
import { decodeProposal, type Proposal } from 'ts-mls/proposal.js';
import {
  addLeafNode,
  decodeRatchetTree,
  encodeRatchetTree,
  removeLeafNode,
  updateLeafNode,
} from 'ts-mls/ratchetTree.js';
import { toLeafIndex, toNodeIndex } from 'ts-mls/treemath.js';
import { decodeUpdatePath } from 'ts-mls/updatePath.js';
import { describe, expect, test } from 'vitest';
import { decodeTree, encodeTree } from '../../src/mls/encoding/tree-codec.ts';
import { createHashedTree, subtreeHash, treeHashOf, withNodes } from '../../src/mls/public-group/hashed-tree.ts';
import { isRefused } from '../../src/mls/public-group/refusal.ts';
import { applyPath, areParentHashesValid } from '../../src/mls/public-group/update-path.ts';
import { unwrap } from '../../src/mls/session/state.ts';
import { createNodeSuite } from '../../src/mls/suite-node.ts';
import { toHex } from '../../src/wire/bytes.ts';
import { groupOf } from './support/people.ts';
import { hasVectors, hex, isOurs, syncHash, vectors } from './support/vectors.ts';

interface TreeValidation {
  cipher_suite: number;
  tree: string;
  tree_hashes: string[];
}
interface TreeOperation {
  cipher_suite: number;
  proposal: string;
  proposal_sender: number;
  tree_before: string;
  tree_hash_before: string;
  tree_hash_after: string;
}
interface TreeKem {
  cipher_suite: number;
  ratchet_tree: string;
  update_paths: { sender: number; update_path: string; tree_hash_after: string }[];
}

function read<Value>(decoder: Decoder<Value>, text: string): Value {
  const decoded = decoder(hex(text), 0);
  if (decoded === undefined) throw new Error('cannot be read');
  return decoded[0];
}

function treeIn(text: string): RatchetTree {
  const decoded = decodeTree(hex(text));
  if ('malformed' in decoded) throw new Error(decoded.malformed);
  return decoded.tree;
}

describe.skipIf(!hasVectors)('the server’s tree on the MLS working group’s vectors', () => {
  test('tree-validation: all 98 trees have the stated hashes and valid parent hashes', () => {
    for (const vector of vectors<TreeValidation>('tree-validation')) {
      const sha = syncHash(vector.cipher_suite);
      const tree = createHashedTree(treeIn(vector.tree));
      for (const [index, expected] of vector.tree_hashes.entries()) {
        expect(toHex(subtreeHash(tree, toNodeIndex(index), sha))).toBe(expected);
      }
      expect(areParentHashesValid(tree, sha)).toBe(true);
    }
  });

  test('tree-validation: a tree with one other parent hash or key is not valid any more', () => {
    for (const vector of vectors<TreeValidation>('tree-validation').filter(isOurs)) {
      const sha = syncHash(vector.cipher_suite);
      const nodes = treeIn(vector.tree);
      for (const [index, node] of nodes.entries()) {
        if (node?.nodeType !== 'parent') continue;
        const forged = nodes.slice();
        const hpkePublicKey = node.parent.hpkePublicKey.map((byte) => byte ^ 1);
        forged[index] = { nodeType: 'parent', parent: { ...node.parent, hpkePublicKey } };
        expect(areParentHashesValid(createHashedTree(forged), sha)).toBe(false);
      }
    }
  });

  test('tree-operations: hashes kept over a change are the hashes of the changed tree', () => {
    for (const vector of vectors<TreeOperation>('tree-operations').filter(isOurs)) {
      const sha = syncHash(vector.cipher_suite);
      const before = createHashedTree(treeIn(vector.tree_before));
      expect(toHex(treeHashOf(before, sha))).toBe(vector.tree_hash_before);
      const proposal = read<Proposal>(decodeProposal, vector.proposal);
      let { nodes } = before;
      if (proposal.proposalType === 'add') [nodes] = addLeafNode(nodes, proposal.add.keyPackage.leafNode);
      if (proposal.proposalType === 'remove') nodes = removeLeafNode(nodes, toLeafIndex(proposal.remove.removed));
      if (proposal.proposalType === 'update') {
        nodes = updateLeafNode(nodes, proposal.update.leafNode, toLeafIndex(vector.proposal_sender));
      }
      expect(toHex(treeHashOf(withNodes(before, nodes), sha))).toBe(vector.tree_hash_after);
    }
  });

  test('treekem: every update path leads to the stated tree hash, and a path to another key to none', () => {
    for (const vector of vectors<TreeKem>('treekem').filter(isOurs)) {
      const sha = syncHash(vector.cipher_suite);
      const tree = createHashedTree(read(decodeRatchetTree, vector.ratchet_tree));
      treeHashOf(tree, sha);
      for (const { sender, update_path, tree_hash_after } of vector.update_paths) {
        const path = read(decodeUpdatePath, update_path);
        const after = applyPath(tree, sender, path, [], sha);
        if (isRefused(after)) throw new Error(after.detail ?? after.reason);
        expect(toHex(treeHashOf(after, sha))).toBe(tree_hash_after);
        expect(toHex(treeHashOf(createHashedTree(after.nodes), sha))).toBe(tree_hash_after);
        const nodes = path.nodes.map((node) => ({
          ...node,
          hpkePublicKey: node.hpkePublicKey.map((byte) => byte ^ 1),
        }));
        if (nodes.length === 0) continue;
        expect(applyPath(tree, sender, { ...path, nodes }, [], sha)).toMatchObject({ reason: 'bad-parent-hash' });
      }
    }
  });
});

test('a tree is encoded as the library does it, whatever was encoded before, blank nodes at its end included', async () => {
  const suite = createNodeSuite();
  const { states } = await groupOf(suite, ['a', 'b', 'c', 'd', 'e']);
  const { ratchetTree } = unwrap(states[0]!);
  const trees: RatchetTree[] = [ratchetTree];
  for (const leaf of [3, 4, 1]) trees.push(removeLeafNode(trees.at(-1)!, toLeafIndex(leaf)));
  trees.push([], [...ratchetTree, undefined, undefined]);
  for (const tree of trees) expect(toHex(encodeTree(tree))).toBe(toHex(encodeRatchetTree(tree)));
});
