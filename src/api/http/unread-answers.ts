import type { ServerResponse } from 'node:http';

/** Answers that were given and not yet taken, by whom they are for: who asks and does not read costs a bounded memory (D13). */
export interface UnreadAnswers {
  /** Whether so much waits to be read by this reader that it has to read first. */
  isFull(reader: string): boolean;
  /** Counts what this response holds until it is closed; cuts it when none of it is taken for a while after its end. */
  add(reader: string, response: ServerResponse): void;
}

/** Of one reader: more than all its live streams may hold. */
const UNREAD_MAX_BYTES = 32 * 1024 * 1024;

/** @param cutAfterMs how long a reader may take nothing of an answer that is whole */
export function createUnreadAnswers(cutAfterMs: number): UnreadAnswers {
  const open = new Map<string, Set<ServerResponse>>();
  return {
    isFull(reader) {
      let bytes = 0;
      for (const response of open.get(reader) ?? []) bytes += response.writableLength;
      return bytes > UNREAD_MAX_BYTES;
    },
    add(reader, response) {
      let responses = open.get(reader);
      if (responses === undefined) {
        responses = new Set();
        open.set(reader, responses);
      }
      responses.add(response);
      response.once('prefinish', () => {
        // a timeout of a socket looks at what was taken since, so it cuts nobody who reads slowly
        if (response.writableLength > 0) response.setTimeout(cutAfterMs, () => response.destroy());
      });
      response.once('close', () => {
        responses.delete(response);
        if (responses.size === 0 && open.get(reader) === responses) open.delete(reader);
      });
    },
  };
}
