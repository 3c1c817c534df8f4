import { notReady } from '../http/problem.ts';

/** Counts appends under way and turns away what would be too many: under overload an answer beats a queue. */
export interface Gate {
  readonly inFlight: number;
  /** @throws ProblemError `not-ready` when the gate is full. */
  pass<Result>(work: () => Promise<Result>): Promise<Result>;
}

export function createGate(max: number): Gate {
  let inFlight = 0;
  return {
    get inFlight() {
      return inFlight;
    },
    async pass(work) {
      if (inFlight >= max) throw notReady('too many writes are under way');
      inFlight += 1;
      try {
        return await work();
      } finally {
        inFlight -= 1;
      }
    },
  };
}
