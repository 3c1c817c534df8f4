import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { concatBytes, fromBase64Url } from '../../../src/wire/bytes.ts';
import { encodeReceipt, type Receipt, type SignedReceipt, signReceipts } from '../../../src/wire/receipt.ts';
import type { Accepted } from '../../../src/wire/schemas/groups.ts';

export const FAKE_DOMAIN = 'chat.example';

/** PKCS #8 of an Ed25519 key, up to the seed (RFC 8410 §7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Signs as a server does; the key is the same in every run. */
function createServerKey() {
  const pkcs8 = concatBytes(PKCS8_PREFIX, new Uint8Array(32).fill(7));
  const privateKey = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  const publicKey = fromBase64Url(createPublicKey(privateKey).export({ format: 'jwk' }).x!)!;
  return { publicKey, sign: (bytes: Uint8Array) => new Uint8Array(sign(null, bytes, privateKey)) };
}

export const SERVER_KEY = createServerKey();

/** What the server signs about a place in a group; of whatever head, also of one that never was. Signed together with another one. */
export function receiptFor(group: Uint8Array, position: number, head: Uint8Array, time: number) {
  const receipt: Receipt = { v: 1, domain: FAKE_DOMAIN, group, position, head, time };
  const [signed] = signAll([receipt, { ...receipt, position: position + 1 }]);
  return signed as Accepted['receipt'];
}

/** Not signed together with others. */
export function signedAlone(receipt: Receipt): SignedReceipt {
  return signAll([receipt])[0]!;
}

function signAll(receipts: readonly Receipt[]): readonly SignedReceipt[] {
  const { sign } = SERVER_KEY;
  const salt = (length: number) => new Uint8Array(length).fill(3);
  return signReceipts(receipts.map(encodeReceipt), { sign, sha256: nodeSha256, randomBytes: salt });
}
