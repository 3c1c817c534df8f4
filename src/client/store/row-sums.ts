import { crc32 } from 'node:zlib';
import { toUtf8 } from '../../wire/bytes.ts';

/** LMDB keeps no checksums of its own: a bit that flips on a disk would be taken for what was written. */
export const SUM_BYTES = 4;

/** The key of the row that holds {@link TableSums}; no table's name begins like it. */
export const SUMS_KEY = toUtf8('\u0000sums');

const ENTRY_BYTES = 9;
const MODULUS = 0x1_0000_0000;

/** How many rows a table has, and the sum of their checksums modulo 2^32. */
export interface TableSum {
  readonly rows: number;
  readonly sum: number;
}

/**
 * What each table that is summed adds up to, by the first byte of its keys. It is written with every commit, so that rows which are older than
 * that, or gone, are noticed though each row that is left is sound.
 */
export type TableSums = ReadonlyMap<number, TableSum>;

/** A row as it is stored: the value, then the CRC-32 of key and value. `room`: where to put it, as long as both together. */
export function sealRow(
  key: Uint8Array,
  value: Uint8Array,
  room: Uint8Array = new Uint8Array(value.length + SUM_BYTES),
): Uint8Array {
  room.set(value);
  new DataView(room.buffer, room.byteOffset, room.length).setUint32(value.length, sumOf(key, value));
  return room;
}

/** The value of a stored row, in the same memory; `undefined` when it is not what was written under this key. */
export function openRow(key: Uint8Array, stored: Uint8Array): Uint8Array | undefined {
  const length = stored.length - SUM_BYTES;
  if (length < 0) return undefined;
  const value = stored.subarray(0, length);
  return sumOf(key, value) === storedSum(stored) ? value : undefined;
}

function sumOf(key: Uint8Array, value: Uint8Array): number {
  const sum = crc32(key);
  // of no bytes it depends on whether they have an address
  return value.length === 0 ? sum : crc32(value, sum);
}

/** The checksum that a stored row carries, whether it fits or not. */
export function storedSum(stored: Uint8Array): number {
  if (stored.length < SUM_BYTES) return 0;
  return new DataView(stored.buffer, stored.byteOffset, stored.length).getUint32(stored.length - SUM_BYTES);
}

/** Adds a stored row to the sums of its table (`by` 1), or takes it out of them (-1). */
export function countRow(sums: Map<number, TableSum>, key: Uint8Array, stored: Uint8Array, by: 1 | -1): void {
  const letter = key[0] ?? 0;
  const { rows, sum } = sums.get(letter) ?? { rows: 0, sum: 0 };
  const next = { rows: rows + by, sum: (sum + MODULUS + by * storedSum(stored)) % MODULUS };
  if (next.rows === 0 && next.sum === 0) sums.delete(letter);
  else sums.set(letter, next);
}

/** The value of the row {@link SUMS_KEY}. */
export function encodeSums(sums: TableSums): Uint8Array {
  const bytes = new Uint8Array(sums.size * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [letter, { rows, sum }] of [...sums].sort(([a], [b]) => a - b)) {
    view.setUint8(at, letter);
    view.setUint32(at + 1, rows);
    view.setUint32(at + 5, sum);
    at += ENTRY_BYTES;
  }
  return bytes;
}

/** What {@link encodeSums} was given; for a row whose checksum fits. */
export function decodeSums(bytes: Uint8Array): Map<number, TableSum> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const sums = new Map<number, TableSum>();
  for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    sums.set(view.getUint8(at), { rows: view.getUint32(at + 1), sum: view.getUint32(at + 5) });
  }
  return sums;
}

export function sameSum(a: TableSum | undefined, b: TableSum | undefined): boolean {
  return (a?.rows ?? 0) === (b?.rows ?? 0) && (a?.sum ?? 0) === (b?.sum ?? 0);
}
