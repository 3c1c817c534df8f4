import { createHash, createPublicKey, verify } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createReceiptSigner } from '../../src/api/receipts.ts';
import { flawOf } from '../../src/client/runner/receipt-book.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import { concatBytes, toBase64Url, toHex } from '../../src/wire/bytes.ts';
import { merkleTree } from '../../src/wire/merkle-tree.ts';
import { decodeReceipt, RECEIPTS_TOGETHER_MAX, type Receipt, type SignedReceipt } from '../../src/wire/receipt.ts';

const ED25519_BYTES = 64;
/** Of a signature of receipts that were signed together, before the path. */
const FIXED_BYTES = 88;
/** The third of three, under the key below. */
const WRITTEN_RECEIPT =
  'a66176016468656164582003030303030303030303030303030303030303030303030303030303030303036474696d65' +
  '036567726f7570500303030303030303030303030303030366646f6d61696e6c636861742e6578616d706c6568706f73' +
  '6974696f6e03';
const WRITTEN_SIGNATURE =
  '9105ae47b8da7a65a8fd2fd2cc21c103adc07643b8bf54165219a52b5d2f48330b70045eac19823589abf9952e27c708' +
  'afd5776cdde8b81b6b81a01062b740010000000200000003abdb7a471146299d2bd37c6d356638883d11bec1a72b6f05' +
  'c65f795637a5a79fa7b1c85560d5165a97bc3ce9452445b6';

const signer = createReceiptSigner(new Uint8Array(32).fill(1));
const client = { suite: createNodeSuite(), sha256: nodeSha256 };
const flaw = (signed: SignedReceipt) => flawOf(client, signer.publicKey, signed);

const receiptOf = (position: number): Receipt => ({
  v: 1,
  domain: 'chat.example',
  group: new Uint8Array(16).fill(position),
  position,
  head: new Uint8Array(32).fill(position),
  time: position,
});
const signMany = (count: number) => Promise.all(Array.from({ length: count }, (_, i) => signer.sign(receiptOf(i + 1))));
const turn = () => new Promise((resolve) => setImmediate(resolve));
const signaturesOf = (signed: readonly SignedReceipt[]) =>
  new Set(signed.map(({ signature }) => toHex(signature.subarray(0, ED25519_BYTES))));

/** As SECURITY.md has it, for whoever is shown a proof: nothing of this project helps. */
function isSigned(receipt: Buffer, signature: Buffer): boolean {
  const x = toBase64Url(signer.publicKey);
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
  const ed25519 = signature.subarray(0, 64);
  if (signature.length === 64) {
    return verify(null, Buffer.concat([Buffer.from('mlsd receipt v1\0'), receipt]), key, ed25519);
  }
  let index = signature.readUInt32BE(64);
  let last = signature.readUInt32BE(68) - 1;
  let hash = sha256(Buffer.of(0), signature.subarray(72, 88), receipt);
  for (let at = 88; at < signature.length; at += 32) {
    const beside = signature.subarray(at, at + 32);
    // RFC 9162 §2.1.3.2
    if (index % 2 === 1 || index === last) {
      hash = sha256(Buffer.of(1), beside, hash);
      while (index % 2 === 0 && index !== 0) [index, last] = [index >> 1, last >> 1];
    } else hash = sha256(Buffer.of(1), hash, beside);
    [index, last] = [index >> 1, last >> 1];
  }
  const size = signature.subarray(68, 72);
  return last === 0 && verify(null, Buffer.concat([Buffer.from('mlsd receipts v1\0'), size, hash]), key, ed25519);
}

