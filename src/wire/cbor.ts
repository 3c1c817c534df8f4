import { decode, encode } from 'cborg';
import { concatBytes } from './bytes.ts';
import { decodePlain, encodePlain, NOT_PLAIN } from './cbor-plain.ts';

/**
 * Deterministic CBOR (RFC 8949 §4.2): equal values have equal bytes, so entries and statements can be hashed and
 * signed. Map keys are text, bytes are byte strings, `undefined` members are left out.
 */
export function encodeCbor(value: unknown): Uint8Array {
  const plain = encodePlain(value);
  if (plain !== undefined) return plain;
  const bytes = encode(withoutUndefined(value));
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length); // the encoder gives a Buffer on Node
}

/** Strict: one item, nothing after it, no indefinite lengths, no `undefined`, no NaN, no tags. @throws SyntaxError */
export function decodeCbor(bytes: Uint8Array): unknown {
  const plain = decodePlain(bytes, false);
  return plain === NOT_PLAIN ? decodeStrictly(bytes) : plain;
}

/**
 * As {@link decodeCbor}, but byte strings may share memory with `bytes`: for what is passed on at once. Whoever keeps one
 * keeps all of `bytes` in memory, and must not change it.
 */
export function decodeCborShared(bytes: Uint8Array): unknown {
  const plain = decodePlain(bytes, true);
  return plain === NOT_PLAIN ? decodeStrictly(bytes) : plain;
}

/** As {@link decodeCbor}, but maps come as `Map`, so that their keys may be numbers: for formats of others. @throws SyntaxError */
export function decodeCborMaps(bytes: Uint8Array): unknown {
  return decodeStrictly(bytes, true);
}

function decodeStrictly(bytes: Uint8Array, useMaps = false): unknown {
  try {
    return decode(bytes, {
      useMaps,
      allowIndefinite: false,
      allowUndefined: false,
      allowNaN: false,
      allowInfinity: false,
      rejectDuplicateMapKeys: true,
      strict: true,
    });
  } catch (cause) {
    throw new SyntaxError('not a single well-formed CBOR item', { cause });
  }
}

/** Head of a CBOR item: major type 0–7 with its argument. For pages that are concatenated, not re-encoded. */
export function cborHead(major: number, argument: number): Uint8Array {
  const type = major << 5;
  if (argument < 24) return Uint8Array.of(type | argument);
  if (argument < 0x100) return Uint8Array.of(type | 24, argument);
  if (argument < 0x10000) return Uint8Array.of(type | 25, argument >> 8, argument & 255);
  return Uint8Array.of(type | 26, argument >>> 24, (argument >> 16) & 255, (argument >> 8) & 255, argument & 255);
}

export const CBOR_BYTES = 2;
export const CBOR_ARRAY = 4;

/** A byte string item around bytes that are there already. */
export function cborByteString(bytes: Uint8Array): Uint8Array {
  return concatBytes(cborHead(CBOR_BYTES, bytes.length), bytes);
}

function withoutUndefined(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(withoutUndefined);
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) if (member !== undefined) copy[key] = withoutUndefined(member);
  return copy;
}
