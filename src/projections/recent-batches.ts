/** A batch of messages that was placed as a whole: in a row, in the order of the batch. */
export interface BatchPlace {
  /** Stream sequence of the event it travelled in, and its index among that event's batches. */
  readonly sequence: number;
  readonly index: number;
  /** Id and position of its first message. */
  readonly id: string;
  readonly first: number;
  /** Head of the group after its last message. */
  readonly head: Uint8Array;
  /** Epoch the group was in. */
  readonly epoch: number;
}

/** Where batches came to stand that were folded lately: what their senders are told, without a look into the tables. */
export interface RecentBatches {
  add(places: readonly BatchPlace[]): void;
  get(sequence: number, index: number): BatchPlace | undefined;
}

/** Far more than can be under way at once; about 4 MB. */
const RECENT_BATCHES_MAX = 16_384;

/** Holds the newest `max` batches or so; nothing of it outlives the process, and nothing but speed depends on it. */
export function createRecentBatches(max = RECENT_BATCHES_MAX): RecentBatches {
  const bySequence = new Map<number, BatchPlace[]>();
  let held = 0;

  return {
    add(places) {
      for (const place of places) {
        const together = bySequence.get(place.sequence);
        if (together === undefined) bySequence.set(place.sequence, [place]);
        else together.push(place);
      }
      held += places.length;
      for (const [sequence, oldest] of bySequence) {
        if (held <= max) return;
        bySequence.delete(sequence);
        held -= oldest.length;
      }
    },
    get(sequence, index) {
      const together = bySequence.get(sequence);
      // in order of their indexes, and the place is usually the index: only batches that were not placed whole are missing
      for (let at = Math.min(index, (together?.length ?? 0) - 1); at >= 0; at -= 1) {
        if (together![at]!.index === index) return together![at];
      }
      return undefined;
    },
  };
}
