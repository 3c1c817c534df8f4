import { CBOR_BYTES, cborHead } from '../../wire/cbor.ts';
import { type Entry, encodeEntry } from '../../wire/entry.ts';
import { ORDER_BYTES, writeOrder } from '../order.ts';
import { createChain, HEAD_BYTES } from './chain.ts';

/** A stored entry: order (12) ‖ head after it (32) ‖ the entry framed as a CBOR byte string, as pages have it. */
export const ENTRY_HEAD_OFFSET = ORDER_BYTES;
export const ENTRY_FRAMED_OFFSET = ORDER_BYTES + HEAD_BYTES;

/** Bytes of the CBOR head in front of a byte string of this length. */
export function frameHeadBytes(length: number): number {
  return length < 24 ? 1 : length < 0x100 ? 2 : length < 0x1_0000 ? 3 : 5;
}

/** The entry inside its frame. */
export function unframe(framed: Uint8Array): Uint8Array {
  const additional = framed[0]! & 31;
  return framed.subarray(additional < 24 ? 1 : 1 + 2 ** (additional - 24));
}

/** An entry as it is served inside a page. */
export function frameEntry(entry: Entry): Uint8Array {
  const bytes = encodeEntry(entry);
  const head = cborHead(CBOR_BYTES, bytes.length);
  const framed = new Uint8Array(head.length + bytes.length);
  framed.set(head);
  framed.set(bytes, head.length);
  return framed;
}

/** The row of a group's entry that comes after `previousHead`. */
export function entryRow(entry: Entry, previousHead: Uint8Array, sequence: number, index: number): Uint8Array {
  const framed = frameEntry(entry);
  const row = new Uint8Array(ENTRY_FRAMED_OFFSET + framed.length);
  writeOrder(row, 0, sequence, index);
  row.set(framed, ENTRY_FRAMED_OFFSET);
  createChain(previousHead).extend(unframe(framed), row, ENTRY_HEAD_OFFSET);
  return row;
}
