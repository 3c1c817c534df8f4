import { type Backoff, backoffMs, wait } from './backoff.ts';
import type { LogConnection } from './connection.ts';
import { decodeEvent } from './envelope.ts';
import { LogError } from './errors.ts';
import type { LogEvent } from './events.ts';
import { readIncarnation } from './incarnation.ts';
import { openPullSession, type PulledMessage, type PullSession } from './pull-session.ts';
import { readMessage } from './stored-message.ts';
import { readStreamState, type StreamState } from './stream.ts';

/** How far a fold has come, and what it stood on: sequences are used again when a log goes back, event ids never are. */
export interface Checkpoint {
  /** The incarnation of the newest `log-started` that was folded. */
  readonly incarnation: string;
  readonly sequence: number;
  /** Id of the event at `sequence`. */
  readonly eventId: string;
}

/** One event of the log, with the bytes it was decoded from. The bytes share memory with their batch: copy to keep. */
export interface LogEntry {
  readonly sequence: number;
  readonly event: LogEvent;
  readonly bytes: Uint8Array;
}

export interface ReaderOptions {
  /** Read what comes after it. Left out: from the beginning. */
  readonly checkpoint?: Checkpoint;
  /** Ends the reading without an error. */
  readonly signal?: AbortSignal;
  /** Most events in one batch. */
  readonly batchMaxEvents?: number;
}

/**
 * The log in order, without gaps, for ever: iterating gives batches as they come and waits at the tail. To be iterated
 * once. Leaving the loop releases everything.
 *
 * Iterating throws LogError `gap`, `rolled-back`, `incarnation-changed`, `log-missing`, `unknown-event`,
 * `invalid-event`, `closed`; entries before the bad one have been given then. A server that is away is waited for.
 */
export interface LogReader extends AsyncIterable<readonly LogEntry[]> {
  /** Sequence of the log's last event when the reader started: catching up ends there. */
  readonly tail: number;
}

const BATCH_MAX_EVENTS = 1_000;
const CONNECTION_WAIT_MS = 30_000;
const RETRY: Backoff = { firstMs: 20, maxMs: 1_000 };
/** A hole may be an answer that got lost on its way; one that is there again in a second consumer is in the log. */
const HOLE_TRIES = 3;

/**
 * Checks the checkpoint against the log and prepares reading after it.
 *
 * @throws LogError as iterating does; `unavailable` when the log cannot be asked for half a minute; `aborted`.
 */
export async function openReader(connection: LogConnection, options: ReaderOptions): Promise<LogReader> {
  const deadline = performance.now() + CONNECTION_WAIT_MS;
  for (let attempt = 0; ; attempt += 1) {
    const askedAt = performance.now();
    try {
      await connection.whenConnected(Math.max(1, deadline - performance.now()), options.signal);
      const { lastSequence } = await checkCheckpoint(connection, options.checkpoint);
      return { tail: lastSequence, [Symbol.asyncIterator]: () => readFrom(connection, options) };
    } catch (error) {
      if (!(error instanceof LogError && error.retryable) || performance.now() > deadline) throw error;
      connection.reads.grow(askedAt);
      await wait(backoffMs(RETRY, attempt), options.signal);
    }
  }
}

/** @throws LogError `rolled-back`, `incarnation-changed`, `log-missing`. */
async function checkCheckpoint(connection: LogConnection, checkpoint: Checkpoint | undefined): Promise<StreamState> {
  const state = await readStreamState(connection);
  if (checkpoint === undefined) return state;
  const incarnation = await readIncarnation(connection);
  if (incarnation !== undefined && incarnation.sequence <= checkpoint.sequence) {
    if (incarnation.id !== checkpoint.incarnation) {
      throw new LogError('incarnation-changed', 'the log was replaced by another one since the checkpoint');
    }
  }
  if (state.lastSequence < checkpoint.sequence) {
    throw new LogError('rolled-back', `the log ends at ${state.lastSequence}, before the checkpoint`);
  }
  const message = await readMessage(connection, { seq: checkpoint.sequence });
  if (message?.eventId !== checkpoint.eventId) {
    throw new LogError('rolled-back', `another event stands at the checkpoint's sequence ${checkpoint.sequence}`);
  }
  return state;
}

async function* readFrom(connection: LogConnection, options: ReaderOptions): AsyncGenerator<readonly LogEntry[]> {
  const { signal, batchMaxEvents = BATCH_MAX_EVENTS } = options;
  let checkpoint = options.checkpoint;
  let holes = 0;
  for (let attempt = 0; ; attempt += 1) {
    const askedAt = performance.now();
    let session: PullSession | undefined;
    try {
      await connection.whenConnected(CONNECTION_WAIT_MS, signal);
      await checkCheckpoint(connection, checkpoint);
      const next = (checkpoint?.sequence ?? 0) + 1;
      session = await openPullSession(connection, next, signal);
      connection.reads.clear();
      for (;;) {
        const pulled = await session.take(batchMaxEvents);
        if (pulled === undefined) break;
        const { entries, failure } = decodeBatch(pulled, (checkpoint?.sequence ?? 0) + 1);
        const last = entries.at(-1);
        if (last !== undefined) {
          checkpoint = advance(checkpoint, entries, last);
          attempt = 0;
          holes = 0;
          yield entries;
          if (signal?.aborted === true) return;
        }
        if (failure === undefined) continue;
        if (failure.code !== 'gap' || ++holes >= HOLE_TRIES) throw failure;
        break;
      }
    } catch (error) {
      if (!(error instanceof LogError && error.retryable)) {
        if (isAbort(error, signal)) return;
        throw error;
      }
      connection.reads.grow(askedAt);
    } finally {
      session?.close();
    }
    if (signal?.aborted === true) return;
    try {
      await wait(backoffMs(RETRY, attempt), signal);
    } catch (error) {
      if (isAbort(error, signal)) return;
      throw error;
    }
  }
}

function isAbort(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && error instanceof LogError && error.code === 'aborted';
}

/** What could be decoded in order, and what stopped it. */
function decodeBatch(
  pulled: readonly PulledMessage[],
  first: number,
): { readonly entries: readonly LogEntry[]; readonly failure?: LogError } {
  const entries: LogEntry[] = [];
  for (const { sequence, bytes } of pulled) {
    const expected = first + entries.length;
    if (sequence !== expected) {
      return { entries, failure: new LogError('gap', `the log goes on at ${sequence} where ${expected} belongs`) };
    }
    try {
      entries.push({ sequence, event: decodeEvent(bytes), bytes });
    } catch (error) {
      if (error instanceof LogError) return { entries, failure: error };
      throw error;
    }
  }
  return { entries };
}

function advance(from: Checkpoint | undefined, entries: readonly LogEntry[], last: LogEntry): Checkpoint {
  let incarnation = from?.incarnation ?? '';
  for (const { event } of entries) if (event.type === 'log-started') incarnation = event.incarnation;
  return { incarnation, sequence: last.sequence, eventId: last.event.id };
}
