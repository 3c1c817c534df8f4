import { ClientError } from '../client-error.ts';

/** Runs one piece of work at a time, in the order it came. */
export interface Serial {
  run<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Everything from now on, and what still waits, is refused with this error. */
  fail(error: Error): void;
  /** Resolves when what runs now has ended. */
  idle(): Promise<void>;
}

/** More work than this at a time means that somebody does not wait for answers. */
const WAITING_MAX = 100_000;

export function createSerial(): Serial {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let failure: Error | undefined;
  return {
    run: (work) => {
      if (waiting >= WAITING_MAX)
        return Promise.reject(new ClientError('refused', 'too much is asked of the client at once'));
      waiting += 1;
      const result = last.then(async () => {
        waiting -= 1;
        if (failure !== undefined) throw failure;
        return work();
      });
      last = result.catch(() => {}); // its caller sees the failure; the next one must run all the same
      return result;
    },
    fail: (error) => {
      failure ??= error;
    },
    idle: async () => {
      await last;
    },
  };
}
