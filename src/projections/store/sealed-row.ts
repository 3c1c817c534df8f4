import { crc32 } from 'node:zlib';
import { ProjectionError } from '../errors.ts';
import { TABLE } from '../fold/keys.ts';

/** LMDB keeps no checksums of its own: a bit that flips on a disk would be served. */
export const SUM_BYTES = 4;

/** A row as it is stored: the value, then the CRC-32 of key and value. What says how tables were written has no sum here. */
export function sealRow(key: Uint8Array, value: Uint8Array): Uint8Array {
  if (key[0] === TABLE.meta) return value;
  const stored = new Uint8Array(value.length + SUM_BYTES);
  stored.set(value);
  new DataView(stored.buffer).setUint32(value.length, sumOf(key, value));
  return stored;
}

/** As {@link sealRow} for a value with {@link SUM_BYTES} of room behind it in its memory: without a copy of it. */
export function sealRowInPlace(key: Uint8Array, value: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = value;
  new DataView(buffer, byteOffset).setUint32(length, sumOf(key, value));
  return new Uint8Array(buffer, byteOffset, length + SUM_BYTES);
}

/** The value of a stored row, in the same memory, without looking at its sum. */
export function unsealRow(key: Uint8Array, stored: Uint8Array): Uint8Array {
  return key[0] === TABLE.meta ? stored : stored.subarray(0, Math.max(0, stored.length - SUM_BYTES));
}

/** Whether this is what was written under this key. */
export function isIntact(key: Uint8Array, stored: Uint8Array): boolean {
  if (key[0] === TABLE.meta) return true;
  const length = stored.length - SUM_BYTES;
  if (length < 0) return false;
  const sum = new DataView(stored.buffer, stored.byteOffset).getUint32(length);
  return sum === sumOf(key, stored.subarray(0, length));
}

/** The value of a stored row, in the same memory. @throws ProjectionError `store-failed` when it is not what was written */
export function openRow(key: Uint8Array, stored: Uint8Array): Uint8Array {
  if (!isIntact(key, stored)) throw new ProjectionError('store-failed', 'a row of the tables is damaged');
  return unsealRow(key, stored);
}

/** CRC-32 of a value that has no key, for what keeps its sum inside. */
export function sumOfValue(value: Uint8Array): number {
  return crc32(value);
}

function sumOf(key: Uint8Array, value: Uint8Array): number {
  return crc32(value, crc32(key));
}
