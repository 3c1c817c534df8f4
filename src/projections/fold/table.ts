import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';

/** One kind of row: how its key and its value are written. Rows are immutable once they are handed to a draft. */
export interface Table<Key, Row> {
  /** @throws ProjectionError `invalid-event` when the key is longer than any that a server writes. */
  key(key: Key): Uint8Array;
  encode(row: Row): Uint8Array;
  decode(bytes: Uint8Array): Row;
  /** Whether decoded rows are worth keeping in memory. */
  readonly cached: boolean;
  /** Whether it is also worth keeping that there is no row: of keys that are asked for again and again. */
  readonly absenceCached?: boolean;
}

/** A table of plain values, stored as deterministic CBOR. */
export function plainTable<Key, Row>(
  key: (key: Key) => Uint8Array,
  options: { readonly absenceCached?: boolean } = {},
): Table<Key, Row> {
  return { key, encode: encodeCbor, decode: (bytes) => decodeCbor(bytes) as Row, cached: true, ...options };
}

/** A table of byte strings, stored as they are and not kept in memory. */
export function bytesTable<Key>(key: (key: Key) => Uint8Array): Table<Key, Uint8Array> {
  return { key, encode: (row) => row, decode: (bytes) => bytes, cached: false };
}
