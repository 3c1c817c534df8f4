export interface StallWatchOptions {
  /** The sequence that is to come next. */
  readonly next: () => number;
  /** The highest sequence that is known to be taken. */
  readonly newestKnown: () => number;
  /** Asks where the log ends; a failure says nothing. */
  readonly lastSequence: () => Promise<number>;
  /** Told once. */
  readonly onStalled: () => void;
}

/**
 * Notices a consumer that answers every request with "there is nothing" while the log goes on: it lives on a replica
 * that has stopped taking part, and would go on so for as long as that lasts.
 */
export interface StallWatch {
  /** Something came. */
  heard(): void;
  /** To be called now and then while something is asked for and nothing has come. */
  look(): void;
  /** Nothing is told any more. */
  close(): void;
}

/** What the log has had for so long has to have come. */
const OWED_MAX_MS = 5_000;

export function createStallWatch({ next, newestKnown, lastSequence, onStalled }: StallWatchOptions): StallWatch {
  let owedSince: number | undefined;
  let isAsking = false;
  let isOver = false;

  const ask = async (): Promise<void> => {
    const awaited = next();
    const askedAt = performance.now();
    // who does not answer, or not sensibly, says nothing: the connection judges that
    const asked = await lastSequence().catch(() => 0);
    if (isOver || next() !== awaited) return;
    // a server that is cut off from the others may still answer, with what it knew last
    const last = Math.max(asked, newestKnown());
    owedSince = last < awaited ? undefined : (owedSince ?? askedAt);
    if (owedSince === undefined || performance.now() - owedSince < OWED_MAX_MS) return;
    isOver = true;
    onStalled();
  };
  return {
    heard() {
      owedSince = undefined;
    },
    look() {
      if (isAsking || isOver) return;
      isAsking = true;
      void ask().finally(() => {
        isAsking = false;
      });
    },
    close() {
      isOver = true;
    },
  };
}
