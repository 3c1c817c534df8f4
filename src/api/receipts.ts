import { createPrivateKey, createPublicKey, hkdfSync, sign } from 'node:crypto';
import { fromBase64Url } from '../wire/bytes.ts';
import { encodeReceipt, type Receipt, receiptToSign, type SignedReceipt } from '../wire/receipt.ts';

export interface ReceiptSigner {
  /** Ed25519, 32 bytes; published in `/.well-known/mlsd`. */
  readonly publicKey: Uint8Array;
  /** Signs off the event loop, which has better things to do. */
  sign(receipt: Receipt): Promise<SignedReceipt>;
}

const SEED_BYTES = 32;
/** PKCS #8 of an Ed25519 key up to its seed (RFC 8410 §7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** A key of its own for each use, from the one secret that all nodes of a domain share (HKDF-SHA256, RFC 5869). */
export function deriveKey(
  domainSecret: Uint8Array,
  use: 'receipts' | 'cursors' | 'sessions',
  bytes: number,
): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', domainSecret, new Uint8Array(0), `mlsd v1 ${use}`, bytes));
}

/** Signs what the server promises. The same secret gives the same key, on every node and after every restart. */
export function createReceiptSigner(domainSecret: Uint8Array): ReceiptSigner {
  const seed = deriveKey(domainSecret, 'receipts', SEED_BYTES);
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
  const publicKey = fromBase64Url(createPublicKey(privateKey).export({ format: 'jwk' }).x ?? '');
  if (publicKey === undefined) throw new Error('the receipt key has no public part');
  return {
    publicKey,
    sign(receipt) {
      const bytes = encodeReceipt(receipt);
      return new Promise((resolve, reject) => {
        sign(null, receiptToSign(bytes), privateKey, (error, signature) => {
          if (error === null) resolve({ receipt: bytes, signature: new Uint8Array(signature) });
          else reject(error);
        });
      });
    },
  };
}
