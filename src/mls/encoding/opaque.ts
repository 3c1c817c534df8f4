/**
 * Reads `opaque<V>` (RFC 9420 §2.1.2) at `at`: a view of its bytes, and where it ends. `undefined` when it does not fit,
 * or its length is not in the shortest form.
 */
export function readOpaque(
  bytes: Uint8Array,
  at: number,
): { readonly bytes: Uint8Array; readonly end: number } | undefined {
  const first = bytes[at];
  if (first === undefined || first >= 0xc0) return undefined;
  const width = 1 << (first >> 6);
  if (at + width > bytes.length) return undefined;
  let length = first & 0x3f;
  for (let i = 1; i < width; i += 1) length = length * 256 + bytes[at + i]!;
  if (length < LEAST[width]!) return undefined;
  const start = at + width;
  const end = start + length;
  return end > bytes.length ? undefined : { bytes: bytes.subarray(start, end), end };
}

/** The smallest length that needs so many bytes. */
const LEAST: Readonly<Record<number, number>> = { 1: 0, 2: 0x40, 4: 0x4000 };
