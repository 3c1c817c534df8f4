/** One Ed25519 signature (RFC 8032) to be checked. */
export interface SignatureCheck {
  /** 32 bytes. */
  readonly key: Uint8Array;
  readonly data: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/** Whether the key signed the data; or why that could not be found out. */
export type Verdict = boolean | { readonly problem: string };

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const LENGTH_BYTES = 4;
/** Of a check without its data. */
const FIXED_BYTES = KEY_BYTES + SIGNATURE_BYTES + LENGTH_BYTES;

/** Whether key and signature have the lengths of the algorithm: others are of no signature. */
export function hasFormOfEd25519({ key, signature }: SignatureCheck): boolean {
  return key.length === KEY_BYTES && signature.length === SIGNATURE_BYTES;
}

/**
 * Checks as one piece of memory of its own, which another thread can be given: of each the key, the signature, the length of the data
 * (four bytes, big-endian), and the data. All have to have the form of Ed25519.
 */
export function packChecks(checks: readonly SignatureCheck[]): Uint8Array {
  let length = 0;
  for (const { data } of checks) length += FIXED_BYTES + data.length;
  const packed = new Uint8Array(length);
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const { key, signature, data } of checks) {
    packed.set(key, at);
    packed.set(signature, at + KEY_BYTES);
    view.setUint32(at + KEY_BYTES + SIGNATURE_BYTES, data.length);
    packed.set(data, at + FIXED_BYTES);
    at += FIXED_BYTES + data.length;
  }
  return packed;
}

/** What {@link packChecks} packed; they share memory with it. */
export function unpackChecks(packed: Uint8Array): readonly SignatureCheck[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const checks: SignatureCheck[] = [];
  let at = 0;
  const take = (length: number): Uint8Array => {
    at += length;
    return packed.subarray(at - length, at);
  };
  while (at < packed.length) {
    const [key, signature] = [take(KEY_BYTES), take(SIGNATURE_BYTES)];
    const length = view.getUint32(at);
    at += LENGTH_BYTES;
    checks.push({ key, signature, data: take(length) });
  }
  return checks;
}
