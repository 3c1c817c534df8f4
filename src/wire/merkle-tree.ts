import { concatBytes } from './bytes.ts';
import type { Sha256 } from './ids.ts';

export const NODE_BYTES = 32;
/** What is hashed of a leaf can never be taken for what is hashed of an inner node. */
const LEAF = Uint8Array.of(0);
const INNER = Uint8Array.of(1);

/** A Merkle tree over SHA-256 (RFC 9162 §2.1.1): one hash that stands for all its leaves. */
export interface MerkleTree {
  readonly root: Uint8Array;
  /** The hashes beside the way from a leaf up to the root (RFC 9162 §2.1.3.1), one after the other. */
  pathOf(index: number): Uint8Array;
}

/** @param leaves at least one */
export function merkleTree(leaves: readonly Uint8Array[], sha256: Sha256): MerkleTree {
  const levels: Uint8Array[][] = [leaves.map((leaf) => sha256(concatBytes(LEAF, leaf)))];
  for (let below = levels[0]!; below.length > 1; below = levels.at(-1)!) {
    const level: Uint8Array[] = [];
    for (let i = 0; i < below.length; i += 2) {
      const [left, right] = [below[i]!, below[i + 1]];
      // without a neighbour a node goes up as it is
      level.push(right === undefined ? left : sha256(concatBytes(INNER, left, right)));
    }
    levels.push(level);
  }
  return {
    root: levels.at(-1)![0]!,
    pathOf(index) {
      const beside = levels.map((level, height) => level[(index >>> height) ^ 1]);
      return concatBytes(...beside.filter((node) => node !== undefined));
    },
  };
}

/** A leaf, where it stands, how many leaves there are, and its path. */
export interface Inclusion {
  readonly leaf: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly path: Uint8Array;
}

/** The root of the tree that a path belongs to (RFC 9162 §2.1.3.2); `undefined` when no tree has such a path. */
export function rootOf({ leaf, index, size, path }: Inclusion, sha256: Sha256): Uint8Array | undefined {
  if (index >= size || path.length % NODE_BYTES !== 0) return undefined;
  let hash = sha256(concatBytes(LEAF, leaf));
  let node = index;
  let last = size - 1;
  for (let at = 0; at < path.length; at += NODE_BYTES) {
    if (last === 0) return undefined;
    const beside = path.subarray(at, at + NODE_BYTES);
    // a last node without a neighbour went up as it is, until it had one to its left
    while (node === last && node % 2 === 0) {
      node >>>= 1;
      last >>>= 1;
    }
    hash = sha256(node % 2 === 1 ? concatBytes(INNER, beside, hash) : concatBytes(INNER, hash, beside));
    node >>>= 1;
    last >>>= 1;
  }
  return last === 0 ? hash : undefined;
}
