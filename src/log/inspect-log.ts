import { appendCompactions, type GroupCut } from './append-compactions.ts';
import { type Close, closeAll, closedAfter } from './close-all.ts';
import { openConnection } from './connection.ts';
import { type StoredBlobs, storedBlobs } from './copy-blobs.ts';
import { LogError } from './errors.ts';
import { type Incarnation, readIncarnation } from './incarnation.ts';
import { openNatsServer } from './nats-server/child.ts';
import { findRunningServer } from './nats-server/running.ts';
import { isAtLeast, type NatsServerBinary, parseVersion, SYNC_ALWAYS_SINCE } from './nats-server/version.ts';
import { type RawEvent, type RawRange, readRawEvents } from './raw-events.ts';
import { type LogReader, openReader, type ReaderOptions } from './reader.ts';
import { isTestedWithReplicas, streamInfo, unsafeReasons } from './stream.ts';

/** The log to look at: of a stopped server, of one that runs in another process, or of a server or cluster of others. */
export type InspectPlace =
  | { readonly kind: 'stopped'; readonly folder: string; readonly binary: NatsServerBinary }
  | { readonly kind: 'running'; readonly folder: string }
  | {
      readonly kind: 'remote';
      readonly servers: readonly string[];
      readonly token?: string | undefined;
      readonly credentials?: string | undefined;
    };

/** What NATS and the stream say of themselves. */
export interface LogReport {
  readonly serverVersion: string;
  readonly maxPayloadBytes: number;
  /** Bytes JetStream may store and has stored; a limit of -1 is none. */
  readonly storage: { readonly usedBytes: number; readonly limitBytes: number };
  /** Milliseconds between asking and the answer. */
  readonly roundTripMs: number;
  /** The server's clock less ours, in milliseconds; absent on servers that do not tell. */
  readonly clockOffsetMs?: number;
  /** Whether an acknowledged append is on disk; of a server of others nobody can ask. */
  readonly syncsEveryWrite: boolean | 'unknown';
  /** Absent: there is no log yet. */
  readonly stream?: {
    readonly firstSequence: number;
    readonly lastSequence: number;
    readonly messages: number;
    readonly bytes: number;
    readonly replicas: number;
    /** Whether comparisons on that many replicas are known to hold on this version. */
    readonly replicasTested: boolean;
    /** Why it cannot be the log of mlsd. */
    readonly unsafe: readonly string[];
    readonly incarnation?: Incarnation;
  };
}

/** A log that is looked at; nothing is written to it but what says that entries of a group are no longer served. */
export interface LogInspection extends AsyncDisposable {
  /** @throws LogError `unavailable`, `rejected`, `invalid-event`, `log-unsafe`. */
  report(): Promise<LogReport>;
  /** See `openReader`. */
  read(options?: ReaderOptions): Promise<LogReader>;
  /** See `readRawEvents`. */
  events(range: RawRange): AsyncIterable<readonly RawEvent[]>;
  /** See `storedBlobs`. */
  blobs(): Promise<StoredBlobs | undefined>;
  /** Appends a `group-compacted` for each. Settles with the sequence of the last. @throws LogError as `appendEvent` does */
  compactGroups(cuts: readonly GroupCut[]): Promise<number>;
  close(): Promise<void>;
}

/** Whoever looks at a cluster wants to know that it does not answer, not to wait for it. */
const FIRST_ANSWER_OF_OTHERS_MS = 5_000;

interface AccountInfo {
  readonly storage: number;
  readonly limits: { readonly max_storage: number };
}

/**
 * Opens a log for reading. Of a stopped server the `nats-server` is started for as long as this is open; nothing is made
 * that was not there.
 *
 * @throws LogError `locked` when a stopped server's folder is in use after all, `server-failed`, `unavailable`, `aborted`.
 */
export async function openInspection(place: InspectPlace, signal?: AbortSignal): Promise<LogInspection> {
  const opened: Close[] = [];
  try {
    const target = await reach(place, opened, signal);
    const connection = await openConnection({ ...target, signal });
    opened.push(connection.close);
    const { serverVersion } = connection;
    const isEmbedded = place.kind !== 'remote';
    return {
      async report() {
        const account = await connection.api<AccountInfo>('INFO');
        if (!account.ok) throw new LogError('rejected', `JetStream does not answer: ${account.failure.description}`);
        const asked = Date.now();
        const info = await streamInfo(connection);
        const answered = Date.now();
        const replicas = info?.config.num_replicas ?? 1;
        const incarnation = info === undefined ? undefined : await readIncarnation(connection);
        const time = info?.ts === undefined ? Number.NaN : Date.parse(info.ts);
        return {
          serverVersion,
          maxPayloadBytes: connection.maxPayloadBytes,
          storage: { usedBytes: account.value.storage, limitBytes: account.value.limits.max_storage },
          roundTripMs: answered - asked,
          ...(Number.isNaN(time) ? {} : { clockOffsetMs: Math.round(time - (asked + answered) / 2) }),
          syncsEveryWrite: isEmbedded ? canSync(serverVersion) : 'unknown',
          ...(info === undefined
            ? {}
            : {
                stream: {
                  firstSequence: info.state.first_seq,
                  lastSequence: info.state.last_seq,
                  messages: info.state.messages,
                  bytes: info.state.bytes,
                  replicas,
                  replicasTested: replicas === 1 || isTestedWithReplicas(serverVersion),
                  unsafe: unsafeReasons(info),
                  ...(incarnation === undefined ? {} : { incarnation }),
                },
              }),
        };
      },
      read: (options = {}) => openReader(connection, options),
      events: (range) => readRawEvents(connection, range),
      blobs: () => storedBlobs(connection),
      compactGroups: (cuts) => appendCompactions(connection, cuts, signal),
      close: () => closeAll(opened),
      [Symbol.asyncDispose]: () => closeAll(opened),
    };
  } catch (error) {
    throw await closedAfter(error, opened);
  }
}

async function reach(place: InspectPlace, opened: Close[], signal?: AbortSignal) {
  if (place.kind === 'remote') return { ...place, firstAnswerMs: FIRST_ANSWER_OF_OTHERS_MS };
  if (place.kind === 'running') {
    const { url, token } = await findRunningServer(place.folder, signal);
    return { servers: [url], token };
  }
  const { folder, binary } = place;
  const server = await openNatsServer({ folder, binary, ...(signal === undefined ? {} : { signal }) });
  opened.push(server.close);
  return { servers: [server.url], token: server.token };
}

/** Our own configuration asks every server for it that knows it. */
function canSync(serverVersion: string): boolean {
  const version = parseVersion(serverVersion);
  return version !== undefined && isAtLeast(version, SYNC_ALWAYS_SINCE);
}
