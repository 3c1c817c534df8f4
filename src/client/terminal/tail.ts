import type { Cursor, GroupId } from '../../wire/ids.ts';
import type { ChatClient, HistoryLine } from '../chat-client.ts';

/** Lines read from the store at once. */
const TAIL_PAGE_LINES = 200;

export interface Tail {
  /** Reads and shows what the store has beyond what was shown. Resolves when nothing more is there. Calls join. */
  pull(): Promise<void>;
  /** Shows nothing more, from now on. */
  stop(): void;
}

export interface TailOptions {
  readonly client: Pick<ChatClient, 'history'>;
  readonly group: GroupId;
  readonly after: Cursor;
  show(lines: readonly HistoryLine[]): void;
}

/**
 * Shows a group's lines from a cursor on. An arriving line is only a signal to read on from the own cursor, so there is no
 * seam between what was stored and what arrives: nothing to deduplicate, no buffer, and a slow terminal costs a cursor.
 */
export function createTail(options: TailOptions): Tail {
  let after = options.after;
  let stopped = false;
  let again = false;
  let running: Promise<void> | undefined;

  const readOn = async (): Promise<void> => {
    try {
      do {
        again = false;
        const { group } = options;
        const page = await options.client.history(after, { group, limit: TAIL_PAGE_LINES });
        if (stopped) return;
        const lines = page.filter((line) => line.cursor !== undefined);
        after = lines.at(-1)?.cursor ?? after;
        if (lines.length > 0) options.show(lines);
        if (lines.length > 0 && page.length >= TAIL_PAGE_LINES) again = true;
      } while (again && !stopped);
    } finally {
      // In the same step as the last look at `again`: a pull in between would be lost.
      running = undefined;
    }
  };

  return {
    pull: () => {
      again = true;
      running ??= readOn();
      return running;
    },
    stop: () => {
      stopped = true;
    },
  };
}
