import type { LogEntry } from '../log/reader.ts';
import { ProjectionError } from './errors.ts';
import { openProjections, type ProjectionsOptions } from './open-projections.ts';

export interface FoldEventsOptions extends Pick<ProjectionsOptions, 'dir' | 'onProgress'> {
  /** Events in order, from 1 on or from where the tables in the folder stand. What the iteration throws ends the fold. */
  readonly events: AsyncIterable<readonly LogEntry[]>;
  /** Sequence of the last event to be folded; the events have to reach it, and not to go past it. */
  readonly last: number;
  readonly signal?: AbortSignal;
}

/** Nobody gets a cursor of these tables. */
const NO_CURSOR_KEY = new Uint8Array(32);

/**
 * Folds events into tables in a folder, by the very fold that serves, and closes them: to hold stored tables against. Called
 * again with the events that follow, it goes on.
 *
 * @throws what the events throw; ProjectionError; the signal's reason
 */
export async function foldEvents(options: FoldEventsOptions): Promise<void> {
  const { events, last, signal } = options;
  const log = {
    read: async ({ signal: done }: { readonly signal?: AbortSignal }) => ({
      tail: last,
      async *[Symbol.asyncIterator]() {
        let reached = 0;
        if (last > 0) {
          for await (const batch of events) {
            reached = batch.at(-1)?.sequence ?? reached;
            yield batch;
          }
          if (reached < last) throw new ProjectionError('reader-ended', `the events end at ${reached}, before ${last}`);
        }
        // A reader that ends by itself is a failure; this one has given all it has.
        if (done !== undefined && !done.aborted) {
          await new Promise((resolve) => done.addEventListener('abort', resolve, { once: true }));
        }
      },
    }),
  };
  const { dir, onProgress } = options;
  const projections = await openProjections({
    dir,
    log,
    cursorKey: NO_CURSOR_KEY,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  try {
    await Promise.race([projections.ready, rejection(signal)]);
  } finally {
    await projections.close();
  }
}

function rejection(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted === true) reject(signal.reason as Error);
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
