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
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 4 || view.getUint16(0) !== MLS10 || view.getUint16(2) !== WIRE_FORMAT_PRIVATE_MESSAGE) {
    return undefined;
  }
  const group = vectorAt(view, 4);
  if (group === undefined || group.end - group.start > GROUP_ID_MAX_BYTES || group.end + 9 > bytes.length) {
    return undefined;
  }
  const epoch = view.getBigUint64(group.end);
  const contentType = view.getUint8(group.end + 8);
  if (epoch > BigInt(Number.MAX_SAFE_INTEGER) || contentType < 1 || contentType > CONTENT_TYPE_MAX) return undefined;
  let end = group.end + 9;
  // authenticated_data, encrypted_sender_data, ciphertext
  for (let i = 0; i < 3; i += 1) {
    const vector = vectorAt(view, end);
    if (vector === undefined) return undefined;
    end = vector.end;
  }
  if (end !== bytes.length) return undefined;
  return {
    groupId: bytes.slice(group.start, group.end),
    epoch: Number(epoch),
    isApplication: contentType === CONTENT_TYPE_APPLICATION,
  };
}

/** Where the content of a variable-length vector begins and ends. */
function vectorAt(view: DataView, offset: number): { readonly start: number; readonly end: number } | undefined {
  if (offset >= view.byteLength) return undefined;
  const prefix = view.getUint8(offset) >> 6;
  const width = 1 << prefix;
  const start = offset + width;
  if (prefix > 2 || start > view.byteLength) return undefined;
  let length = view.getUint8(offset) & 0x3f;
  for (let i = 1; i < width; i += 1) length = length * 256 + view.getUint8(offset + i);
  const isShortest = prefix === 0 || (prefix === 1 ? length >= 1 << 6 : length >= 1 << 14);
  const end = start + length;
  return isShortest && end <= view.byteLength ? { start, end } : undefined;
}
