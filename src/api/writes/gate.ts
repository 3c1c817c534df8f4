import { ProblemError } from '../../wire/problems.ts';
import type { AdaptiveLimit } from '../http/adaptive-limit.ts';
import { overloaded } from '../http/problem.ts';

/** Counts appends under way. The door looks at it before it lets a write in; what comes another way is turned away here. */
export interface Gate {
  readonly inFlight: number;
  readonly isFull: boolean;
  /**
   * @param refuse asked first when the disk is full: who is refused whatever room there is should not wait for some. It has to be
   *   of this turn of the event loop, for it is counted nowhere. What it reads is bounded by what the door lets in: to name the epoch
   *   of a message it takes that apart, up to the largest one allowed; a gate that is full does not ask it
   * @throws ProblemError `not-ready` when the gate is full, `storage-full` when the disk is, and that of `refuse`
   */
  pass<Result>(work: () => Promise<Result>, refuse?: () => void): Promise<Result>;
}

const RETRY = { retryAfterSeconds: 60 };

/**
 * @param max never exceeded
 * @param hasRoom whether more may be stored at all
 * @param load told of each append; one that fails is none that was done
 */
export function createGate(
  max: number,
  hasRoom: () => boolean = () => true,
  load?: Pick<AdaptiveLimit, 'enter' | 'done' | 'leave'>,
  clock: () => number = () => performance.now(),
): Gate {
  let inFlight = 0;
  return {
    get inFlight() {
      return inFlight;
    },
    get isFull() {
      return inFlight >= max;
    },
    async pass(work, refuse) {
      if (inFlight >= max) throw overloaded('too many writes are under way');
      if (!hasRoom()) {
        refuse?.();
        throw new ProblemError('storage-full', 'this server has no room for more', RETRY);
      }
      inFlight += 1;
      load?.enter(clock());
      try {
        const result = await work();
        load?.done(clock());
        return result;
      } finally {
        load?.leave(clock());
        inFlight -= 1;
      }
    },
  };
}
