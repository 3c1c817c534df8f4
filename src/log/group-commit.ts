import { randomBytes } from 'node:crypto';
import type { AppendRequest, AppendResult } from './append.ts';
import { LogError } from './errors.ts';
import type { MessageBatch } from './events.ts';

/** Where a submission stands: batch `index` of the event with this id, at this sequence. */
export interface SubmittedBatch {
  readonly sequence: number;
  readonly eventId: string;
  /** Index of the batch in the event's `batches`. */
  readonly index: number;
  /** How many messages stand before this batch's first one in the event. */
  readonly firstMessage: number;
}

export interface GroupCommitOptions {
  readonly append: (request: AppendRequest) => Promise<AppendResult>;
  readonly shard: number;
  /** Most bytes of messages in one event; a single larger batch travels alone. */
  readonly eventMaxBytes?: number;
  readonly eventMaxMessages?: number;
  /** Most bytes the server takes in one message: batches that it takes singly are not packed into an event it refuses. */
  readonly payloadMaxBytes?: number;
  readonly queueMaxBytes?: number;
  readonly nowMs?: () => number;
}

export interface GroupCommit {
  /**
   * Stores the messages of one request, in order, in one event, perhaps together with those of other requests. Batches
   * are stored in the order they were submitted.
   *
   * @throws LogError `overloaded` when too much waits already, `closed`, or what the append of the event throws: then
   *   its batches share that failure, and whether they were stored is as unknown as the event is.
   */
  submit(batch: MessageBatch): Promise<SubmittedBatch>;
  /** Refuses new batches and settles when those under way are answered; once the log is away, the rest with `closed`. */
  close(): Promise<void>;
}

/** A page's worth of ciphertext: large enough that one sync serves hundreds, small enough to decode in a few ms. */
const EVENT_MAX_BYTES = 1024 * 1024;
const EVENT_MAX_MESSAGES = 2_000;
const QUEUE_MAX_BYTES = 64 * 1024 * 1024;
/** Upper bounds of what CBOR adds to a message, to a batch with its ids, and to an event with its headers. */
const MESSAGE_OVERHEAD_BYTES = 64;
const BATCH_OVERHEAD_BYTES = 256;
const EVENT_OVERHEAD_BYTES = 1024;
const EVENT_ID_BYTES = 16;

interface Waiting {
  readonly batch: MessageBatch;
  readonly bytes: number;
  readonly resolve: (submitted: SubmittedBatch) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: while one event of messages is on its way, those that arrive wait and travel together in the next one.
 * When idle a batch leaves at once; under load one sync of the log's disk serves all that arrived during the last.
 */
export function createGroupCommit(options: GroupCommitOptions): GroupCommit {
  const eventMaxBytes = Math.min(
    options.eventMaxBytes ?? EVENT_MAX_BYTES,
    (options.payloadMaxBytes ?? Number.POSITIVE_INFINITY) - EVENT_OVERHEAD_BYTES,
  );
  const eventMaxMessages = options.eventMaxMessages ?? EVENT_MAX_MESSAGES;
  const queueMaxBytes = options.queueMaxBytes ?? QUEUE_MAX_BYTES;
  const nowMs = options.nowMs ?? Date.now;
  let queue: Waiting[] = [];
  let queuedBytes = 0;
  let running: Promise<void> | undefined;
  let closed = false;

  const takeNext = (): readonly Waiting[] => {
    let bytes = 0;
    let messages = 0;
    let count = 0;
    for (const waiting of queue) {
      bytes += waiting.bytes;
      messages += waiting.batch.messages.length;
      if (count > 0 && (bytes > eventMaxBytes || messages > eventMaxMessages)) break;
      count += 1;
    }
    const taken = queue.slice(0, count);
    queue = queue.slice(count);
    for (const waiting of taken) queuedBytes -= waiting.bytes;
    return taken;
  };
  /** Whether the event was stored; its batches are answered either way. */
  const send = async (taken: readonly Waiting[]): Promise<boolean> => {
    const eventId = randomBytes(EVENT_ID_BYTES).toString('base64url');
    const batches = taken.map((waiting) => waiting.batch);
    try {
      const result = await options.append({
        lane: { kind: 'application', shard: options.shard },
        event: { v: 1, type: 'messages-sent', id: eventId, time: nowMs(), batches },
      });
      if (result.kind === 'conflict') throw new LogError('rejected', 'a conflict on a lane that compares nothing');
      let firstMessage = 0;
      for (const [index, waiting] of taken.entries()) {
        waiting.resolve({ sequence: result.sequence, eventId, index, firstMessage });
        firstMessage += waiting.batch.messages.length;
      }
      return true;
    } catch (error) {
      for (const waiting of taken) waiting.reject(error);
      return false;
    }
  };
  const refuseAll = (): void => {
    for (const waiting of queue.splice(0)) waiting.reject(new LogError('closed', 'the log is closed'));
    queuedBytes = 0;
  };
  const drain = async (): Promise<void> => {
    // Requests that arrive in the same turn of the event loop travel together from the first event on.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (queue.length > 0) {
      const isStored = await send(takeNext());
      // A log that is away lets each event wait for its whole time; closing must not add those up.
      if (!isStored && closed) refuseAll();
    }
    running = undefined;
  };

  return {
    submit(batch) {
      if (closed) return Promise.reject(new LogError('closed', 'the log is closed'));
      const bytes = batchBytes(batch);
      if (queue.length > 0 && queuedBytes + bytes > queueMaxBytes) {
        return Promise.reject(new LogError('overloaded', 'too many messages wait for the log'));
      }
      return new Promise((resolve, reject) => {
        queue.push({ batch, bytes, resolve, reject });
        queuedBytes += bytes;
        running ??= drain();
      });
    },
    async close() {
      closed = true;
      await running;
    },
  };
}

function batchBytes(batch: MessageBatch): number {
  let bytes = BATCH_OVERHEAD_BYTES;
  for (const [id, , message] of batch.messages) bytes += MESSAGE_OVERHEAD_BYTES + id.length + message.length;
  return bytes;
}