describe('receipts', () => {
  test('of one turn of the event loop are signed by one signature, and each is good without the others', async () => {
    for (const count of [1, 2, 3, 7, 64, 65]) {
      const signed = await signMany(count);
      expect(signaturesOf(signed).size).toBe(1);
      for (const [i, each] of signed.entries()) {
        expect(decodeReceipt(each.receipt)).toEqual(receiptOf(i + 1));
        expect(isSigned(Buffer.from(each.receipt), Buffer.from(each.signature))).toBe(true);
        expect(await flaw(each)).toBeUndefined();
      }
    }
  });

  test('are never more under one signature than there may be', async () => {
    const signed = await signMany(2 * RECEIPTS_TOGETHER_MAX + 1);
    expect(signaturesOf(signed).size).toBe(3);
    expect(signed.at(-1)!.signature).toHaveLength(ED25519_BYTES);
    for (const at of [0, 255, 256, 511, 512]) expect(await flaw(signed[at]!)).toBeUndefined();
  });

  test('of two turns are signed apart; one alone has nothing but its signature', async () => {
    const first = signer.sign(receiptOf(1));
    await turn();
    const second = signer.sign(receiptOf(2));
    for (const each of [await first, await second]) expect(each.signature).toHaveLength(ED25519_BYTES);
  });

  test('are worth nothing with another receipt, place, number, salt, path or end, and are no error', async () => {
    const [one, two, three] = await signMany(5);
    const good = { receipt: two!.receipt, signature: two!.signature };
    expect(await flaw(good)).toBeUndefined();
    for (let at = 0; at < good.signature.length; at += 1) {
      for (const bit of [1, 2, 128]) {
        const signature = good.signature.slice();
        signature[at]! ^= bit;
        expect(await flaw({ receipt: good.receipt, signature }), `byte ${at}`).toBeTypeOf('string');
      }
    }
    const ends = [0, 1, 63, 64, 65, 71, 72, 87, 88, 119, good.signature.length - 1];
    for (const end of ends) {
      expect(await flaw({ ...good, signature: good.signature.subarray(0, end) }), `${end} bytes`).toBeTypeOf('string');
    }
    expect(await flaw({ ...good, signature: one!.signature })).toBeTypeOf('string');
    expect(await flaw({ ...good, receipt: three!.receipt })).toBeTypeOf('string');
    const tooLong = concatBytes(good.signature, new Uint8Array(32 * 33));
    expect(await flaw({ ...good, signature: tooLong })).toBeTypeOf('string');
    expect(await flaw({ ...good, signature: 'x'.repeat(200) as unknown as Uint8Array })).toBeTypeOf('string');
  });

  test('are not to be had from a signature over something else', async () => {
    const [alone] = await signMany(1);
    const [one, two] = await signMany(2);
    const ed25519 = one!.signature.subarray(0, ED25519_BYTES);
    // the root that was signed, with its size, as if it were a receipt
    const leaves = [one!, two!].map(({ receipt, signature }) =>
      concatBytes(signature.subarray(72, FIXED_BYTES), receipt),
    );
    const { root } = merkleTree(leaves, nodeSha256);
    const size = Uint8Array.of(0, 0, 0, 2);
    expect(await flaw({ receipt: concatBytes(size, root), signature: ed25519 })).toBeTypeOf('string');
    expect(await flaw({ receipt: one!.receipt, signature: ed25519 })).toBeTypeOf('string');
    // and one that was signed alone, as if it were a tree of one
    const treeOfOne = concatBytes(alone!.signature, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1), new Uint8Array(16));
    expect(await flaw({ ...alone!, signature: treeOfOne })).toBeTypeOf('string');
  });

  test('have salts, so that a hash beside a path tells no caller whether it is of a receipt that he can guess', async () => {
    const [one, two] = await signMany(2);
    const beside = one!.signature.subarray(FIXED_BYTES);
    const [guess] = [two!.receipt].map((receipt) => nodeSha256(concatBytes(Uint8Array.of(0), receipt)));
    expect(toHex(beside)).not.toBe(toHex(guess!));
    const salt = two!.signature.subarray(72, FIXED_BYTES);
    expect(toHex(beside)).toBe(toHex(nodeSha256(concatBytes(Uint8Array.of(0), salt, two!.receipt))));
    const again = await signMany(2);
    expect(toHex(again[1]!.signature.subarray(72, FIXED_BYTES))).not.toBe(toHex(salt));
  });

  test('have the form that was written down once', async () => {
    const [receipt, signature] = [WRITTEN_RECEIPT, WRITTEN_SIGNATURE].map((hex) => Buffer.from(hex, 'hex'));
    expect(isSigned(receipt!, signature!)).toBe(true);
    expect(await flaw({ receipt: receipt!, signature: signature! })).toBeUndefined();
  });
});
