import { concatBytes, toUtf8 } from './bytes.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import type { Sha256 } from './ids.ts';
import { merkleTree, rootOf } from './merkle-tree.ts';

/** What the server promised about one accepted append, signed with the key in `/.well-known/mlsd`. */
export interface Receipt {
  readonly v: 1;
  readonly domain: string;
  readonly group: Uint8Array;
  /** Position of the last accepted entry of the request. */
  readonly position: number;
  /** Head after that position. */
  readonly head: Uint8Array;
  /** Server time, milliseconds since 1970. */
  readonly time: number;
}

/** A receipt's bytes and the signature that {@link signReceipts} made, whose Ed25519 part {@link openSignature} finds. */
export interface SignedReceipt {
  readonly receipt: Uint8Array;
  readonly signature: Uint8Array;
}

/** What Ed25519 signed, and with what result. */
export interface OpenedSignature {
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

const ALONE = toUtf8('mlsd receipt v1\0');
const TOGETHER = toUtf8('mlsd receipts v1\0');
const ED25519_BYTES = 64;
/** Index of the leaf and number of leaves, four bytes each, big-endian. */
const PLACE_BYTES = 8;
/** A tree of 2^32 leaves is not higher. */
const PATH_MAX_BYTES = 32 * 32;

/** Bounds of a signature; those of 64 bytes are of receipts that were signed alone. */
export const RECEIPT_SIGNATURE_BYTES = { min: ED25519_BYTES, max: ED25519_BYTES + PLACE_BYTES + PATH_MAX_BYTES };

export function encodeReceipt(receipt: Receipt): Uint8Array {
  return encodeCbor(receipt);
}

/** @throws SyntaxError when the bytes are no CBOR. */
export function decodeReceipt(bytes: Uint8Array): Receipt {
  return decodeCbor(bytes) as Receipt;
}

/**
 * Signs receipts with one signature. One alone is signed as it is: the Ed25519 signature over `mlsd receipt v1`, a zero byte,
 * and the receipt. Several are leaves of a Merkle tree (RFC 9162 §2.1), and what is signed is `mlsd receipts v1`, a zero byte,
 * and its root; the signature of each is the Ed25519 signature, the index of its leaf and the number of leaves (four bytes each,
 * big-endian), and its inclusion path. So each can be shown to anybody without the others.
 *
 * @param receipts at least one
 */
export function signReceipts(
  receipts: readonly Uint8Array[],
  sign: (message: Uint8Array) => Uint8Array,
  sha256: Sha256,
): readonly SignedReceipt[] {
  const [first, ...others] = receipts;
  if (first !== undefined && others.length === 0) {
    return [{ receipt: first, signature: sign(concatBytes(ALONE, first)) }];
  }
  const tree = merkleTree(receipts, sha256);
  const signature = sign(concatBytes(TOGETHER, tree.root));
  return receipts.map((receipt, index) => {
    const place = new Uint8Array(PLACE_BYTES);
    const view = new DataView(place.buffer);
    view.setUint32(0, index);
    view.setUint32(PLACE_BYTES / 2, receipts.length);
    return { receipt, signature: concatBytes(signature, place, tree.pathOf(index)) };
  });
}

/** What the server's key has to have signed; `undefined` when the signature is none of this form. */
export function openSignature({ receipt, signature }: SignedReceipt, sha256: Sha256): OpenedSignature | undefined {
  const { min, max } = RECEIPT_SIGNATURE_BYTES;
  if (signature.length === min) return { message: concatBytes(ALONE, receipt), signature };
  if (signature.length < ED25519_BYTES + PLACE_BYTES || signature.length > max) return undefined;
  const place = new DataView(signature.buffer, signature.byteOffset + ED25519_BYTES, PLACE_BYTES);
  const path = signature.subarray(ED25519_BYTES + PLACE_BYTES);
  const root = rootOf(
    { leaf: receipt, index: place.getUint32(0), size: place.getUint32(PLACE_BYTES / 2), path },
    sha256,
  );
  if (root === undefined) return undefined;
  return { message: concatBytes(TOGETHER, root), signature: signature.subarray(0, ED25519_BYTES) };
}
