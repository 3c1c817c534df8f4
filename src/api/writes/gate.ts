import { ProblemError } from '../../wire/problems.ts';
import { createAdaptiveLimit } from '../http/adaptive-limit.ts';
import { notReady } from '../http/problem.ts';

/** Counts appends under way and turns away what would be too many: under overload an answer beats a queue. */
export interface Gate {
  readonly inFlight: number;
  /** @throws ProblemError `not-ready` when the gate is full, `storage-full` when the disk is. */
  pass<Result>(work: () => Promise<Result>): Promise<Result>;
}

const RETRY = { retryAfterSeconds: 60 };
/** Never refused, however long they take: a slow disk is no overload. */
const FLOOR = 128;
/** A calm log takes a burst of so many. */
const START = 512;
/** An append to a log that has time takes a few milliseconds. */
const TARGET_MS = 100;

/**
 * @param max never exceeded; while appends take long, fewer are let in
 * @param hasRoom whether more may be stored at all
 */
export function createGate(
  max: number,
  hasRoom: () => boolean = () => true,
  clock: () => number = () => performance.now(),
): Gate {
  const limit = createAdaptiveLimit({ floor: Math.min(FLOOR, max), start: START, max, targetMs: TARGET_MS });
  let inFlight = 0;
  return {
    get inFlight() {
      return inFlight;
    },
    async pass(work) {
      if (inFlight >= limit.current) throw notReady('too many writes are under way');
      if (!hasRoom()) throw new ProblemError('storage-full', 'this server has no room for more', RETRY);
      inFlight += 1;
      const enteredAt = clock();
      try {
        return await work();
      } finally {
        const now = clock();
        limit.sample(now - enteredAt, inFlight, now);
        inFlight -= 1;
      }
    },
  };
}
