import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AppendRequest } from '../../src/log/append.ts';
import { encodeEvent } from '../../src/log/envelope.ts';
import { LOG_LANE, nameLane } from '../../src/log/subjects.ts';
import { logErrorCode } from '../support/log-error-code.ts';
import { killServer, openTestLog, readAll, type TestLog } from '../support/nats.ts';
import { batchOf, commit, groupOf, proposal } from './events.ts';

let opened: TestLog;
let nextGroup = 100;
const newGroup = (): Uint8Array => groupOf(nextGroup++);

beforeAll(async () => {
  opened = await openTestLog();
});
afterAll(async () => {
  await opened[Symbol.asyncDispose]();
});

describe('a compared lane', () => {
  test('D1 of 100 concurrent appends with the same expectation exactly one is committed, 99 are conflicts', async () => {
    const { log } = opened;
    for (let round = 0; round < 5; round += 1) {
      const group = newGroup();
      const results = await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          log.append({
            lane: { kind: 'group-commit', group },
            expected: 0,
            event: commit(`race-${round}-${i}`, group),
          }),
        ),
      );
      const committed = results.filter(({ kind }) => kind === 'committed');
      expect(committed).toHaveLength(1);
      const sequence = committed[0]?.kind === 'committed' ? committed[0].sequence : 0;
      expect(results.filter((result) => result.kind === 'conflict' && result.lastSequence === sequence)).toHaveLength(
        99,
      );
    }
  });

  test('an append that expects what is there is committed, any other is a conflict that says where the lane stands', async () => {
    const { log } = opened;
    const lane = nameLane('account', 'somebody');
    const first = await log.append({ lane, expected: 0, event: commit('name-1', newGroup()) });
    expect(first.kind).toBe('committed');
    const at = first.kind === 'committed' ? first.sequence : 0;
    expect(await log.append({ lane, expected: 0, event: commit('name-2', newGroup()) })).toEqual({
      kind: 'conflict',
      lastSequence: at,
    });
    expect(await log.append({ lane, expected: at + 1, event: commit('name-3', newGroup()) })).toEqual({
      kind: 'conflict',
      lastSequence: at,
    });
    expect((await log.append({ lane, expected: at, event: commit('name-4', newGroup()) })).kind).toBe('committed');
    const empty = nameLane('account', 'nobody');
    expect(await log.append({ lane: empty, expected: at, event: commit('name-5', newGroup()) })).toEqual({
      kind: 'conflict',
      lastSequence: 0,
    });
  });

  test('the same event again is a duplicate of itself, also when others have followed it', async () => {
    const { log } = opened;
    const group = newGroup();
    const lane = { kind: 'group-commit', group } as const;
    const first = await log.append({ lane, expected: 0, event: commit('again-1', group) });
    const at = first.kind === 'committed' ? first.sequence : 0;
    expect(await log.append({ lane, expected: 0, event: commit('again-1', group) })).toEqual({
      kind: 'duplicate',
      sequence: at,
    });
    await log.append({ lane, expected: at, event: commit('again-2', group, 1) });
    expect(await log.append({ lane, expected: 0, event: commit('again-1', group) })).toEqual({
      kind: 'duplicate',
      sequence: at,
    });
    const others = (await readAll(log)).filter(({ event }) => event.id === 'again-1');
    expect(others).toHaveLength(1);
  });

  test('there is no append without an expectation, and none with one on a lane that compares nothing', async () => {
    const { log } = opened;
    const group = newGroup();
    const wrong: unknown[] = [
      { lane: { kind: 'group-commit', group }, event: commit('wrong-1', group) },
      { lane: { kind: 'group-commit', group }, expected: undefined, event: commit('wrong-1', group) },
      { lane: { kind: 'group-commit', group }, expected: -1, event: commit('wrong-1', group) },
      { lane: { kind: 'group-commit', group }, expected: 1.5, event: commit('wrong-1', group) },
      { lane: { kind: 'group-commit', group }, expected: '0', event: commit('wrong-1', group) },
      { lane: LOG_LANE, event: commit('wrong-1', group) },
      { lane: { kind: 'account', account: 'x' }, event: commit('wrong-1', group) },
      { lane: { kind: 'name', hash: 'x' }, event: commit('wrong-1', group) },
      { lane: { kind: 'group-proposal', group }, expected: 0, event: proposal('wrong-1', group) },
      { lane: { kind: 'account', account: 'a.b' }, expected: 0, event: commit('wrong-1', group) },
    ];
    for (const request of wrong)
      expect(await logErrorCode(log.append(request as AppendRequest))).toBe('invalid-append');
    expect((await readAll(log)).some(({ event }) => event.id === 'wrong-1')).toBe(false);
  });
});

describe('a lane that compares nothing', () => {
  test('takes concurrent appends without a conflict, each once', async () => {
    const { log } = opened;
    const group = newGroup();
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        log.append({ lane: { kind: 'group-proposal', group }, event: proposal(`proposal-${i}`, group) }),
      ),
    );
    expect(results.every(({ kind }) => kind === 'committed')).toBe(true);
    const again = await log.append({ lane: { kind: 'group-proposal', group }, event: proposal('proposal-0', group) });
    expect(again).toEqual({ ...results[0], kind: 'duplicate' });
  });
});

