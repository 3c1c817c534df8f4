import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Group } from '../../src/client/engine/types.ts';
import { waitUntilCommitAnswered } from '../../src/client/runner/commit-answered.ts';
import { Aborted } from '../../src/client/runner/retry.ts';
import type { GroupId } from '../../src/wire/ids.ts';

const GROUP = 'tea' as GroupId;
const MINUTE_MS = 60_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A group with a commit that the server has not answered. */
function unanswered() {
  const groups = new Map([[GROUP, { pending: { accepted: false } } as unknown as Group]]);
  let look = (): void => {};
  const asked: AbortSignal[] = [];
  const stop = new AbortController();
  const waiting = waitUntilCommitAnswered(
    {
      state: { groups },
      hub: {
        onCommitted: (listener) => {
          look = listener;
          return () => {};
        },
      },
      ask: (_group, signal) => asked.push(signal),
    },
    GROUP,
    stop.signal,
  );
  const answer = (): void => {
    groups.set(GROUP, { pending: { accepted: true } } as unknown as Group);
    look();
  };
  return { asked, answer, stop, waiting };
}

test('D16: a server that does not say what became of a commit is asked again every minute, for as long as it takes', async () => {
  const { asked, answer, waiting } = unanswered();
  await vi.advanceTimersByTimeAsync(3 * MINUTE_MS);
  // one question at a time
  expect(asked.map(({ aborted }) => aborted)).toEqual([true, true, true, false]);
  answer();
  await waiting;
  expect(asked.at(-1)!.aborted).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

test('nobody is asked any more once nobody waits', async () => {
  const { asked, stop, waiting } = unanswered();
  stop.abort();
  await expect(waiting).rejects.toThrow(Aborted);
  expect(asked.map(({ aborted }) => aborted)).toEqual([true]);
});
