import { backoffMs } from './retry.ts';

/** Jitter before a commit that lost its epoch is made anew: up to this much for each loss, up to a bound. */
const COMMIT_JITTER_MS = 40;
const COMMIT_JITTER_MAX_MS = 2_000;

/** How long a commit is waited for that lost its epoch, or was refused, before it is made anew. */
export function commitDelayMs(
  { attempts, refusals }: { readonly attempts: number; readonly refusals: number },
  random: () => number,
): number {
  const afterLoss = Math.min(COMMIT_JITTER_MAX_MS, COMMIT_JITTER_MS * attempts) * random();
  return afterLoss + (refusals === 0 ? 0 : backoffMs(refusals, random));
}
