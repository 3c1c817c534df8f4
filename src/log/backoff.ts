import { setTimeout as delay } from 'node:timers/promises';
import { LogError } from './errors.ts';

/** Waiting times of a retry: doubling from `firstMs` to `maxMs`, each taken at random from its upper half. */
export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** The waiting time before the attempt after `attempt` (from 0). `random` is in [0, 1). */
export function backoffMs(backoff: Backoff, attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(attempt, 30));
  return ceiling / 2 + (random() * ceiling) / 2;
}

/** Waits. @throws LogError `aborted` when the signal fires first. */
export async function wait(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    throw new LogError('aborted', 'given up while waiting', { cause });
  }
}
