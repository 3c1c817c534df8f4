import { describe, expect, test } from 'vitest';
import { createReceiptSigner } from '../../src/api/receipts.ts';
import { flawOf } from '../../src/client/runner/receipt-book.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import { concatBytes, toHex } from '../../src/wire/bytes.ts';
import { decodeReceipt, RECEIPT_SIGNATURE_BYTES, type Receipt } from '../../src/wire/receipt.ts';
import { isSignedBy } from '../support/receipt-signatures.ts';

const ED25519_BYTES = RECEIPT_SIGNATURE_BYTES.min;
const signer = createReceiptSigner(new Uint8Array(32).fill(1));
const client = { suite: createNodeSuite(), sha256: nodeSha256 };
const flaw = (signed: { receipt: Uint8Array; signature: Uint8Array }) => flawOf(client, signer.publicKey, signed);

const receiptOf = (position: number): Receipt => ({
  v: 1,
  domain: 'chat.example',
  group: new Uint8Array(16).fill(position),
  position,
  head: new Uint8Array(32).fill(position),
  time: position,
});
const signMany = (count: number) => Promise.all(Array.from({ length: count }, (_, i) => signer.sign(receiptOf(i + 1))));

describe('receipts', () => {
  test('of one turn of the event loop are signed by one signature, and each is good without the others', async () => {
    for (const count of [1, 2, 3, 7, 64, 65]) {
      const signed = await signMany(count);
      expect(new Set(signed.map(({ signature }) => toHex(signature.subarray(0, ED25519_BYTES)))).size).toBe(1);
      for (const [i, each] of signed.entries()) {
        expect(decodeReceipt(each.receipt)).toEqual(receiptOf(i + 1));
        expect(isSignedBy(signer.publicKey, each)).toBe(true);
        expect(await flaw(each)).toBeUndefined();
      }
    }
  });

  test('of two turns are signed apart; one alone has nothing but its signature', async () => {
    const [first] = await signMany(1);
    const [second] = await signMany(1);
    expect(first!.signature).toHaveLength(ED25519_BYTES);
    const again = await signMany(1);
    expect(again[0]).toEqual(second); // Ed25519 says the same of the same
  });

  test('are worth nothing with another receipt, place, path or end, and are no error', async () => {
    const [one, two, three] = await signMany(5);
    const good = { receipt: two!.receipt, signature: two!.signature };
    expect(await flaw(good)).toBeUndefined();
    for (let at = 0; at < good.signature.length; at += 1) {
      const signature = good.signature.slice();
      signature[at]! ^= 1;
      const other = { receipt: good.receipt, signature };
      expect(isSignedBy(signer.publicKey, other), `byte ${at}`).toBe(false);
      expect(await flaw(other), `byte ${at}`).toBeTypeOf('string');
    }
    const ends = [0, 1, 63, 64, 65, 71, 72, 103, good.signature.length - 1];
    for (const end of ends) {
      expect(await flaw({ ...good, signature: good.signature.subarray(0, end) }), `${end} bytes`).toBeTypeOf('string');
    }
    expect(await flaw({ ...good, signature: one!.signature })).toBeTypeOf('string');
    expect(await flaw({ ...good, receipt: three!.receipt })).toBeTypeOf('string');
    const tooLong = concatBytes(good.signature, new Uint8Array(32 * 33));
    expect(await flaw({ ...good, signature: tooLong })).toBeTypeOf('string');
  });

  test('are not to be had from a signature over something else: the root of receipts is no receipt', async () => {
    const [alone] = await signMany(1);
    const [together] = await signMany(2);
    const asAlone = { receipt: together!.receipt, signature: together!.signature.subarray(0, ED25519_BYTES) };
    expect(await flaw(asAlone)).toBeTypeOf('string');
    const place = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1);
    expect(await flaw({ ...alone!, signature: concatBytes(alone!.signature, place) })).toBeTypeOf('string');
  });
});
