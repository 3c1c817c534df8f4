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
const INDEX_BYTES = 4;
const SIZE_BYTES = 4;
const SALT_BYTES = 16;
/** All of a signature before the path, where receipts were signed together. */
const FIXED_BYTES = ED25519_BYTES + INDEX_BYTES + SIZE_BYTES + SALT_BYTES;

/** Most receipts under one signature. */
export const RECEIPTS_TOGETHER_MAX = 256;

export function encodeReceipt(receipt: Receipt): Uint8Array {
  return encodeCbor(receipt);
}

/** @throws SyntaxError when the bytes are no CBOR. */
export function decodeReceipt(bytes: Uint8Array): Receipt {
  return decodeCbor(bytes) as Receipt;
}

/** What signing needs: Ed25519, SHA-256, and randomness. */
export interface ReceiptCrypto {
  sign(message: Uint8Array): Uint8Array;
  readonly sha256: Sha256;
  randomBytes(length: number): Uint8Array;
}

/**
 * Signs receipts with one signature. One alone is signed as it is: the Ed25519 signature over `mlsd receipt v1`, a zero byte,
 * and the receipt. Several are leaves of a Merkle tree (RFC 9162 §2.1), each behind a random salt of 16 bytes, so that a hash beside
 * the path of one says nothing of the other. Signed is `mlsd receipts v1`, a zero byte, the number of leaves (four bytes, big-endian),
 * and the root. The signature of each is the Ed25519 signature, the index of its leaf and the number of leaves (four bytes each), its
 * salt, and its inclusion path. So each can be shown to anybody without the others.
 *
 * @param receipts 1 to `RECEIPTS_TOGETHER_MAX`
 */
export function signReceipts(receipts: readonly Uint8Array[], crypto: ReceiptCrypto): readonly SignedReceipt[] {
  const [first, ...others] = receipts;
  if (first !== undefined && others.length === 0) {
    return [{ receipt: first, signature: crypto.sign(concatBytes(ALONE, first)) }];
  }
  const random = crypto.randomBytes(SALT_BYTES * receipts.length);
  const salts = receipts.map((_, i) => random.subarray(SALT_BYTES * i, SALT_BYTES * (i + 1)));
  const tree = merkleTree(
    receipts.map((receipt, i) => concatBytes(salts[i]!, receipt)),
    crypto.sha256,
  );
  const size = uint32(receipts.length);
  const signature = crypto.sign(concatBytes(TOGETHER, size, tree.root));
  return receipts.map((receipt, i) => ({
    receipt,
    signature: concatBytes(signature, uint32(i), size, salts[i]!, tree.pathOf(i)),
  }));
}

/** What the server's key has to have signed; `undefined` when the signature has no form that is known. */
export function openSignature({ receipt, signature }: SignedReceipt, sha256: Sha256): OpenedSignature | undefined {
  if (signature.length === ED25519_BYTES) return { message: concatBytes(ALONE, receipt), signature };
  if (signature.length < FIXED_BYTES) return undefined;
  const view = new DataView(signature.buffer, signature.byteOffset + ED25519_BYTES, INDEX_BYTES + SIZE_BYTES);
  const [index, size] = [view.getUint32(0), view.getUint32(INDEX_BYTES)];
  const salt = signature.subarray(FIXED_BYTES - SALT_BYTES, FIXED_BYTES);
  const leaf = concatBytes(salt, receipt);
  const root = rootOf({ leaf, index, size, path: signature.subarray(FIXED_BYTES) }, sha256);
  if (root === undefined) return undefined;
  return { message: concatBytes(TOGETHER, uint32(size), root), signature: signature.subarray(0, ED25519_BYTES) };
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(Uint32Array.BYTES_PER_ELEMENT);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
