import { compareClientIds } from '../fold/client-id-order.ts';
import type { SenderIds } from '../fold/draft.ts';
import { createCache } from './row-cache.ts';

/** The newest message ids of one sender: all that are later than one of them, or all there are. */
export interface RecentOfSender {
  /** The greatest of all; `undefined`: the sender has placed none. */
  readonly last: string | undefined;
  /** Whether an id that is not known here was never placed. */
  covers(id: string): boolean;
  positionOf(id: string): number | undefined;
}

/**
 * What senders placed lately, so that no table is read for it: messages that were sent together often come in another order than that of
 * their ids, and of each it has to be known whether it was placed before. It says the same as the tables; nothing but speed depends on it.
 */
export interface RecentIds {
  /** `undefined`: nothing is known of this sender. */
  get(sender: string): RecentOfSender | undefined;
  /** From here on what the sender places is remembered; `last` is the greatest id before. */
  begin(sender: string, last: string | undefined): void;
  /** What a batch has placed. */
  add(sender: string, ids: SenderIds): void;
}

const CACHE_BYTES = 32 * 1024 * 1024;
const ID_BYTES = 100;
/** Of one sender; then it begins again. */
const IDS_MAX = 256;

export function createRecentIds(): RecentIds {
  const senders = createCache<Recent>(CACHE_BYTES);
  return {
    get: (sender) => senders.get(sender),
    begin: (sender, last) => senders.set(sender, new Recent(last), 0),
    add(sender, ids) {
      const known = senders.get(sender);
      const last = ids.runs.at(-1)?.at(-1)?.id ?? known?.last;
      if (last === undefined) return; // late ids alone do not tell which is the greatest
      const isRoom = known !== undefined && known.size + countOf(ids) <= IDS_MAX;
      if (isRoom) known.add(last, ids);
      const recent = isRoom ? known : new Recent(last);
      senders.set(sender, recent, recent.size * ID_BYTES);
    },
  };
}

function countOf({ runs, singles }: SenderIds): number {
  return runs.reduce((count, run) => count + run.length, singles.size);
}

class Recent implements RecentOfSender {
  /** All later ids are known here. */
  readonly #after: string | undefined;
  readonly #positions = new Map<string, number>();
  last: string | undefined;

  constructor(last: string | undefined) {
    this.#after = last;
    this.last = last;
  }

  get size(): number {
    return this.#positions.size;
  }

  covers(id: string): boolean {
    return this.#after === undefined || compareClientIds(this.#after, id) < 0;
  }

  positionOf(id: string): number | undefined {
    return this.#positions.get(id);
  }

  add(last: string, { runs, singles }: SenderIds): void {
    this.last = last;
    for (const run of runs) for (const { id, position } of run) this.#positions.set(id, position);
    for (const [id, position] of singles) this.#positions.set(id, position);
  }
}
