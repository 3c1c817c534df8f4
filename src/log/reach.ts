import { type Backoff, backoffMs, wait } from './backoff.ts';
import { LogError } from './errors.ts';

export interface ReachOptions {
  /** How long something that is not there yet is tried again; 0: once. */
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
  /** Told once, before the first wait. */
  readonly onWaiting: (reason: string) => void;
}

const RETRY: Backoff = { firstMs: 100, maxMs: 3_000 };
const MS = 1000;

/**
 * Tries until what is unavailable is there. Whatever else it fails with is thrown at once.
 *
 * @throws what `open` throws; LogError `unavailable` after `waitMs`; `aborted` at once when the signal fires: what is opened
 *   after all is closed then.
 */
export async function untilReached<Opened extends { close(): Promise<void> }>(
  open: () => Promise<Opened>,
  { waitMs, signal, onWaiting }: ReachOptions,
): Promise<Opened> {
  const deadline = performance.now() + waitMs;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await orAborted(open(), signal);
    } catch (error) {
      if (!(error instanceof LogError && error.code === 'unavailable') || waitMs === 0) throw error;
      if (performance.now() > deadline) {
        throw new LogError('unavailable', `${error.message}; waited ${waitMs / MS} s`, { cause: error });
      }
      if (attempt === 0) onWaiting(error.message);
      await wait(backoffMs(RETRY, attempt), signal);
    }
  }
}

function orAborted<Opened extends { close(): Promise<void> }>(
  opening: Promise<Opened>,
  signal: AbortSignal | undefined,
): Promise<Opened> {
  if (signal === undefined) return opening;
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      reject(new LogError('aborted', 'given up while reaching for the log'));
      opening.then((late) => late.close()).catch(() => undefined); // nobody waits for it any more
    };
    signal.addEventListener('abort', giveUp, { once: true });
    opening.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
    if (signal.aborted) giveUp();
  });
}
