import { describe, expect, it } from 'vitest';
import { openSite } from '../../src/tools/site.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import type { GroupId, Position } from '../../src/wire/ids.ts';
import { decodeReceipt } from '../../src/wire/receipt.ts';
import { isSignedBy } from '../support/receipt-signatures.ts';
import { newId, okValue } from '../support/signed-client.ts';
import { useServer } from './support.ts';

const WAIT_MS = 120_000;
const { server, pair } = useServer();

/** Ends what is served before a position; resolves when the server has folded it. */
async function cut(group: Uint8Array, logStart: number): Promise<Uint8Array> {
  const { folder: dataFolder } = server();
  const { projections } = server().running();
  const { head } = projections.read.entryAt(toBase64Url(group) as GroupId, (logStart - 1) as Position)!;
  const options = { dataFolder, secretFile: '', domain: 'localhost', log: { kind: 'embedded' } } as const;
  await using site = await openSite(options);
  const sequence = await (await site.openLog()).compactGroups([{ group, logStart, head }]);
  await projections.read.waitForSequence(sequence, AbortSignal.timeout(WAIT_MS));
  return head;
}

describe('messages that are sent again when they are no longer kept', () => {
  it('D16: get their positions, and a receipt for the end of what is gone, which the server can be held to', async () => {
    const { alice, group } = await pair();
    const messages = [];
    for (let i = 0; i < 4; i += 1) messages.push({ id: newId(), message: await alice.encrypt(group, `text ${i}`) });
    const [first, second, third] = messages as [(typeof messages)[0], (typeof messages)[0], (typeof messages)[0]];
    const before = okValue(await alice.postMessages(group, messages));
    expect(before.logStart).toBeUndefined();
    const head = await cut(group, 6);
    const gone = okValue(await alice.postMessages(group, [first, second]));
    expect(gone).toMatchObject({ results: before.results.slice(0, 2), logStart: 6 });
    expect(decodeReceipt(gone.receipt.receipt)).toMatchObject({ group, position: 5, head, time: gone.time });
    const { serverKey } = okValue(await alice.http.request('GET', '/.well-known/mlsd'));
    expect(isSignedBy(serverKey, gone.receipt)).toBe(true);
    // what is kept is signed for as ever, also where some of the request is gone
    for (const sent of [messages, [second, third, messages[3]!]]) {
      const answer = okValue(await alice.postMessages(group, sent));
      expect(answer.results).toEqual(before.results.slice(-sent.length));
      expect(answer.logStart).toBeUndefined();
      expect(decodeReceipt(answer.receipt.receipt)).toMatchObject({ position: 6 });
      expect(answer.receipt.receipt).not.toEqual(before.receipt.receipt);
      expect(decodeReceipt(answer.receipt.receipt).head).toEqual(decodeReceipt(before.receipt.receipt).head);
    }
    await server().restart();
    const later = okValue(await alice.postMessages(group, [first]));
    expect(decodeReceipt(later.receipt.receipt)).toMatchObject({ position: 5, head });
  });

  it('name the start as it is now, further on with each compaction', async () => {
    const { alice, group } = await pair();
    const sent = { id: newId(), message: await alice.encrypt(group, 'once') };
    okValue(await alice.postMessages(group, [sent]));
    for (let i = 0; i < 3; i += 1) await alice.send(group, `text ${i}`);
    for (const logStart of [4, 6]) {
      const head = await cut(group, logStart);
      const answer = okValue(await alice.postMessages(group, [sent]));
      expect(answer).toMatchObject({ results: [{ id: sent.id, position: 3 }], logStart });
      expect(decodeReceipt(answer.receipt.receipt)).toMatchObject({ position: logStart - 1, head });
    }
  });
});
