import type { RatchetTree } from 'ts-mls';
import { encode } from 'ts-mls/codec/tlsEncoder.js';
import { varLenDataEncoder, withItemBudget } from 'ts-mls/codec/variableLength.js';
import { decodeRatchetTree, encodeNode, encodeRatchetTree } from 'ts-mls/ratchetTree.js';
import { concatBytes, equalBytes } from '../../wire/bytes.ts';

/**
 * The widest tree that is taken, in leaves. The library's encoder recurses once for each node and overflows the stack
 * from 5,000 leaves on; groups hold 2,000 members.
 */
const TREE_MAX_LEAVES = 4096;
/** Items of all lists in one tree together: one of the widest trees has 90,000 (see MESSAGE_ITEMS_MAX). */
const TREE_ITEMS_MAX = 100_000;

/**
 * Reads a `ratchet_tree` extension (RFC 9420 §12.4.3.3), strictly, and makes it safe for the library to walk: leaves
 * and parents stand where they belong and every unmerged leaf is a leaf of the tree. Out of range it would send the
 * library into a loop that nothing can stop. Signatures and hashes are not checked here.
 */
export function decodeTree(bytes: Uint8Array): { readonly tree: RatchetTree } | { readonly malformed: string } {
  try {
    const decoded = withItemBudget(TREE_ITEMS_MAX, () => decodeRatchetTree(bytes.slice(), 0));
    if (decoded === undefined || decoded[1] !== bytes.length) return { malformed: 'not a ratchet tree' };
    const [tree] = decoded;
    const reason = unsoundTree(tree);
    if (reason !== undefined) return { malformed: reason };
    return equalBytes(encodeRatchetTree(tree), bytes) ? { tree } : { malformed: 'not in its one valid encoding' };
  } catch (error) {
    return { malformed: error instanceof Error ? error.message : String(error) };
  }
}

const BLANK = Uint8Array.of(0);
const PRESENT = Uint8Array.of(1);
/** Nodes are never changed in place, so each is encoded once in its life. */
const encodedNodes = new WeakMap<object, Uint8Array>();

/** The `ratchet_tree` extension of a tree (RFC 9420 §12.4.3.3); costs its bytes, and an encoding for each node not seen before. */
export function encodeTree(nodes: RatchetTree): Uint8Array {
  let length = nodes.length;
  while (length > 0 && nodes[length - 1] === undefined) length -= 1;
  const parts: Uint8Array[] = [];
  for (let index = 0; index < length; index += 1) {
    const node = nodes[index];
    if (node === undefined) {
      parts.push(BLANK);
      continue;
    }
    let encoded = encodedNodes.get(node);
    if (encoded === undefined) {
      encoded = concatBytes(PRESENT, encodeNode(node));
      encodedNodes.set(node, encoded);
    }
    parts.push(encoded);
  }
  return encode(varLenDataEncoder)(concatBytes(...parts));
}

function unsoundTree(tree: RatchetTree): string | undefined {
  const leaves = (tree.length + 1) / 2;
  if (leaves > TREE_MAX_LEAVES) return `wider than ${TREE_MAX_LEAVES} leaves`;
  for (const [index, node] of tree.entries()) {
    if (node === undefined) continue;
    if ((node.nodeType === 'leaf') !== (index % 2 === 0)) return 'a node of the wrong kind';
    if (node.nodeType !== 'parent') continue;
    const { unmergedLeaves } = node.parent;
    if (unmergedLeaves.some((leaf, i) => leaf >= leaves || (i > 0 && leaf <= unmergedLeaves[i - 1]!))) {
      return 'unmerged leaves out of range or out of order';
    }
  }
  return undefined;
}
