/** Lines entered that may wait for their turn; nobody types that far ahead. */
export const WAITING_MAX = 1000;

export interface InOrder {
  /**
   * Runs a job when those before it are done, or have taken longer than the patience; a job can ask whether it has. `false`:
   * too many wait already.
   */
  add(job: (isLate: () => boolean) => Promise<void>): boolean;
  /** Resolves when nothing waits or runs. */
  idle(): Promise<void>;
}

/**
 * Jobs one after another, so that a message typed after `/invite bob` can be read by bob. A job that takes longer than
 * `patienceMs` (the server is away) no longer holds up those behind it. Jobs report their own failures; one that throws
 * all the same is handed to `onFailure`.
 */
export function createInOrder(patienceMs: number, onFailure: (error: unknown) => void): InOrder {
  let tail: Promise<unknown> = Promise.resolve();
  const running = new Set<Promise<void>>();
  return {
    add: (job) => {
      if (running.size >= WAITING_MAX) return false;
      let begun: () => void = () => {};
      let late = false;
      const hasBegun = new Promise<void>((resolve) => {
        begun = resolve;
      });
      const done = tail
        .then(() => {
          begun();
          return job(() => late);
        })
        .catch(onFailure);
      running.add(done);
      void done.then(() => running.delete(done));
      const lose = () => {
        late = true;
      };
      tail = hasBegun.then(() => withPatience(done, patienceMs, lose));
      return true;
    },
    idle: async () => {
      while (running.size > 0) await Promise.all(running);
    },
  };
}

async function withPatience(done: Promise<void>, patienceMs: number, lose: () => void): Promise<void> {
  if (!Number.isFinite(patienceMs)) return done;
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      lose();
      resolve();
    }, patienceMs);
  });
  await Promise.race([done, patience]);
  clearTimeout(timer);
}
