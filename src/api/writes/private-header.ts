import { GROUP_ID_MAX_BYTES } from '../../wire/ids.ts';

/** What a PrivateMessage shows without keys (RFC 9420 §6.3), as far as the server needs it. */
export interface PrivateHeader {
  readonly groupId: Uint8Array;
  readonly epoch: number;
  readonly isApplication: boolean;
}

const MLS10 = 1;
const WIRE_FORMAT_PRIVATE_MESSAGE = 2;
const CONTENT_TYPE_APPLICATION = 1;
const CONTENT_TYPE_MAX = 3;

/**
 * Reads the header of an MLSMessage with a PrivateMessage; `undefined` for anything else, anything after it, and any
 * length that is not in its shortest form (RFC 9420 §2.1.2). Messages come by the thousand, and the library's decoder
 * copies and checks much that the server has no use for; a property test holds this one to the same verdicts.
 */
export function readPrivateHeader(bytes: Uint8Array): PrivateHeader | undefined {
  if (uintAt(bytes, 0, 2) !== MLS10 || uintAt(bytes, 2, 2) !== WIRE_FORMAT_PRIVATE_MESSAGE) return undefined;
  const group = vectorAt(bytes, 4);
  if (group === undefined || group.end - group.start > GROUP_ID_MAX_BYTES || group.end + 9 > bytes.length) {
    return undefined;
  }
  const epoch = uintAt(bytes, group.end, 8);
  const contentType = bytes[group.end + 8]!;
  if (epoch > Number.MAX_SAFE_INTEGER || contentType < 1 || contentType > CONTENT_TYPE_MAX) return undefined;
  let end = group.end + 9;
  // authenticated_data, encrypted_sender_data, ciphertext
  for (let i = 0; i < 3; i += 1) {
    const vector = vectorAt(bytes, end);
    if (vector === undefined) return undefined;
    end = vector.end;
  }
  if (end !== bytes.length) return undefined;
  return {
    groupId: bytes.subarray(group.start, group.end),
    epoch,
    isApplication: contentType === CONTENT_TYPE_APPLICATION,
  };
}

/** Where the content of a variable-length vector begins and ends. */
function vectorAt(bytes: Uint8Array, offset: number): { readonly start: number; readonly end: number } | undefined {
  const first = bytes[offset];
  if (first === undefined) return undefined;
  const prefix = first >> 6;
  const width = 1 << prefix;
  const start = offset + width;
  if (prefix > 2 || start > bytes.length) return undefined;
  const length = (first & 0x3f) * 256 ** (width - 1) + uintAt(bytes, offset + 1, width - 1);
  const isShortest = prefix === 0 || (prefix === 1 ? length >= 1 << 6 : length >= 1 << 14);
  const end = start + length;
  return isShortest && end <= bytes.length ? { start, end } : undefined;
}

/** Big-endian; beyond 2^53 only roughly, past the end NaN, which equals nothing. */
function uintAt(bytes: Uint8Array, offset: number, width: number): number {
  let value = 0;
  for (let i = 0; i < width; i += 1) value = value * 256 + (bytes[offset + i] ?? Number.NaN);
  return value;
}
