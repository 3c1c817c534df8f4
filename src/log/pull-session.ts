import { createInbox, type Msg, type NatsError } from 'nats';
import { failureError, type LogConnection } from './connection.ts';
import { createStallWatch } from './stall-watch.ts';
import { readStreamState } from './stream.ts';
import { STREAM_NAME } from './subjects.ts';

export interface PulledMessage {
  readonly sequence: number;
  readonly bytes: Uint8Array;
  /** As it was delivered: for readers that want its subject, headers and time as well. */
  readonly message: Msg;
}

/** One consumer of the stream, for as long as it and the connection last. */
export interface PullSession {
  /**
   * Settles with 1 to `most` messages, in stream order, as soon as there are any; with `undefined` when the session has
   * ended (the signal fired, the connection broke, the consumer went away) and nothing is left in it.
   */
  take(most: number): Promise<readonly PulledMessage[] | undefined>;
  close(): void;
}

/** Larger than the largest event: a request that has no room for the next event would never be served. */
const PULL_MAX_BYTES = 10 * 1024 * 1024;
const PULL_MAX_MESSAGES = 100_000;
/** Requests expire soon, because one that a restarted server forgot is noticed only then. */
const PULL_EXPIRES_MS = 2_000;
const SILENCE_MAX_MS = PULL_EXPIRES_MS + 1_000;
/** Two requests under way leave no pause between one and the next. */
const PULLS_OUT = 2;
/** The requests under way are served in turn, so all of them may end at one message; more in a row get nothing at all. */
const EMPTY_ENDS_MAX = 2 * PULLS_OUT;
/** Nothing more is asked for while this much waits to be taken. */
const BUFFER_MAX_BYTES = 8 * 1024 * 1024;
const NS_PER_MS = 1_000_000;
/** The server forgets a consumer nobody pulls from. */
const INACTIVE_NS = 30_000 * NS_PER_MS;
const ACK_PREFIX = '$JS.ACK.';
const SHORT_FORM_DOTS = 8;
const LONG_FORM_DOTS = 10;
/** The consumer's own sequence stands between. */
const TIME_AFTER_SEQUENCE = 2;
/** Ends of requests that say nothing is wrong: expired, or no more room in it. */
const REQUEST_TIMEOUT = 408;
const REQUEST_ENDED = 409;

