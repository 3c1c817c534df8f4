import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { connect } from 'nats';
import { describe, expect, it } from 'vitest';
import { openLog } from '../../src/log/open-log.ts';
import { shareNext } from '../../src/log/share-next.ts';
import { nameLane } from '../../src/log/subjects.ts';
import { openManualServer, TEST_DOMAIN } from '../support/nats.ts';
import { EXAMPLES } from './events.ts';

/** A question that is answered, with its number, when the test says so. */
function openQuestion() {
  const answers: { number: number; resolve: (number: number) => void; reject: (error: Error) => void }[] = [];
  let asked = 0;
  let most = 0;
  return {
    ask: shareNext(
      () =>
        new Promise<number>((resolve, reject) => {
          answers.push({ number: asked, resolve, reject });
          asked += 1;
          most = Math.max(most, answers.length);
        }),
    ),
    get asked() {
      return asked;
    },
    get most() {
      return most;
    },
    get awaited() {
      return answers.length;
    },
    async answer(which: number, failed = false): Promise<void> {
      const [one] = answers.splice(which % answers.length, 1);
      if (failed) one?.reject(new Error(String(one.number)));
      else one?.resolve(one.number);
      await new Promise<void>((resolve) => setImmediate(resolve));
    },
  };
}

describe('a question that many share', () => {
  it('is answered to everybody by one that went out after they asked; at most two are under way', async () => {
    const steps = fc.array(fc.record({ asks: fc.nat(5), answers: fc.nat(), fails: fc.boolean() }), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(steps, async (played) => {
        const question = openQuestion();
        const told: Promise<void>[] = [];
        const ask = (): void => {
          const before = question.asked;
          const settled = question.ask().catch((error: Error) => Number(error.message));
          told.push(settled.then((number) => expect(number).toBeGreaterThanOrEqual(before)));
        };
        for (const { asks, answers, fails } of played) {
          for (let i = 0; i < asks; i += 1) ask();
          if (question.awaited > 0) await question.answer(answers, fails);
        }
        while (question.awaited > 0) await question.answer(0);
        await Promise.all(told);
        expect(question.most).toBeLessThanOrEqual(2);
      }),
      { numRuns: 200 },
    );
  });

  it('goes out once for all who come while two are awaited, as soon as one of these is answered or has failed', async () => {
    for (const failed of [false, true]) {
      const question = openQuestion();
      const first = [question.ask(), question.ask()].map((one) => one.catch(() => -1));
      const many = Array.from({ length: 500 }, () => question.ask());
      expect(question.asked).toBe(2);
      await question.answer(1, failed);
      expect(question.asked).toBe(3);
      await question.answer(1);
      expect(new Set(await Promise.all(many))).toEqual(new Set([2]));
      await question.answer(0);
      expect(await Promise.all(first)).toEqual([0, failed ? -1 : 1]);
    }
  });
});

it('a log that many ask at one time where it ends is asked a few times, and tells nobody of before it was asked', async () => {
  await using server = await openManualServer();
  const { place } = server;
  await using log = await openLog({ place, domain: TEST_DOMAIN, tablesEmpty: true });
  const nats = await connect({ servers: [...place.servers], token: place.token });
  let asked = 0;
  nats.subscribe('$JS.API.STREAM.INFO.MLS', {
    callback: () => {
      asked += 1;
    },
  });
  await nats.flush();
  for (let round = 0; round < 5; round += 1) {
    const early = Array.from({ length: 200 }, () => log.describe());
    const event = { ...EXAMPLES[0]!, id: randomUUID() };
    const appended = await log.append({ lane: nameLane('account', `name-${round}`), expected: 0, event });
    if (appended.kind !== 'committed') throw new Error(appended.kind);
    const late = await Promise.all(Array.from({ length: 200 }, () => log.describe()));
    for (const { lastSequence } of late) expect(lastSequence).toBeGreaterThanOrEqual(appended.sequence);
    await Promise.all(early);
  }
  await nats.flush();
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThanOrEqual(5 * 6);
  await nats.close();
});
