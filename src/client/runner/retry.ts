import { ProblemError } from '../../wire/problems.ts';
import { onAbort } from '../on-abort.ts';
import { isPassing } from './failures.ts';

const FIRST_MS = 100;
const MAX_MS = 15_000;
/** Whatever a server asks for: longer than this nobody waits, and a timer of weeks would fire at once. */
const PAUSE_MAX_MS = 5 * 60_000;

/** Waiting time before the next attempt: doubling, jittered over its upper half, bounded. */
export function backoffMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(attempt, 20));
  return ceiling / 2 + (random() * ceiling) / 2;
}

/** Resolves after `ms`, at most {@link PAUSE_MAX_MS}, or at once when the signal fires or fired. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, PAUSE_MAX_MS));
    const stop = onAbort(signal, done);
  });
}

/** Work that was given up because its signal fired. */
export class Aborted extends Error {
  override readonly name = 'Aborted';
}

/**
 * Asks until there is an answer, or a failure that another attempt would not change. Without end but for the signal:
 * what is asked this way is stored, and has to be answered some day.
 *
 * @throws Aborted when the signal fires
 */
export async function untilAnswered<Answer>(
  ask: () => Promise<Answer>,
  options: {
    readonly signal: AbortSignal;
    readonly random: () => number;
    readonly wake: (ms: number) => Promise<void>;
  },
): Promise<Answer> {
  for (let attempt = 0; ; attempt += 1) {
    if (options.signal.aborted) throw new Aborted();
    try {
      return await ask();
    } catch (error) {
      if (options.signal.aborted) throw new Aborted();
      if (!isPassing(error)) throw error;
      const asked = error instanceof ProblemError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
      await options.wake(Math.max(asked, backoffMs(attempt, options.random)));
    }
  }
}