/** @throws LogError `unavailable`, `rejected`. */
export async function openPullSession(
  connection: LogConnection,
  firstSequence: number,
  signal?: AbortSignal,
): Promise<PullSession> {
  const consumer = await createConsumer(connection, firstSequence);
  const { nats } = connection;
  const inbox = createInbox();
  const pullSubject = `$JS.API.CONSUMER.MSG.NEXT.${STREAM_NAME}.${consumer}`;
  const pullRequest = JSON.stringify({
    batch: PULL_MAX_MESSAGES,
    max_bytes: PULL_MAX_BYTES,
    expires: PULL_EXPIRES_MS * NS_PER_MS,
  });
  let buffer: PulledMessage[] = [];
  let bufferedBytes = 0;
  let pullsOut = 0;
  let emptyEnds = 0;
  let heardAt = performance.now();
  let next = firstSequence;
  let ended = false;
  let wake: (() => void) | undefined;

  const notify = (): void => {
    wake?.();
    wake = undefined;
  };
  const end = (): void => {
    ended = true;
    notify();
  };
  const stall = createStallWatch({
    next: () => next,
    newestKnown: () => connection.newestStored,
    lastSequence: async () => (await readStreamState(connection)).lastSequence,
    onStalled() {
      end();
      connection.leave();
    },
  });
  const pull = (): void => {
    while (!ended && pullsOut < PULLS_OUT && bufferedBytes < BUFFER_MAX_BYTES) {
      pullsOut += 1;
      nats.publish(pullSubject, pullRequest, { reply: inbox });
    }
  };
  const onStatus = (code: number): void => {
    pullsOut = Math.max(0, pullsOut - 1);
    emptyEnds = code === REQUEST_ENDED ? emptyEnds + 1 : 0;
    if (code === REQUEST_TIMEOUT || (code === REQUEST_ENDED && emptyEnds <= EMPTY_ENDS_MAX)) pull();
    else end();
  };
  const onMessage = (error: NatsError | null, message: Msg): void => {
    if (ended) return;
    if (error !== null) {
      end();
      return;
    }
    heardAt = performance.now();
    const status = message.data.length === 0 ? message.headers?.code : undefined;
    if (status !== undefined && status !== 0) {
      onStatus(status);
      return;
    }
    emptyEnds = 0;
    const sequence = streamSequence(message.reply ?? '');
    next = sequence + 1;
    stall.heard();
    const { data } = message;
    // A plain Uint8Array: views of it are made several times faster than those of node's Buffer.
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length);
    buffer.push({ sequence, bytes, message });
    bufferedBytes += bytes.length;
    notify();
  };

  const subscription = nats.subscribe(inbox, { callback: onMessage });
  const unwatch = connection.onChange(end);
  const watchdog = setInterval(() => {
    if (ended || pullsOut === 0) return;
    if (performance.now() - heardAt > SILENCE_MAX_MS) end();
    else if (buffer.length === 0) stall.look();
  }, PULL_EXPIRES_MS / 2);
  signal?.addEventListener('abort', end, { once: true });
  if (signal?.aborted === true || connection.state !== 'connected') end();
  pull();

  return {
    async take(most) {
      if (buffer.length === 0) {
        if (ended) return undefined;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (buffer.length === 0) return undefined;
      const taken = buffer.length <= most ? buffer : buffer.slice(0, most);
      buffer = buffer.length <= most ? [] : buffer.slice(most);
      for (const { bytes } of taken) bufferedBytes -= bytes.length;
      if (pullsOut === 0) heardAt = performance.now();
      pull();
      return taken;
    },
    close() {
      ended = true;
      clearInterval(watchdog);
      stall.close();
      unwatch();
      signal?.removeEventListener('abort', end);
      subscription.unsubscribe();
      notify();
    },
  };
}

async function createConsumer(connection: LogConnection, firstSequence: number): Promise<string> {
  const answer = await connection.api<{ name: string }>(`CONSUMER.CREATE.${STREAM_NAME}`, {
    stream_name: STREAM_NAME,
    config: {
      deliver_policy: 'by_start_sequence',
      opt_start_seq: firstSequence,
      ack_policy: 'none',
      replay_policy: 'instant',
      max_deliver: -1,
      num_replicas: 1,
      mem_storage: true,
      inactive_threshold: INACTIVE_NS,
    },
  });
  if (!answer.ok) throw failureError('read the log', answer.failure);
  return answer.value.name;
}

/**
 * The stream sequence in a delivered message's reply subject, `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.…`,
 * with two more tokens after `ACK` (domain, account) on servers that use the longer form. 0 for any other subject: no
 * event stands there, so that the reader sees a gap.
 */
export function streamSequence(reply: string): number {
  const sequence = Number(replyToken(reply, 0));
  return Number.isSafeInteger(sequence) && sequence > 0 ? sequence : 0;
}

/** When the server stored a delivered message, milliseconds since 1970; from the same reply subject. 0 for any other. */
export function storedAtMs(reply: string): number {
  const nanoseconds = replyToken(reply, TIME_AFTER_SEQUENCE);
  return /^\d{7,20}$/.test(nanoseconds) ? Number(nanoseconds.slice(0, -6)) : 0;
}

/** The token this far behind the sequence; empty in a subject of another form. */
function replyToken(reply: string, behind: number): string {
  if (!reply.startsWith(ACK_PREFIX)) return '';
  const dots: number[] = [];
  for (let at = reply.indexOf('.'); at >= 0; at = reply.indexOf('.', at + 1)) dots.push(at);
  if (dots.length < SHORT_FORM_DOTS) return '';
  const token = (dots.length >= LONG_FORM_DOTS ? 7 : 5) + behind;
  return reply.slice(dots[token - 1]! + 1, dots[token]!);
}
