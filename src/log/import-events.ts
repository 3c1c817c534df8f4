import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { wait } from './backoff.ts';
import { failureError, type LogConnection, openConnection } from './connection.ts';
import { LogError } from './errors.ts';
import { readIncarnation, startIncarnation } from './incarnation.ts';
import { openNatsServer } from './nats-server/child.ts';
import type { NatsServerBinary } from './nats-server/version.ts';
import { createPublisher, type PublishAnswer, type Publisher } from './publisher.ts';
import type { RawEvent } from './raw-events.ts';
import { streamConfig, streamInfo } from './stream.ts';
import { STREAM_NAME } from './subjects.ts';

/** What has to be known of an event to store it again. */
export type ImportedEvent = Pick<RawEvent, 'sequence' | 'subject' | 'eventId' | 'bytes'>;

export interface ImportOptions {
  /** Folder of a nats-server whose store is empty. */
  readonly folder: string;
  readonly binary: NatsServerBinary;
  /** From sequence 1 on, in order. */
  readonly events: AsyncIterable<readonly ImportedEvent[]>;
  /** Ends the log with a new incarnation, so that no cursor and no checkpoint of before is taken for one of now. */
  readonly newIncarnation: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (sequence: number) => void;
}

/** While events are brought in, the server is to recognise as few as possible as sent twice: they were, in their time. */
const IMPORT_WINDOW_NS = 100 * 1_000_000;
const AFTER_WINDOW_MS = 150;
/** Events under way: nothing waits for an answer in between. */
const WINDOW_MAX_EVENTS = 256;
const WINDOW_MAX_BYTES = 16 * 1024 * 1024;
const TRIES = 20;

/**
 * Fills an empty log with the events of another one, at the same sequences. What was appended is exactly what was given, and is
 * on disk when this settles; when it fails, the folder holds a part of a log and has to go.
 *
 * @returns sequence of the last event
 * @throws LogError `log-unsafe` when the store holds a log already, `gap` when events are not dense from 1 on, `unavailable`,
 *   `storage-full`, `too-large`, `rejected`, `aborted`, `locked`, `server-failed`.
 */
export async function importEvents(options: ImportOptions): Promise<number> {
  const last = await storeAll(options);
  await syncBelow(options.folder);
  return last;
}

/** A sync an event would take hours where there are millions: the whole store is synced once the server is gone. */
async function storeAll(options: ImportOptions): Promise<number> {
  const { folder, binary, signal } = options;
  const stopping = signal === undefined ? {} : { signal };
  await using server = await openNatsServer({ folder, binary, lazySync: true, ...stopping });
  await using connection = await openConnection({ servers: [server.url], token: server.token, signal });
  if ((await streamInfo(connection)) !== undefined) throw new LogError('log-unsafe', `${folder} holds a log already`);
  await setStream(connection, 'CREATE', IMPORT_WINDOW_NS);
  const publisher = createPublisher(connection);
  try {
    let last = 0;
    for await (const batch of options.events) {
      for (const window of windowsOf(batch)) {
        if (signal?.aborted === true) throw new LogError('aborted', 'given up before everything was stored');
        last = await storeWindow(publisher, window, last, signal);
        options.onProgress?.(last);
      }
    }
    await setStream(connection, 'UPDATE');
    if (!options.newIncarnation) return last;
    const newest = await readIncarnation(connection);
    if (newest === undefined) throw new LogError('log-unsafe', 'the events are not those of a log: it never started');
    return (await startIncarnation(connection, publisher, newest.domain, newest.sequence)).sequence;
  } finally {
    publisher.close();
  }
}

async function syncBelow(folder: string): Promise<void> {
  const below = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = below.filter((it) => it.isFile() || it.isDirectory()).map((it) => join(it.parentPath, it.name));
  for (const path of [...paths, folder]) {
    const file = await open(path, 'r');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

async function setStream(connection: LogConnection, operation: 'CREATE' | 'UPDATE', windowNs?: number): Promise<void> {
  const answer = await connection.api(`STREAM.${operation}.${STREAM_NAME}`, streamConfig(1, windowNs));
  if (!answer.ok) throw failureError('set up the stream', answer.failure);
}

function* windowsOf(batch: readonly ImportedEvent[]): Generator<readonly ImportedEvent[]> {
  let window: ImportedEvent[] = [];
  let bytes = 0;
  for (const event of batch) {
    if (window.length > 0 && (window.length >= WINDOW_MAX_EVENTS || bytes + event.bytes.length > WINDOW_MAX_BYTES)) {
      yield window;
      window = [];
      bytes = 0;
    }
    window.push(event);
    bytes += event.bytes.length;
  }
  if (window.length > 0) yield window;
}

/** Each event states the sequence it comes after, so the first that is not taken keeps out all that follow it. */
async function storeWindow(
  publisher: Publisher,
  window: readonly ImportedEvent[],
  before: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  for (const [i, { sequence }] of window.entries()) {
    if (sequence !== before + i + 1) {
      throw new LogError('gap', `event ${sequence} comes where ${before + i + 1} belongs`);
    }
  }
  let last = before;
  for (let tries = 0; ; tries += 1) {
    const left = window.slice(last - before);
    const answers = await Promise.allSettled(
      left.map(({ subject, eventId, bytes }, i) =>
        publisher.publish({ subject, eventId, bytes, expectedOfStream: last + i }),
      ),
    );
    let refused: PromiseSettledResult<PublishAnswer> | undefined;
    for (const answer of answers) {
      if (!isStoredAt(answer, last + 1)) {
        refused = answer;
        break;
      }
      last += 1;
    }
    if (refused === undefined) return last;
    if (tries >= TRIES || !mayBeTakenLater(refused)) throw refusal(refused, last + 1);
    // An event of the same id was stored a moment ago, or an answer got lost: soon the server knows of neither any more.
    await wait(AFTER_WINDOW_MS, signal);
  }
}

function isStoredAt(answer: PromiseSettledResult<PublishAnswer>, sequence: number): boolean {
  return answer.status === 'fulfilled' && answer.value.kind === 'stored' && answer.value.sequence === sequence;
}

function mayBeTakenLater(answer: PromiseSettledResult<PublishAnswer>): boolean {
  return answer.status === 'fulfilled' && answer.value.kind === 'stored' && answer.value.duplicate;
}

function refusal(answer: PromiseSettledResult<PublishAnswer>, sequence: number): LogError {
  if (answer.status === 'rejected') {
    if (answer.reason instanceof LogError) return answer.reason;
    return new LogError('unavailable', `event ${sequence} was not stored`, { cause: answer.reason });
  }
  if (answer.value.kind === 'stored') {
    return new LogError('log-unsafe', `event ${sequence} was stored at ${answer.value.sequence}: somebody else writes`);
  }
  const { errCode, description } = answer.value;
  return new LogError('rejected', `event ${sequence} was refused (${errCode}): ${description}`);
}
