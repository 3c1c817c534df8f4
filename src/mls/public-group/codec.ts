import type { RatchetTree } from 'ts-mls';
import { decodeGroupContext, encodeGroupContext } from 'ts-mls/groupContext.js';
import { decodeNode, encodeNode } from 'ts-mls/ratchetTree.js';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import type { Sha256 } from '../../wire/ids.ts';
import { MlsError } from '../errors.ts';
import { conceal, type GroupData, type PublicGroup, reveal } from './group.ts';
import { createHashedTree } from './hashed-tree.ts';
import { pendingFrom } from './proposal.ts';
import { isRefused } from './refusal.ts';

/** One node of the tree, as RFC 9420 §7.1 encodes it; blank nodes have no row. */
export interface NodeRow {
  readonly index: number;
  readonly bytes: Uint8Array;
}

/** A public group as rows: a commit writes the header and the nodes of its path, not the tree. */
export interface EncodedPublicGroup {
  readonly header: Uint8Array;
  readonly nodes: readonly NodeRow[];
}

export interface ChangedNodes {
  readonly header: Uint8Array;
  readonly put: readonly NodeRow[];
  readonly remove: readonly number[];
}

interface Header {
  readonly v: 1;
  readonly context: Uint8Array;
  readonly tag: Uint8Array;
  readonly width: number;
  /** The messages, as received. */
  readonly pending: readonly Uint8Array[];
}

export function encodePublicGroup(group: PublicGroup): EncodedPublicGroup {
  const data = reveal(group);
  return { header: headerOf(data), nodes: rowsWhere(data.tree.nodes, () => true) };
}

/** What to write when a group follows another one. */
export function changedNodes(before: PublicGroup, after: PublicGroup): ChangedNodes {
  const [was, is] = [reveal(before).tree.nodes, reveal(after).tree.nodes];
  const remove = was.flatMap((node, index) => (node !== undefined && is[index] === undefined ? [index] : []));
  return { header: headerOf(reveal(after)), put: rowsWhere(is, (index) => is[index] !== was[index]), remove };
}

/**
 * The group that these rows were made from. Nothing is verified.
 *
 * @throws MlsError `invalid-state`
 */
export function decodePublicGroup(encoded: EncodedPublicGroup, sha256: Sha256): PublicGroup {
  try {
    const header = decodeCbor(encoded.header.slice()) as Header;
    if (header.v !== 1) throw new Error('a header of another version');
    const nodes: RatchetTree = Array.from({ length: header.width }, () => undefined);
    for (const { index, bytes } of encoded.nodes) {
      const decoded = decodeNode(bytes.slice(), 0);
      if (decoded === undefined || index >= nodes.length) throw new Error(`node ${index} cannot be read`);
      nodes[index] = decoded[0];
    }
    const context = decodeGroupContext(header.context, 0);
    if (context === undefined) throw new Error('the group context cannot be read');
    const pending = header.pending.map((bytes) => {
      const known = pendingFrom(bytes, sha256);
      if (isRefused(known)) throw new Error('a pending proposal cannot be read');
      return known;
    });
    return conceal({ context: context[0], confirmationTag: header.tag, tree: createHashedTree(nodes), pending });
  } catch (error) {
    throw new MlsError('invalid-state', 'the stored rows are no public group', error);
  }
}

function headerOf({ context, confirmationTag, tree, pending }: GroupData): Uint8Array {
  const header: Header = {
    v: 1,
    context: encodeGroupContext(context),
    tag: confirmationTag,
    width: tree.nodes.length,
    pending: pending.map(({ bytes }) => bytes),
  };
  return encodeCbor(header);
}

function rowsWhere(nodes: RatchetTree, isWanted: (index: number) => boolean): NodeRow[] {
  return nodes.flatMap((node, index) =>
    node !== undefined && isWanted(index) ? [{ index, bytes: encodeNode(node) }] : [],
  );
}
