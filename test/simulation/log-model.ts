import type { LogConnection } from '../../src/log/connection.ts';
import { decodeEvent, encodeEvent } from '../../src/log/envelope.ts';
import { LogError } from '../../src/log/errors.ts';
import type { LogEvent } from '../../src/log/events.ts';
import type { PublishAnswer, Publisher, PublishRequest } from '../../src/log/publisher.ts';
import type { LogEntry } from '../../src/log/reader.ts';
import { STREAM_NAME } from '../../src/log/subjects.ts';
import type { World } from './world.ts';

/** JetStream's codes, as src/log reads them. */
const WRONG_LAST_SEQUENCE = 10071;
const STORAGE_FULL = 10077;
const NO_MESSAGE_FOUND = 10037;
const STREAM_INFO = `STREAM.INFO.${STREAM_NAME}`;
/** As the stream is made. */
const DUPLICATE_WINDOW_MS = 120_000;
/** As src/log/publisher.ts waits. */
const ANSWER_TIMEOUT_MS = 5_000;
const PAYLOAD_MAX_BYTES = 8 * 1024 * 1024;

export interface StoredEvent extends LogEntry {
  readonly subject: string;
  readonly at: number;
}

/** The one stream, shared by all nodes: ordered, compared, durable once acknowledged. */
export interface LogModel {
  readonly events: readonly StoredEvent[];
  isFull: boolean;
  /** How often it went back. */
  readonly wentBack: number;
  /** Called when something was stored. */
  onStored(listener: () => void): void;
}

interface Stream extends LogModel {
  publish(request: PublishRequest): PublishAnswer;
  /** Writes the log anew, event by event; nobody may be reading it. */
  rewrite(remade: (event: LogEvent) => LogEvent | undefined): number;
  messageGet(which: MessageGet): StoredEvent | undefined;
  /** Loses everything after a sequence, as in a power cut, or when an earlier backup is restored; no link may be mended meanwhile. */
  goBack(to: number): void;
}

interface MessageGet {
  readonly seq?: number;
  readonly last_by_subj?: string;
  readonly next_by_subj?: string;
}

/** @param before what the log holds already: shared by many histories, so never changed */
export function createLogModel(
  world: World,
  before: readonly StoredEvent[],
  watch: (event: LogEvent, sequence: number) => void,
): Stream {
  const events = [...before];
  const listeners: (() => void)[] = [];
  const lastOf = new Map<string, number>();
  const ids = new Map<string, StoredEvent>();
  for (const event of events) lastOf.set(event.subject, event.sequence);

  let wentBack = 0;

  const stream: Stream = {
    events,
    isFull: false,
    get wentBack() {
      return wentBack;
    },
    onStored: (listener) => void listeners.push(listener),
    publish({ subject, eventId, bytes, expected }) {
      const now = world.time.now();
      const known = ids.get(eventId);
      const isDuplicate = known !== undefined && now - known.at < DUPLICATE_WINDOW_MS;
      const last = lastOf.get(subject) ?? 0;
      const isWrong = expected !== undefined && expected !== last && world.mutations.logWithoutCompare !== true;
      if (isDuplicate && !(world.weather.comparesFirst && isWrong)) {
        return { kind: 'stored', sequence: known.sequence, duplicate: true };
      }
      if (isWrong) {
        world.fault('two nodes at one lane');
        return { kind: 'refused', code: 400, errCode: WRONG_LAST_SEQUENCE, description: 'wrong last sequence' };
      }
      if (stream.isFull) return { kind: 'refused', code: 503, errCode: STORAGE_FULL, description: 'no room' };
      const sequence = events.length + 1;
      const stored: StoredEvent = { sequence, event: decodeEvent(bytes), bytes, subject, at: now };
      events.push(stored);
      lastOf.set(subject, sequence);
      ids.set(eventId, stored);
      watch(stored.event, sequence);
      for (const listener of listeners) listener();
      return { kind: 'stored', sequence, duplicate: false };
    },
    rewrite(remade) {
      let count = 0;
      for (const [at, stored] of events.entries()) {
        const event = remade(stored.event);
        if (event === undefined) continue;
        events[at] = { ...stored, event, bytes: encodeEvent(event) };
        count += 1;
      }
      return count;
    },
    goBack(to) {
      wentBack += 1;
      events.length = to;
      lastOf.clear();
      for (const event of events) lastOf.set(event.subject, event.sequence);
      for (const [id, { sequence }] of ids) if (sequence > to) ids.delete(id);
    },
    messageGet({ seq, last_by_subj: last, next_by_subj: next }) {
      if (last !== undefined) return events[(lastOf.get(last) ?? 0) - 1];
      if (next !== undefined) return events.find((event) => event.sequence >= (seq ?? 1) && event.subject === next);
      return events[(seq ?? 0) - 1];
    },
  };
  return stream;
}

/** One server's way to the log, with all that can happen on it. */
export interface LogLink {
  readonly connection: LogConnection;
  readonly publisher: Publisher;
  readonly isCut: boolean;
  /** How often it was mended: each time the log may be another one than it was. */
  readonly mended: number;
  cut(): void;
  mend(): void;
  /** Where the log ends now. @throws LogError `unavailable` */
  lastSequence(): Promise<number>;
  /** What the node may read at this moment, after a sequence. */
  readable(after: number): readonly LogEntry[];
  onReadable(listener: () => void): void;
}

