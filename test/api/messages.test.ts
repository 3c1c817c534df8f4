import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/wire/bytes.ts';
import { decodeEntry } from '../../src/wire/entry.ts';
import { decodeReceipt } from '../../src/wire/receipt.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { pathOf } from '../support/test-device.ts';
import { useServer } from './support.ts';

const { server, pair } = useServer();

describe('messages', () => {
  it('of one request get positions in its order, with a receipt for the last', async () => {
    const { alice, bob, group } = await pair();
    const messages = [];
    for (let i = 0; i < 5; i += 1) messages.push({ id: newId(), message: await alice.encrypt(group, `text ${i}`) });
    const { results, epoch, receipt, time } = okValue(await alice.postMessages(group, messages));
    expect(results).toEqual(messages.map(({ id }, i) => ({ id, position: 3 + i })));
    expect(epoch).toBe(1);
    expect(decodeReceipt(receipt.receipt)).toMatchObject({ group, position: 7, time });
    expect(await bob.catchUp()).toEqual(['text 0', 'text 1', 'text 2', 'text 3', 'text 4']);
  });

  it('D15: are relayed exactly as they were received, padding and authenticated data included', async () => {
    const { alice, bob, group } = await pair();
    const sent: string[] = [];
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 300 }), async (text) => {
        const message = await alice.encrypt(group, text);
        okValue(await alice.postMessages(group, [{ id: newId(), message }]));
        sent.push(toHex(message));
      }),
      { numRuns: 20 },
    );
    const entries = await bob.syncAll();
    expect(entries.flatMap((entry) => (entry.kind === 'message' ? [toHex(entry.payload)] : []))).toEqual(sent);
  });

  it('D16: sent again with the same id and bytes keep their position, also after a restart; other bytes are a conflict', async () => {
    const { alice, bob, group } = await pair();
    const id = newId();
    const message = await alice.encrypt(group, 'once');
    const other = await alice.encrypt(group, 'another');
    const both = await Promise.all([
      alice.postMessages(group, [{ id, message }]),
      alice.postMessages(group, [{ id, message }]),
    ]);
    for (const answered of both) expect(okValue(answered).results).toEqual([{ id, position: 3 }]);
    await server().restart();
    expect(okValue(await alice.postMessages(group, [{ id, message }])).results).toEqual([{ id, position: 3 }]);
    expect(problemOf(await alice.postMessages(group, [{ id, message: other }])).code).toBe('idempotency-conflict');

    const fresh = newId();
    const mixed = okValue(
      await alice.postMessages(group, [
        { id, message },
        { id: fresh, message: other },
        { id, message: other },
      ]),
    );
    expect(mixed.results).toEqual([
      { id, position: 3 },
      { id: fresh, position: 4 },
      { id, problem: 'idempotency-conflict' },
    ]);
    expect(await bob.catchUp()).toEqual(['once', 'another']);
  });

  it('two at once with one id and different bytes: one is stored, the other is told', async () => {
    const { alice, group } = await pair();
    const id = newId();
    const [first, second] = [await alice.encrypt(group, 'a'), await alice.encrypt(group, 'b')];
    const answers = await Promise.all([
      alice.postMessages(group, [{ id, message: first }]),
      alice.postMessages(group, [{ id, message: second }]),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
  });

  it('of the last five epochs are taken, older ones get the conflict with what the sender missed', async () => {
    const { alice, bob, group } = await pair();
    const old = await bob.encrypt(group, 'from epoch 1');
    for (let i = 0; i < 5; i += 1) await alice.commit(group);
    expect(okValue(await bob.postMessages(group, [{ id: newId(), message: old }])).epoch).toBe(6);
    await alice.commit(group);
    const id = newId();
    const problem = problemOf(await bob.postMessages(group, [{ id, message: old }]));
    expect(problem).toMatchObject({ code: 'epoch-conflict', currentEpoch: 7 });
    expect(problem.entries!.length).toBeGreaterThanOrEqual(6);
    await bob.catchUp();
    const current = await bob.encrypt(group, 'now');
    const mixed = okValue(
      await bob.postMessages(group, [
        { id, message: old },
        { id: newId(), message: current },
      ]),
    );
    expect(mixed.results).toMatchObject([{ problem: 'epoch-conflict' }, { position: expect.any(Number) }]);
  });

  it('that are none, or of another group, are refused', async () => {
    const { alice, group } = await pair();
    const other = await alice.createGroup();
    const message = await alice.encrypt(other, 'elsewhere');
    const commit = (await alice.prepareCommit(group)).commit;
    for (const bytes of [message, commit, Uint8Array.of(1), message.slice(0, 20)]) {
      expect(problemOf(await alice.postMessages(group, [{ id: newId(), message: bytes }])).code).toBe(
        'invalid-request',
      );
    }
    expect(problemOf(await alice.postMessages(group, [])).code).toBe('invalid-request');
    const many = Array.from({ length: 101 }, () => ({ id: newId(), message }));
    expect(problemOf(await alice.postMessages(other, many)).code).toBe('invalid-request');
    expect(problemOf(await alice.postMessages(other, [{ id: 'short', message }])).code).toBe('invalid-request');
  });

  it('D4: are read by all in one order, and the heads they lead to are the same for all', async () => {
    const { alice, bob, group } = await pair();
    const texts = Array.from({ length: 12 }, (_, i) => i);
    await Promise.all(texts.map((i) => (i % 2 === 0 ? alice : bob).send(group, `text ${i}`)));
    const [mine, theirs] = await Promise.all(
      [alice, bob].map(async (by) => okValue(await by.http.request('GET', `${pathOf(group)}/log?after=2`))),
    );
    expect(theirs).toEqual(mine);
    const positions = mine.entries.map(decodeEntry).map(({ position }: { position: number }) => position);
    expect(positions).toEqual(texts.map((i) => i + 3));
  });
});
