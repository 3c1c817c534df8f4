import { createPrivateKey, createPublicKey, hkdfSync, randomBytes, sign } from 'node:crypto';
import { fromBase64Url } from '../wire/bytes.ts';
import {
  encodeReceipt,
  RECEIPTS_TOGETHER_MAX,
  type Receipt,
  type SignedReceipt,
  signReceipts,
} from '../wire/receipt.ts';
import { sha256 } from './sha256.ts';

export interface ReceiptSigner {
  /** Ed25519, 32 bytes; published in `/.well-known/mlsd`. */
  readonly publicKey: Uint8Array;
  /** All that is asked for in one turn of the event loop is signed together, up to a bound: one signature serves an event of the log. */
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
  const crypto = {
    sign: (message: Uint8Array) => new Uint8Array(sign(null, message, privateKey)),
    sha256,
    randomBytes: (length: number) => new Uint8Array(randomBytes(length)),
  };
  const waiting: Waiting[] = [];
  const signWaiting = (): void => {
    const signing = waiting.splice(0, RECEIPTS_TOGETHER_MAX);
    if (waiting.length > 0) setImmediate(signWaiting);
    try {
      const signed = signReceipts(
        signing.map(({ receipt }) => receipt),
        crypto,
      );
      for (const [index, { resolve }] of signing.entries()) resolve(signed[index]!);
    } catch (error) {
      for (const { reject } of signing) reject(error);
    }
  };
  return {
    publicKey,
    sign(receipt) {
      const bytes = encodeReceipt(receipt);
      return new Promise((resolve, reject) => {
        if (waiting.length === 0) setImmediate(signWaiting);
        waiting.push({ receipt: bytes, resolve, reject });
      });
    },
  };
}

interface Waiting {
  readonly receipt: Uint8Array;
  readonly resolve: (signed: SignedReceipt) => void;
  readonly reject: (error: unknown) => void;
}
