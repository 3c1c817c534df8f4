import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AppendRequest, AppendResult } from '../../src/log/append.ts';
import { encodeEvent } from '../../src/log/envelope.ts';
import { LogError } from '../../src/log/errors.ts';
import type { MessagesSent } from '../../src/log/events.ts';
import { createGroupCommit } from '../../src/log/group-commit.ts';
import { openTestLog, readAll } from '../support/nats.ts';
import { batchOf, groupOf } from './events.ts';

/** A log that keeps what it gets and answers when it is told to. */
function modelLog(): {
  readonly events: MessagesSent[];
  readonly append: (request: AppendRequest) => Promise<AppendResult>;
  release(fail?: boolean): Promise<void>;
  waiting(): number;
} {
  const events: MessagesSent[] = [];
  const held: ((fail: boolean) => void)[] = [];
  return {
    events,
    append: ({ event }) =>
      new Promise((resolve, reject) => {
        held.push((fail) => {
          if (fail) {
            reject(new LogError('unavailable', 'model'));
            return;
          }
          events.push(event as MessagesSent);
          resolve({ kind: 'committed', sequence: events.length });
        });
      }),
    async release(fail = false) {
      held.shift()?.(fail);
      await new Promise((resolve) => setImmediate(resolve));
    },
    waiting: () => held.length,
  };
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('every submission is answered once, with where its messages stand; order is kept; no event exceeds its bounds', async () => {
  const step = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ messages: fc.integer({ min: 1, max: 6 }), bytes: fc.integer({ min: 0, max: 300 }) }),
    },
    { weight: 1, arbitrary: fc.constantFrom('release' as const, 'fail' as const) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), async (steps) => {
      const log = modelLog();
      const commit = createGroupCommit({ append: log.append, shard: 0, eventMaxBytes: 2_000, eventMaxMessages: 10 });
      const answers: Promise<string>[] = [];
      const order: number[] = [];
      for (const [number, step] of steps.entries()) {
        if (step === 'release' || step === 'fail') {
          await tick();
          await log.release(step === 'fail');
          continue;
        }
        const ids = Array.from({ length: step.messages }, (_, i) => `${number}:${i}`);
        answers.push(
          commit.submit(batchOf(groupOf(number), ids, step.bytes)).then(
            ({ sequence, eventId, index, firstMessage }) => {
              order.push(number);
              const event = log.events[sequence - 1]!;
              expect(event.id).toBe(eventId);
              expect(event.batches[index]!.messages.map(([id]) => id)).toEqual(ids);
              const all = event.batches.flatMap((batch) => batch.messages.map(([id]) => id));
              expect(all.slice(firstMessage, firstMessage + ids.length)).toEqual(ids);
              return 'stored';
            },
            (error: LogError) => error.code,
          ),
        );
      }
      const closed = commit.close();
      await tick();
      while (log.waiting() > 0) await log.release();
      await closed;
      const outcomes = await Promise.all(answers);
      expect(outcomes.filter((outcome) => outcome === 'stored')).toHaveLength(
        log.events.reduce((sum, event) => sum + event.batches.length, 0),
      );
      expect(outcomes.every((outcome) => outcome === 'stored' || outcome === 'unavailable')).toBe(true);
      expect(order).toEqual([...order].sort((a, b) => a - b));
      for (const event of log.events) {
        if (event.batches.length === 1) continue;
        expect(event.batches.reduce((sum, batch) => sum + batch.messages.length, 0)).toBeLessThanOrEqual(10);
      }
    }),
    { numRuns: 100 },
  );
});

test('what arrives while an event is on its way travels together in the next one', async () => {
  const log = modelLog();
  const commit = createGroupCommit({ append: log.append, shard: 3 });
  const first = commit.submit(batchOf(groupOf(1), ['first']));
  await tick();
  const rest = ['a', 'b', 'c'].map((id) => commit.submit(batchOf(groupOf(2), [id])));
  await tick();
  expect(log.waiting()).toBe(1);
  await log.release();
  await log.release();
  expect((await first).sequence).toBe(1);
  expect((await Promise.all(rest)).map(({ sequence, index }) => [sequence, index])).toEqual([
    [2, 0],
    [2, 1],
    [2, 2],
  ]);
});

test('a full queue refuses with overloaded, and takes again when it has emptied', async () => {
  const log = modelLog();
  const commit = createGroupCommit({ append: log.append, shard: 0, queueMaxBytes: 1_000 });
  const first = commit.submit(batchOf(groupOf(1), ['first']));
  await tick();
  const second = commit.submit(batchOf(groupOf(1), ['second'], 700));
  await expect(commit.submit(batchOf(groupOf(1), ['third'], 700))).rejects.toMatchObject({ code: 'overloaded' });
  await log.release();
  await log.release();
  await Promise.all([first, second]);
  const fourth = commit.submit(batchOf(groupOf(1), ['fourth'], 700));
  await tick();
  await log.release();
  expect((await fourth).sequence).toBe(3);
});

test('batches that the server takes singly never fail for being packed together: no event is larger than it takes', async () => {
  const payloadMaxBytes = 20_000;
  const sizes = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 20, maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(sizes, async (bytes) => {
      const log = modelLog();
      const commit = createGroupCommit({ append: log.append, shard: 0, payloadMaxBytes });
      const answers = bytes.map((size, i) => commit.submit(batchOf(groupOf(i), [`message-id-of-22-${i}`], size)));
      await tick();
      while (log.waiting() > 0) await log.release();
      await Promise.all(answers);
      for (const event of log.events) expect(encodeEvent(event).length + 512).toBeLessThanOrEqual(payloadMaxBytes);
    }),
    { numRuns: 20 },
  );
});

test('closing while the log is away waits for one event, not for every one that is queued', async () => {
  const log = modelLog();
  const commit = createGroupCommit({ append: log.append, shard: 0, eventMaxMessages: 1 });
  const answers = ['a', 'b', 'c', 'd'].map((id) => commit.submit(batchOf(groupOf(1), [id])));
  const codes = Promise.all(answers.map((answer) => answer.catch((error: LogError) => error.code)));
  await tick();
  await log.release();
  const closing = commit.close();
  await log.release(true);
  await closing;
  expect(await codes).toEqual([
    { sequence: 1, eventId: log.events[0]!.id, index: 0, firstMessage: 0 },
    'unavailable',
    'closed',
    'closed',
  ]);
});

test('with a real log, 2,000 concurrent submissions need far fewer events and are all there, in order', async () => {
  await using opened = await openTestLog();
  const { log } = opened;
  const answers = await Promise.all(
    Array.from({ length: 2_000 }, (_, i) => log.submitMessages(batchOf(groupOf(i % 7), [`message-${i}`], 200))),
  );
  const entries = await readAll(log);
  const stored = entries.flatMap(({ event }) => (event.type === 'messages-sent' ? event.batches : []));
  expect(stored.map((batch) => batch.messages[0]![0])).toEqual(Array.from({ length: 2_000 }, (_, i) => `message-${i}`));
  expect(new Set(answers.map(({ sequence }) => sequence)).size).toBeLessThan(100);
});
