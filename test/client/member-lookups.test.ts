import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createTokenBuckets } from '../../src/api/auth/token-buckets.ts';
import { createMemberLookups, type MemberLookups } from '../../src/client/runner/member-lookups.ts';
import { Aborted, pause } from '../../src/client/runner/retry.ts';
import { TransportError } from '../../src/client/transport/server-api.ts';
import type { AccountId, GroupId } from '../../src/wire/ids.ts';
import { DEFAULT_LIMITS } from '../../src/wire/limits.ts';
import { ProblemError } from '../../src/wire/problems.ts';

const GROUP = 'tea' as GroupId;
/** How long a server takes for an answer. */
const ANSWER_MS = 4;
/** Longer than all of it takes, by the clock of this test. */
const LONG_MS = 10 * 60_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

interface Scene {
  readonly lookups: MemberLookups;
  /** What was asked for so far, and when. */
  readonly asked: { readonly id: string; readonly at: number }[];
}

/** Look-ups of a server that answers each account unless `refuse` throws. */
function scene(refuse: (id: string, times: number) => void = () => undefined): Scene {
  const asked: { id: string; at: number }[] = [];
  const lookups = createMemberLookups({
    random: () => 0.5,
    accounts: {
      fetch: async ([id]) => {
        asked.push({ id: id!, at: Date.now() });
        await pause(ANSWER_MS, neverFires());
        refuse(id!, asked.filter((each) => each.id === id).length);
      },
    },
  });
  return { lookups, asked };
}

const accounts = (...names: string[]): AccountId[] => names as AccountId[];
const membersOf = (count: number): AccountId[] => accounts(...Array.from({ length: count }, (_, i) => `member-${i}`));
const namesOf = ({ asked }: Scene): string[] => asked.map(({ id }) => id);
const neverFires = (): AbortSignal => new AbortController().signal;

test('the members of a large group are asked for once each, and most of what a server gives a device stays free', async () => {
  const { requestsPerSecond: perSecond, requestsBurst: burst } = DEFAULT_LIMITS;
  const buckets = createTokenBuckets({ perSecond, burst });
  let worst = 0;
  const all = scene(() => {
    worst = Math.max(worst, buckets.take('device', Date.now()));
    if (worst > 0) throw new ProblemError('rate-limited', 'too many', { retryAfterSeconds: worst });
  });
  const done = all.lookups.ask(membersOf(1_000), { group: GROUP, signal: neverFires() });
  await vi.advanceTimersByTimeAsync(LONG_MS);
  await done;
  expect(namesOf(all)).toEqual(membersOf(1_000));
  expect(worst).toBe(0);
  const inASecond = all.asked.map(({ at }) => all.asked.filter((each) => each.at >= at && each.at < at + 1_000).length);
  expect(Math.max(...inASecond)).toBeLessThanOrEqual(perSecond / 10);
});

test('an account that is not answered is asked for again, without the others, who go first', async () => {
  const all = scene((id, times) => {
    if (id === 'bob' && times <= 3) throw new TransportError('malformed', 'no account');
  });
  const done = all.lookups.ask(accounts('alice', 'bob', 'carol', 'dave'), { group: GROUP, signal: neverFires() });
  await vi.advanceTimersByTimeAsync(LONG_MS);
  await done;
  expect(namesOf(all)).toEqual(['alice', 'bob', 'carol', 'dave', 'bob', 'bob', 'bob']);
});

test('an account that is refused is not asked for again, and all others are', async () => {
  const all = scene((id) => {
    if (id === 'alice') throw new ProblemError('forbidden', 'not for you');
  });
  const done = all.lookups.ask(accounts('alice', 'bob', 'carol'), { group: GROUP, signal: neverFires() });
  await vi.advanceTimersByTimeAsync(LONG_MS);
  await done;
  expect(namesOf(all)).toEqual(['alice', 'bob', 'carol']);
});

test('a device that was revoked asks for nobody else', async () => {
  const all = scene(() => {
    throw new ProblemError('unauthenticated', 'revoked', { members: { reason: 'revoked' } });
  });
  const done = all.lookups.ask(accounts('alice', 'bob', 'carol'), { group: GROUP, signal: neverFires() });
  await vi.advanceTimersByTimeAsync(LONG_MS);
  await done;
  expect(namesOf(all)).toEqual(['alice']);
});

test('what several groups ask for at a time is asked for once, and again for a group that was joined later', async () => {
  const all = scene();
  const people = accounts('alice', 'bob', 'carol');
  const ask = (group: string): Promise<void> =>
    all.lookups.ask(people, { group: group as GroupId, signal: neverFires() });
  const first = [ask('tea'), ask('coffee')];
  await vi.advanceTimersByTimeAsync(ANSWER_MS);
  const later = ask('cake'); // alice was asked for before
  await vi.advanceTimersByTimeAsync(LONG_MS);
  await Promise.all([...first, later]);
  expect(namesOf(all).sort()).toEqual(['alice', 'alice', 'bob', 'carol']);
});

test('nobody is asked for once the work is given up, and others who wait go on', async () => {
  const all = scene();
  const controller = new AbortController();
  const given = all.lookups.ask(membersOf(100), { group: GROUP, signal: controller.signal });
  const end = expect(given).rejects.toBeInstanceOf(Aborted);
  const other = all.lookups.ask(accounts('zoe'), { group: 'coffee' as GroupId, signal: neverFires() });
  await vi.advanceTimersByTimeAsync(ANSWER_MS);
  controller.abort();
  await vi.advanceTimersByTimeAsync(LONG_MS);
  await Promise.all([end, other]);
  expect(namesOf(all).length).toBeLessThanOrEqual(4);
  expect(namesOf(all)).toContain('zoe');
});
