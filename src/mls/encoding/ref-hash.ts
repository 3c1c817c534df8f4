import { lengthEncoder } from 'ts-mls/codec/variableLength.js';
import { concatBytes, toUtf8 } from '../../wire/bytes.ts';
import type { Sha256 } from '../../wire/ids.ts';

/** RefHash of RFC 9420 §5.2, synchronous; for suites whose hash is SHA-256. */
export function refHash(label: string, value: Uint8Array, sha256: Sha256): Uint8Array {
  return sha256(concatBytes(withLength(toUtf8(label)), withLength(value)));
}

/** A byte string behind its length, `opaque<V>` of RFC 9420 §2.1.2. */
export function withLength(bytes: Uint8Array): Uint8Array {
  const [length, write] = lengthEncoder(bytes.length);
  const out = new Uint8Array(length + bytes.length);
  write(0, out.buffer);
  out.set(bytes, length);
  return out;
}
