import { concatBytes, equalBytes, fromBase32, toBase32 } from './bytes.ts';
import type { Sha256 } from './ids.ts';

const CHECKSUM_BYTES = 4;
const GROUP_CHARACTERS = 4;

/** Bytes as people copy them: base32 in groups of four, with a checksum, so that a slip is noticed. */
export function encodeGroupedCode(bytes: Uint8Array, sha256: Sha256, checksumBytes = CHECKSUM_BYTES): string {
  const text = toBase32(concatBytes(bytes, checksumOf(bytes, sha256, checksumBytes)));
  return text.match(new RegExp(`.{1,${GROUP_CHARACTERS}}`, 'g'))?.join('-') ?? '';
}

/** Takes any spacing and letters of either case; `undefined` when the checksum does not fit. */
export function decodeGroupedCode(
  text: string,
  sha256: Sha256,
  checksumBytes = CHECKSUM_BYTES,
): Uint8Array | undefined {
  const all = fromBase32(text.replace(/[\s-]+/g, '').toLowerCase());
  if (all === undefined || all.length <= checksumBytes) return undefined;
  const bytes = all.slice(0, -checksumBytes);
  return equalBytes(checksumOf(bytes, sha256, checksumBytes), all.slice(-checksumBytes)) ? bytes : undefined;
}

function checksumOf(bytes: Uint8Array, sha256: Sha256, length: number): Uint8Array {
  return sha256(bytes).slice(0, length);
}