describe('sizes', () => {
  test('a commit bundle of 8 MiB fits; one of 9 MiB is too-large and nothing is stored', async () => {
    const { log } = opened;
    const group = newGroup();
    const lane = { kind: 'group-commit', group } as const;
    const tooLarge = commit('too-large', group, 0, 9 * 1024 * 1024);
    expect(await logErrorCode(log.append({ lane, expected: 0, event: tooLarge }))).toBe('too-large');
    const large = commit('large', group, 0, 8 * 1024 * 1024);
    expect((await log.append({ lane, expected: 0, event: large })).kind).toBe('committed');
    expect(await log.append({ lane, expected: 0, event: commit('late', group) })).toMatchObject({ kind: 'conflict' });
    const stored = (await readAll(log)).find(({ event }) => event.id === 'large');
    expect(Buffer.compare(stored!.bytes, encodeEvent(large))).toBe(0);
  });

  test('a full store is storage-full, and the log goes on when there is room', async () => {
    await using small = await openTestLog();
    const folder = small.folder;
    await small.log.close();
    await using tight = await openTestLog({ place: { folder, maxStoreBytes: 3 * 1024 * 1024 }, tablesEmpty: false });
    const group = newGroup();
    let code = 'no error';
    let stored = 0;
    for (let i = 0; i < 8 && code === 'no error'; i += 1) {
      const event = proposal(`full-${i}`, group);
      code = await logErrorCode(
        tight.log.append({
          lane: { kind: 'group-proposal', group },
          event: { ...event, proposal: new Uint8Array(1024 * 1024) },
        }),
      );
      if (code === 'no error') stored += 1;
    }
    expect(code).toBe('storage-full');
    expect((await readAll(tight.log)).length).toBe(stored + 1);
    await tight.log.close();
    await using roomy = await openTestLog({ place: { folder }, tablesEmpty: false });
    expect(
      (await roomy.log.append({ lane: { kind: 'group-proposal', group }, event: proposal('room', group) })).kind,
    ).toBe('committed');
  });
});

describe('appendDecided', () => {
  test('decides again from a newer view after a conflict, with the same event id, until all are in', async () => {
    const { log } = opened;
    const group = newGroup();
    const lane = { kind: 'group-commit', group } as const;
    const view = async (atLeast: number): Promise<{ last: number; epoch: number }> => {
      const entries = (await readAll(log)).filter(
        ({ event }) => event.type === 'commit-accepted' && Buffer.from(event.group).equals(group),
      );
      const last = entries.at(-1)?.sequence ?? 0;
      expect(last).toBeGreaterThanOrEqual(atLeast);
      return { last, epoch: entries.length };
    };
    const results = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        log.appendDecided({
          eventId: `decided-${i}`,
          view,
          decide: ({ last, epoch }, id) => ({ kind: 'append', lane, expected: last, event: commit(id, group, epoch) }),
        }),
      ),
    );
    expect(results.every(({ kind }) => kind === 'committed')).toBe(true);
    const epochs = (await readAll(log)).flatMap(({ event }) =>
      event.type === 'commit-accepted' && Buffer.from(event.group).equals(group) ? [event.epoch] : [],
    );
    expect(epochs).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('answers without appending when the decision says so, and gives up after a bounded number of conflicts', async () => {
    const { log } = opened;
    const group = newGroup();
    const lane = { kind: 'group-commit', group } as const;
    expect(
      await log.appendDecided({
        eventId: 'answered',
        view: async () => 7,
        decide: (view) => ({ kind: 'answer', answer: view + 1 }),
      }),
    ).toEqual({ kind: 'answer', answer: 8 });
    await log.append({ lane, expected: 0, event: commit('blocker', group) });
    const lost = await log.appendDecided({
      eventId: 'blind',
      view: async () => 0,
      decide: (_, id) => ({ kind: 'append', lane, expected: 0, event: commit(id, group) }),
    });
    expect(lost.kind).toBe('conflict');
  });

  test('refuses a decision whose event has another id', async () => {
    const group = newGroup();
    const lane = { kind: 'group-commit', group } as const;
    const decided = opened.log.appendDecided({
      eventId: 'one-id',
      view: async () => 0,
      decide: () => ({ kind: 'append', lane, expected: 0, event: commit('another-id', group) }),
    });
    expect(await logErrorCode(decided)).toBe('invalid-append');
  });
});

test('an append rides out the death of the server and is stored once', async () => {
  const { log } = opened;
  const group = newGroup();
  const before = log.append({ lane: { kind: 'group-proposal', group }, event: proposal('ride-1', group) });
  const killed = killServer(log);
  const during = log.append({ lane: { kind: 'group-proposal', group }, event: proposal('ride-2', group) });
  await killed;
  for (const result of [await before, await during]) expect(['committed', 'duplicate']).toContain(result.kind);
  const ids = (await readAll(log)).map(({ event }) => event.id).filter((id) => id.startsWith('ride-'));
  expect(ids.sort()).toEqual(['ride-1', 'ride-2']);
});

test('after close every append is refused with closed, and those under way were answered', async () => {
  await using closing = await openTestLog();
  const group = newGroup();
  const underWay = Array.from({ length: 20 }, (_, i) =>
    closing.log.append({ lane: { kind: 'group-proposal', group }, event: proposal(`closing-${i}`, group) }),
  );
  const messages = closing.log.submitMessages(batchOf(group, ['m-1']));
  await closing.log.close();
  expect((await Promise.all(underWay)).every(({ kind }) => kind === 'committed')).toBe(true);
  expect((await messages).sequence).toBeGreaterThan(0);
  const late = closing.log.append({ lane: { kind: 'group-proposal', group }, event: proposal('late', group) });
  expect(await logErrorCode(late)).toBe('closed');
  expect(await logErrorCode(closing.log.submitMessages(batchOf(group, ['m-2'])))).toBe('closed');
});
