import { afterEach, expect, test, vi } from 'vitest';
import { waitUntilCaughtUp } from '../../src/client/runner/catch-up.ts';
import { Aborted } from '../../src/client/runner/retry.ts';
import { commitAnswerOf, promisedPlace } from '../../src/client/runner/server-answers.ts';
import { type ClientId, type Cursor, START_CURSOR } from '../../src/wire/ids.ts';
import type { Page } from '../../src/wire/page.ts';
import { ProblemError } from '../../src/wire/problems.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('an epoch that the server did not give as a whole number is not waited for', () => {
  const answerTo = (currentEpoch: unknown) =>
    commitAnswerOf(
      new ProblemError('epoch-conflict', 'too late', { members: { currentEpoch: currentEpoch as number } }),
    );
  expect(answerTo(7)).toEqual({ kind: 'conflict', epoch: 7 });
  for (const other of ['7', 1e300, Number.NaN, Number.POSITIVE_INFINITY, null, {}, 7.5]) {
    expect(answerTo(other)).toEqual({ kind: 'conflict', epoch: 0 });
  }
});

test('the receipt of an answer is about its last position, or about the end of what is gone with it', () => {
  const results = [
    { id: 'a' as ClientId, position: 5 },
    { id: 'b' as ClientId, position: 7 },
    { id: 'c' as ClientId, problem: 'forbidden' as const },
  ];
  expect(promisedPlace({ results })).toEqual({ id: 'b', position: 7 });
  expect(promisedPlace({ results, logStart: 12 })).toEqual({ position: 11 });
  // a server that says so of what it has to show is held to what it has to show
  expect(promisedPlace({ results, logStart: 7 })).toEqual({ id: 'b', position: 7 });
  expect(promisedPlace({ results: [], logStart: 7 })).toBeUndefined();
});

const emptyPage = (upToDate: boolean, cursor: string): Page => ({
  ...{ entries: [], cursors: new Uint8Array(0), heads: [], upToDate },
  cursor: cursor as Cursor,
});

function catchUp(pageOf: (ask: number) => Page) {
  let asked = 0;
  const ending = new AbortController();
  const world = {
    api: {
      syncPage: async () => {
        asked += 1;
        return pageOf(asked);
      },
    },
    sync: {
      whenUpToDate: async () => {},
      onPassed: () => () => {},
      isHeld: () => false,
      reached: START_CURSOR,
      compared: 0,
    },
    random: () => 0.5,
  };
  return { asked: () => asked, stop: () => ending.abort(), done: waitUntilCaughtUp(world, ending.signal) };
}

test('a server that shows empty pages for ever, with more to come, is asked less and less often', async () => {
  vi.useFakeTimers();
  const catching = catchUp((ask) => emptyPage(false, `c${ask}`));
  const ended = expect(catching.done).rejects.toBeInstanceOf(Aborted);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(catching.asked()).toBeLessThan(20);
  catching.stop();
  await ended;
});

test('empty pages that come to an end are waited for', async () => {
  vi.useFakeTimers();
  const catching = catchUp((ask) => emptyPage(ask === 4, `c${ask}`));
  await vi.advanceTimersByTimeAsync(10_000);
  await catching.done;
  expect(catching.asked()).toBe(4);
});
