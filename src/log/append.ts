import { type Backoff, backoffMs, wait } from './backoff.ts';
import type { LogConnection } from './connection.ts';
import { encodeEvent } from './envelope.ts';
import { LogError } from './errors.ts';
import type { LogEvent } from './events.ts';
import type { PublishAnswer, Publisher, PublishRequest } from './publisher.ts';
import { readMessage } from './stored-message.ts';
import { type ComparedLane, isCompared, type Lane, laneSubject, type UncomparedLane } from './subjects.ts';

/** One event for one lane. A compared lane cannot be appended to without saying where the lane has to stand. */
export type AppendRequest =
  | {
      readonly lane: ComparedLane;
      /** Sequence of the lane's last event; 0 when the lane has to be empty. */
      readonly expected: number;
      readonly event: LogEvent;
    }
  | { readonly lane: UncomparedLane; readonly expected?: never; readonly event: LogEvent };

/**
 * - `committed`: stored now, at `sequence`.
 * - `duplicate`: this event id was stored before, at `sequence`.
 * - `conflict`: the lane stands elsewhere; nothing was stored. `lastSequence` is where, 0 for an empty lane.
 */
export type AppendResult =
  | { readonly kind: 'committed'; readonly sequence: number }
  | { readonly kind: 'duplicate'; readonly sequence: number }
  | { readonly kind: 'conflict'; readonly lastSequence: number };

/** How long an append goes on trying, over lost answers and restarts of the server, before it is `unavailable`. */
const APPEND_BUDGET_MS = 10_000;
const RETRY: Backoff = { firstMs: 20, maxMs: 500 };

/** JetStream's codes. 10164 comes from busy clusters only, without a number. */
const WRONG_LAST_SEQUENCE = new Set([10071, 10164]);
const STORAGE_FULL = new Set([10023, 10028, 10047, 10077]);
const MESSAGE_TOO_LARGE = new Set([10054]);
/** Of a replicated stream: this event id is on its way already, sent by an attempt of before; how that ends is not known. */
const DUPLICATE_IN_PROCESS = 10158;
const SERVICE_UNAVAILABLE = 503;

/**
 * Appends one event. Retried with the same event id while the outcome is unknown, so it is stored at most once.
 *
 * @throws LogError `unavailable` (the event may be stored: the same id sent again tells), `storage-full`, `too-large`,
 *   `overloaded`, `rejected`, `invalid-append`, `aborted`, `closed`.
 */
export async function appendEvent(
  connection: LogConnection,
  publisher: Publisher,
  request: AppendRequest,
  signal?: AbortSignal,
): Promise<AppendResult> {
  const publishing = publishRequest(request);
  const deadline = performance.now() + APPEND_BUDGET_MS;
  for (let attempt = 0; ; attempt += 1) {
    if (signal?.aborted === true) throw new LogError('aborted', 'given up before the event was stored');
    const askedAt = performance.now();
    try {
      const left = Math.max(1, deadline - askedAt);
      if (connection.state !== 'connected') await connection.whenConnected(left, signal);
      const result = await settle(connection, publishing, await publisher.publish(publishing));
      connection.appends.clear();
      if (result.kind !== 'conflict') connection.noteStored(result.sequence);
      return result;
    } catch (error) {
      const again = error instanceof LogError && error.code === 'unavailable';
      if (again) connection.appends.grow(askedAt);
      if (!again || performance.now() >= deadline) throw error;
      await wait(Math.min(backoffMs(RETRY, attempt), Math.max(1, deadline - performance.now())), signal);
    }
  }
}

function publishRequest(request: AppendRequest): PublishRequest {
  const { lane, event } = request as { lane: Lane; event: LogEvent };
  const expected: unknown = request.expected;
  // The types say so already; a caller without types must not get an append that ignores expectations.
  if (isCompared(lane) !== (expected !== undefined)) {
    throw new LogError('invalid-append', `an append to a ${lane.kind} lane with the wrong kind of expectation`);
  }
  if (expected !== undefined && !(Number.isSafeInteger(expected) && (expected as number) >= 0)) {
    throw new LogError('invalid-append', `${String(expected)} is no sequence to expect`);
  }
  const bytes = encodeEvent(event);
  try {
    return { subject: laneSubject(lane), eventId: event.id, bytes, expected: request.expected };
  } catch (cause) {
    throw new LogError('invalid-append', 'an event for a lane that cannot be', { cause });
  }
}

async function settle(connection: LogConnection, sent: PublishRequest, answer: PublishAnswer): Promise<AppendResult> {
  if (answer.kind === 'stored') {
    return { kind: answer.duplicate ? 'duplicate' : 'committed', sequence: answer.sequence };
  }
  const { code, errCode, description } = answer;
  if (sent.expected !== undefined && WRONG_LAST_SEQUENCE.has(errCode)) return conflict(connection, sent, sent.expected);
  if (STORAGE_FULL.has(errCode)) throw new LogError('storage-full', `the log has no room: ${description}`);
  if (MESSAGE_TOO_LARGE.has(errCode)) throw new LogError('too-large', `the log refused the event: ${description}`);
  if (code === SERVICE_UNAVAILABLE || errCode === DUPLICATE_IN_PROCESS)
    throw new LogError('unavailable', `the log cannot take events: ${description}`);
  throw new LogError('rejected', `the log refused the event (${errCode}): ${description}`);
}

/**
 * A refused comparison is not yet a conflict: a retry of an append that was stored is refused too (by version and
 * replicas), because the lane now ends with the event itself. What came right after the expected sequence tells.
 */
async function conflict(connection: LogConnection, sent: PublishRequest, expected: number): Promise<AppendResult> {
  const winner = await readMessage(connection, { seq: expected + 1, next_by_subj: sent.subject });
  if (winner !== undefined && winner.eventId === sent.eventId) {
    return { kind: 'duplicate', sequence: winner.sequence };
  }
  const last = await readMessage(connection, { last_by_subj: sent.subject });
  return { kind: 'conflict', lastSequence: last?.sequence ?? 0 };
}