/**
 * @param isAlive whether the process that asks still runs: a dead one hears nothing more
 * @param around may end the process just before, or just after, an append takes effect
 */
export function createLogLink(
  world: World,
  stream: Stream,
  process: { readonly isAlive: () => boolean; readonly around: (append: () => void) => void },
): LogLink {
  const { time, chance } = world;
  const waiting = new Set<() => void>();
  const listeners = new Set<() => void>();
  const readers: (() => void)[] = [];
  const unanswered = new Set<(error: LogError) => void>();
  let isCut = false;
  let mended = 0;

  const delay = (): number => chance.between(0, 2);
  const wake = (): void => {
    for (const listener of readers) listener();
  };
  stream.onStored(wake);

  const publish = (request: PublishRequest): Promise<PublishAnswer> =>
    new Promise((resolve, reject) => {
      if (isCut) {
        reject(new LogError('unavailable', 'the log is not connected'));
        return;
      }
      const fail = (error: LogError): void => {
        timeout.cancel();
        unanswered.delete(fail);
        if (process.isAlive()) reject(error);
      };
      const timeout = time.after(ANSWER_TIMEOUT_MS, () => fail(new LogError('unavailable', 'no answer in time')));
      unanswered.add(fail);
      if (chance.hits(world.weather.appendLost)) {
        world.fault('append lost');
        return;
      }
      time.after(delay(), () => {
        if (isCut || !process.isAlive()) return;
        let answer: PublishAnswer | undefined;
        process.around(() => {
          answer = stream.publish(request);
        });
        if (answer?.kind === 'stored' && chance.hits(world.weather.ackLost)) {
          world.fault('acknowledgement lost');
          return;
        }
        time.after(delay(), () => {
          if (answer === undefined || isCut || !process.isAlive() || !unanswered.delete(fail)) return;
          timeout.cancel();
          resolve(answer);
        });
      });
    });

  const connection: LogConnection = {
    get nats(): never {
      throw new Error('there is no NATS in a simulation');
    },
    get state() {
      return isCut ? ('disconnected' as const) : ('connected' as const);
    },
    serverVersion: 'simulated',
    maxPayloadBytes: PAYLOAD_MAX_BYTES,
    appends: { clear: () => {}, grow: () => {} }, // there is no other server to go to
    reads: { clear: () => {}, grow: () => {} },
    leave: () => {},
    newestStored: 0, // no reader of this model stands still while it answers
    noteStored: () => {},
    onChange: () => () => {},
    whenConnected: (timeoutMs, signal) =>
      new Promise((resolve, reject) => {
        const finish = (conclude: () => void): void => {
          timeout.cancel();
          waiting.delete(connected);
          signal?.removeEventListener('abort', aborted);
          if (process.isAlive()) conclude();
        };
        const connected = (): void => finish(resolve);
        const aborted = (): void => finish(() => reject(new LogError('aborted', 'given up')));
        const timeout = time.after(timeoutMs, () => finish(() => reject(new LogError('unavailable', 'no connection'))));
        signal?.addEventListener('abort', aborted, { once: true });
        if (isCut) waiting.add(connected);
        else connected();
      }),
    api: <T>(operation: string, body?: unknown) =>
      new Promise<
        { ok: true; value: T } | { ok: false; failure: { code: number; errCode: number; description: string } }
      >((resolve, reject) => {
        time.after(2 * delay(), () => {
          if (!process.isAlive()) return;
          if (isCut) {
            reject(new LogError('unavailable', 'the log does not answer'));
            return;
          }
          if (operation === STREAM_INFO) {
            const state = { first_seq: 1, last_seq: stream.events.length };
            resolve({ ok: true, value: { config: { num_replicas: 1 }, state } as T });
            return;
          }
          const found = stream.messageGet(body as MessageGet);
          if (found === undefined) {
            resolve({ ok: false, failure: { code: 404, errCode: NO_MESSAGE_FOUND, description: 'no message found' } });
            return;
          }
          const hdrs = Buffer.from(`NATS/1.0\r\nNats-Msg-Id: ${found.event.id}\r\n\r\n`).toString('base64');
          const data = Buffer.from(found.bytes).toString('base64');
          resolve({ ok: true, value: { message: { seq: found.sequence, hdrs, data } } as T });
        });
      }),
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };

  return {
    connection,
    publisher: {
      publish,
      get inFlight() {
        return unanswered.size;
      },
      close: () => {},
    },
    get isCut() {
      return isCut;
    },
    cut() {
      isCut = true;
      for (const fail of [...unanswered]) fail(new LogError('unavailable', 'the connection to the log was lost'));
      for (const listener of listeners) listener();
    },
    get mended() {
      return mended;
    },
    mend() {
      isCut = false;
      mended += 1;
      for (const connected of [...waiting]) connected();
      wake();
    },
    lastSequence: () =>
      new Promise((resolve, reject) => {
        time.after(2 * delay(), () => {
          if (!process.isAlive()) return;
          if (isCut) reject(new LogError('unavailable', 'the log does not answer'));
          else resolve(stream.events.length);
        });
      }),
    readable: (after) => (isCut ? [] : stream.events.slice(after)),
    onReadable: (listener) => void readers.push(listener),
  };
}
