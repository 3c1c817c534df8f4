import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { concatBytes, toHex } from '../../src/wire/bytes.ts';
import { merkleTree, NODE_BYTES, rootOf } from '../../src/wire/merkle-tree.ts';

/** MTH as RFC 9162 §2.1.1 writes it. */
function rootAsDefined(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return nodeSha256(concatBytes(Uint8Array.of(0), leaves[0]!));
  let half = 1;
  while (half * 2 < leaves.length) half *= 2;
  const [left, right] = [rootAsDefined(leaves.slice(0, half)), rootAsDefined(leaves.slice(half))];
  return nodeSha256(concatBytes(Uint8Array.of(1), left, right));
}

/** Leaves and roots that implementations of Certificate Transparency agree on. */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

const leavesOf = (size: number) => Array.from({ length: size }, (_, i) => Uint8Array.of(i, i >>> 8));

describe('a Merkle tree', () => {
  test('has the roots of Certificate Transparency', () => {
    const leaves = LEAVES.map((hex) => new Uint8Array(Buffer.from(hex, 'hex')));
    const roots = leaves.map((_, i) => toHex(merkleTree(leaves.slice(0, i + 1), nodeSha256).root));
    expect(roots).toEqual(ROOTS);
  });

  test('has the root that RFC 9162 defines, and each leaf a path to it, at every size', () => {
    for (let size = 1; size <= 70; size += 1) {
      const leaves = leavesOf(size);
      const tree = merkleTree(leaves, nodeSha256);
      expect(tree.root).toEqual(rootAsDefined(leaves));
      for (const [index, leaf] of leaves.entries()) {
        expect(rootOf({ leaf, index, size, path: tree.pathOf(index) }, nodeSha256)).toEqual(tree.root);
      }
    }
  });

  test('leads no other leaf, place, path, or number of leaves with paths of another length to its root', () => {
    const someTree = fc.integer({ min: 1, max: 70 }).chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1)));
    fc.assert(
      fc.property(someTree, fc.nat(80), fc.nat(), ([size, index], other, byte) => {
        const leaves = leavesOf(size);
        const { root, pathOf } = merkleTree(leaves, nodeSha256);
        const [leaf, path] = [leaves[index]!, pathOf(index)];
        const leads = (changed: Partial<Parameters<typeof rootOf>[0]>): boolean => {
          const reached = rootOf({ leaf, index, size, path, ...changed }, nodeSha256);
          return reached !== undefined && toHex(reached) === toHex(root);
        };
        expect(leads({})).toBe(true);
        expect(leads({ leaf: Uint8Array.of(200, 200) })).toBe(false);
        if (other !== index) expect(leads({ index: other })).toBe(false);
        expect(leads({ index: size })).toBe(false);
        for (const otherSize of [size * 4, size * 64]) expect(leads({ size: otherSize })).toBe(false);
        expect(leads({ path: concatBytes(path, new Uint8Array(NODE_BYTES)) })).toBe(false);
        expect(leads({ path: concatBytes(path, Uint8Array.of(1)) })).toBe(false);
        if (path.length === 0) return;
        const flipped = path.slice();
        flipped[byte % path.length]! ^= 1;
        expect(leads({ path: flipped })).toBe(false);
        expect(leads({ path: path.subarray(NODE_BYTES) })).toBe(false);
        expect(leads({ path: path.subarray(0, -1) })).toBe(false);
        // an inner node is not taken for a leaf: the hash beside the leaf, and the leaf's own, as one leaf a level higher
        const own = nodeSha256(concatBytes(Uint8Array.of(0), leaf));
        const inner = concatBytes(own, path.subarray(0, NODE_BYTES));
        const higher = { leaf: inner, index: index >>> 1, size: (size + 1) >>> 1, path: path.subarray(NODE_BYTES) };
        expect(leads(higher)).toBe(false);
      }),
    );
  });
});
