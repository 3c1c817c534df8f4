import { type Backoff, backoffMs, wait } from './backoff.ts';
import type { LogConnection } from './connection.ts';
import { LogError } from './errors.ts';
import { openPullSession, type PulledMessage, storedAtMs } from './pull-session.ts';
import { MESSAGE_ID_HEADER } from './stored-message.ts';

/** An event as it stands in the log, not decoded. The bytes share memory with their batch: copy to keep. */
export interface RawEvent {
  readonly sequence: number;
  readonly subject: string;
  /** The id it was stored under, which the event repeats. */
  readonly eventId: string;
  /** When the log stored it, milliseconds since 1970. */
  readonly storedAt: number;
  readonly bytes: Uint8Array;
}

export interface RawRange {
  /** First sequence to read. */
  readonly from: number;
  /** Last sequence to read; left out: the log is followed until the signal fires. */
  readonly to?: number;
  readonly signal?: AbortSignal;
}

const BATCH_MAX_EVENTS = 1_000;
const CONNECTION_WAIT_MS = 30_000;
/** Attempts in a row that bring nothing before a log that is away is given up. */
const TRIES = 10;
/** Attempts in a row that find the same sequence missing. */
const HOLE_TRIES = 3;
const RETRY: Backoff = { firstMs: 20, maxMs: 1_000 };

/**
 * The log as it is stored, in order and without gaps, in batches: for tools that look at the log itself.
 *
 * @throws LogError `gap` when a sequence is missing, `unavailable`, `rejected`, `aborted` (only while waiting for the log)
 */
export async function* readRawEvents(
  connection: LogConnection,
  { from, to = Number.POSITIVE_INFINITY, signal }: RawRange,
): AsyncGenerator<readonly RawEvent[]> {
  let next = from;
  const goesOn = (): boolean => next <= to && signal?.aborted !== true;
  for (let tries = 0; goesOn(); tries += 1) {
    let gap: LogError | undefined;
    try {
      await connection.whenConnected(CONNECTION_WAIT_MS, signal);
      const session = await openPullSession(connection, next, signal);
      try {
        while (next <= to && gap === undefined) {
          const pulled = await session.take(Math.min(BATCH_MAX_EVENTS, to - next + 1));
          if (pulled === undefined) break;
          const inOrder = pulled.findIndex(({ sequence }, i) => sequence !== next + i);
          const events = pulled.slice(0, inOrder < 0 ? pulled.length : inOrder).map(rawEvent);
          if (inOrder >= 0) gap = gapError(next + inOrder, pulled[inOrder]!.sequence);
          if (events.length === 0) continue;
          next += events.length;
          tries = 0;
          yield events;
        }
      } finally {
        session.close();
      }
    } catch (error) {
      if (!(error instanceof LogError && error.retryable) || tries >= TRIES) throw error;
    }
    // A hole may be an answer that got lost on its way; one that stays is in the log.
    if (gap !== undefined && tries >= HOLE_TRIES) throw gap;
    if (goesOn()) {
      if (tries >= TRIES && to !== Number.POSITIVE_INFINITY) {
        throw new LogError('unavailable', `the log gives nothing from sequence ${next} on`);
      }
      await wait(backoffMs(RETRY, tries), signal);
    }
  }
}

function gapError(expected: number, found: number): LogError {
  return new LogError('gap', `the log goes on at ${found} where ${expected} belongs`);
}

function rawEvent({ sequence, bytes, message }: PulledMessage): RawEvent {
  return {
    sequence,
    subject: message.subject,
    eventId: message.headers?.get(MESSAGE_ID_HEADER) ?? '',
    storedAt: storedAtMs(message.reply ?? ''),
    bytes,
  };
}
