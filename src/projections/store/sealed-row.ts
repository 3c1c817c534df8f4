import { crc32 } from 'node:zlib';
import { ProjectionError } from '../errors.ts';
import { TABLE } from '../fold/keys.ts';
import { readUint32 } from '../order.ts';

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
  return key[0] === TABLE.meta || fits(key, unsealRow(key, stored), stored);
}

/** The value of a stored row, in the same memory. @throws ProjectionError `damaged` when it is not what was written */
export function openRow(key: Uint8Array, stored: Uint8Array): Uint8Array {
  const value = unsealRow(key, stored);
  if (key[0] !== TABLE.meta && !fits(key, value, stored)) {
    throw new ProjectionError('damaged', 'a row of the tables is not what was written');
  }
  return value;
}

/** CRC-32 of a value that has no key, for what keeps its sum inside. */
export function sumOfValue(value: Uint8Array): number {
  return crc32(value);
}

function fits(key: Uint8Array, value: Uint8Array, stored: Uint8Array): boolean {
  return stored.length >= SUM_BYTES && readUint32(stored, value.length) === sumOf(key, value);
}

function sumOf(key: Uint8Array, value: Uint8Array): number {
  return crc32(value, crc32(key));
}
