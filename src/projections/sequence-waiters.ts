import { ProjectionError } from './errors.ts';

/** More callers than this do not wait at one time. */
export const WAITERS_MAX = 10_000;

interface Waiter {
  readonly sequence: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Callers that wait for the checkpoint to reach a sequence. */
export interface SequenceWaiters {
  /** @throws ProjectionError `overloaded`; what `fail` was given; the signal's reason */
  wait(sequence: number, signal: AbortSignal): Promise<void>;
  /** The checkpoint is here now. */
  reach(sequence: number): void;
  /** Nothing will come any more, or not before {@link resume}: rejects everybody, now and later. */
  fail(error: Error): void;
  /** The checkpoint is here now, further back perhaps than it was, and goes on. */
  resume(sequence: number): void;
}

export function createSequenceWaiters(initialSequence: number): SequenceWaiters {
  /** Ascending by sequence; most newcomers wait for the greatest one. */
  const waiting: Waiter[] = [];
  let reached = initialSequence;
  let failure: Error | undefined;

  const insert = (waiter: Waiter): void => {
    let at = waiting.length;
    while (at > 0 && waiting[at - 1]!.sequence > waiter.sequence) at -= 1;
    waiting.splice(at, 0, waiter);
  };

  return {
    async wait(sequence, signal) {
      signal.throwIfAborted();
      if (sequence <= reached) return;
      if (failure !== undefined) throw failure;
      if (waiting.length >= WAITERS_MAX) throw new ProjectionError('overloaded', 'too many requests wait already');
      const { promise, resolve, reject } = withResolvers();
      const waiter = { sequence, resolve, reject };
      const giveUp = (): void => {
        const at = waiting.indexOf(waiter);
        if (at >= 0) waiting.splice(at, 1);
        reject(signal.reason);
      };
      insert(waiter);
      signal.addEventListener('abort', giveUp, { once: true });
      try {
        await promise;
      } finally {
        signal.removeEventListener('abort', giveUp);
      }
    },
    reach(sequence) {
      reached = sequence;
      let served = 0;
      while (served < waiting.length && waiting[served]!.sequence <= sequence) served += 1;
      for (const { resolve } of waiting.splice(0, served)) resolve();
    },
    fail(error) {
      failure = error;
      for (const { reject } of waiting.splice(0)) reject(error);
    },
    resume(sequence) {
      failure = undefined;
      reached = sequence;
    },
  };
}

/** `Promise.withResolvers`, which Node 20 has not. */
export function withResolvers(): {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
} {
  let resolve: () => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<void>((onDone, onError) => {
    resolve = onDone;
    reject = onError;
  });
  return { promise, resolve, reject };
}
