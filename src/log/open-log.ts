import { DEFAULT_LIMITS } from '../wire/limits.ts';
import { type AppendRequest, type AppendResult, appendEvent } from './append.ts';
import { appendDecided, type DecidedResult, type DecideOptions } from './append-decided.ts';
import { type BlobStore, type BlobStoreOptions, openBlobStore } from './blobs.ts';
import { type Close, closeAll, closedAfter } from './close-all.ts';
import { type ConnectionState, type LogConnection, openConnection } from './connection.ts';
import { type OfferStore, type OfferStoreOptions, openOfferStore } from './device-offers.ts';
import { LogError } from './errors.ts';
import type { MessageBatch } from './events.ts';
import { createGroupCommit, type GroupCommitOptions, type SubmittedBatch } from './group-commit.ts';
import { type Incarnation, readIncarnation, readPastEpochs, startIncarnation } from './incarnation.ts';
import { type NatsServer, openNatsServer } from './nats-server/child.ts';
import { findNatsServer } from './nats-server/find.ts';
import { isAtLeast, type NatsServerBinary, SYNC_ALWAYS_SINCE } from './nats-server/version.ts';
import { createPublisher, type Publisher } from './publisher.ts';
import { type ReachOptions, untilReached } from './reach.ts';
import { type LogReader, openReader, type ReaderOptions } from './reader.ts';
import { shareNext } from './share-next.ts';
import { ensureStream, readStreamState, type StreamState } from './stream.ts';
import { STREAM_NAME } from './subjects.ts';

/** Where the log lives: a private nats-server with its store in a folder, or a server or cluster that others run. */
export type LogPlace =
  | {
      readonly folder: string;
      /** Left out: found as `findNatsServer` does. */
      readonly binary?: NatsServerBinary;
      /** Caps the store in bytes; for tests of a full disk. */
      readonly maxStoreBytes?: number;
    }
  | {
      readonly servers: readonly string[];
      readonly token?: string;
      /** The text of a NATS credentials file. */
      readonly credentials?: string;
      /** How long they are waited for when they are not there yet, ms; not at all unless said otherwise. */
      readonly waitMs?: number;
    };

export interface OpenLogOptions {
  readonly place: LogPlace;
  /** The log belongs to this domain for ever. */
  readonly domain: string;
  /** Whether nothing was ever derived from a log. A missing or empty log is started only then. */
  readonly tablesEmpty: boolean;
  /** Placement rule of a log that has to be started, see `LogStarted`; one that is there keeps its own. */
  readonly pastEpochs?: number;
  /** For a stream that has to be made; 1 unless said otherwise. */
  readonly replicas?: number;
  /** Shard of the application lane that this node's messages go to. */
  readonly shard?: number;
  readonly groupCommit?: Pick<GroupCommitOptions, 'eventMaxBytes' | 'eventMaxMessages' | 'queueMaxBytes'>;
  readonly signal?: AbortSignal;
  /** Told of restarts of the embedded server, for the program's own log. Contains no secrets. */
  readonly onNotice?: (text: string) => void;
}

/** What an acknowledged append has been through. */
type Durability = 'every-write' | 'every-two-minutes' | 'unknown';

export interface LogDescription {
  readonly stream: string;
  readonly domain: string;
  readonly incarnation: string;
  readonly embedded: boolean;
  readonly serverVersion: string;
  readonly durability: Durability;
  /** `durability` in words, for people: `fsync every write`. */
  readonly durabilityText: string;
  readonly replicas: number;
  readonly lastSequence: number;
}

/** The event log. Every append settles after the log has acknowledged it, and with what `describe` says of durability. */
export interface Log extends AsyncDisposable {
  /** How many epochs before the current one a message may be from, as the log's first event says. */
  readonly pastEpochs: number;
  readonly state: ConnectionState;
  /** Called at every change of `state`; returns what ends the subscription. */
  onState(listener: (state: ConnectionState) => void): () => void;
  /** See `appendEvent`. */
  append(request: AppendRequest, signal?: AbortSignal): Promise<AppendResult>;
  /** See `appendDecided`. */
  appendDecided<View, Answer>(options: DecideOptions<View, Answer>): Promise<DecidedResult<Answer>>;
  /** Stores messages by group commit. See `GroupCommit.submit`. */
  submitMessages(batch: MessageBatch): Promise<SubmittedBatch>;
  /** See `openReader`. Any number of readers may be open; each node needs one. */
  read(options?: ReaderOptions): Promise<LogReader>;
  /** What is stored beside the log. See `openBlobStore`; waits for it as `openLog` waits for the log. */
  openBlobs(options: BlobStoreOptions): Promise<BlobStore>;
  /** See `openOfferStore`; waits like {@link Log.openBlobs}. */
  openOffers(options: OfferStoreOptions): Promise<OfferStore>;
  /** Asks the log, one question for all who ask while others are under way: see `shareNext`. @throws LogError `unavailable`, `log-missing`. */
  describe(): Promise<LogDescription>;
  /**
   * Starts a new incarnation on purpose, after somebody accepted that the log went back. Every checkpoint and cursor of
   * before is void then. Settles with its id.
   */
  startNewIncarnation(): Promise<string>;
  /** Process id of the embedded server while it runs. */
  readonly serverPid: number | undefined;
  /** Refuses new appends, settles those under way, stops the embedded server. */
  close(): Promise<void>;
}

const DURABILITY_TEXT: Readonly<Record<Durability, string>> = {
  'every-write': 'fsync every write',
  'every-two-minutes': 'fsync every 2 minutes',
  unknown: 'fsync as the server is set up (by default every 2 minutes)',
};

/** How long one try waits for the JetStream of servers that others run. */
const FIRST_ANSWER_OF_OTHERS_MS = 3_000;

/**
 * Opens the log: starts or reaches the server, finds or makes the stream, starts the log when it is new.
 *
 * @throws LogError `locked`, `server-not-found`, `server-failed`, `unavailable`, `log-missing`, `log-unsafe`,
 *   `rolled-back` (the log is empty, the tables are not), `replicas-refused`, `domain-mismatch`, `aborted`, `rejected`
 *   (wrong credentials, say).
 * @example
 * await using log = await openLog({ place: { folder: 'data/nats' }, domain: 'localhost', tablesEmpty: true });
 * const result = await log.append({ lane: nameLane('account', 'alice'), expected: 0, event });
 */
export async function openLog(options: OpenLogOptions): Promise<Log> {
  const opened: Close[] = [];
  try {
    const { place, signal } = options;
    let server: NatsServer | undefined;
    if ('folder' in place) {
      server = await openNatsServer({
        folder: place.folder,
        binary: place.binary ?? (await findNatsServer()),
        ...(signal === undefined ? {} : { signal }),
        ...(options.onNotice === undefined ? {} : { onNotice: options.onNotice }),
        ...(place.maxStoreBytes === undefined ? {} : { maxStoreBytes: place.maxStoreBytes }),
      });
      opened.push(server.close);
    }
    const reached = await untilReached(() => openStarted(options, server), reachOptions(options, 'the log'));
    opened.push(reached.close);
    const { connection, publisher, incarnation, pastEpochs } = reached;
    const log = createLog({ ...options, pastEpochs }, server, connection, publisher, incarnation, opened);
    opened.push(log.stopTaking);
    return log.api;
  } catch (error) {
    throw await closedAfter(error, opened);
  }
}

/** How long `what` is waited for, of servers that others run. */
function reachOptions({ place, signal, onNotice }: OpenLogOptions, what: string): ReachOptions {
  return {
    waitMs: 'folder' in place ? 0 : (place.waitMs ?? 0),
    signal,
    onWaiting: (reason) => onNotice?.(`waiting for ${what}: ${reason}`),
  };
}

/** A connection to a log that has begun. */
async function openStarted(options: OpenLogOptions, server: NatsServer | undefined) {
  const { place, signal } = options;
  const connection = await openConnection({
    servers: 'folder' in place ? [server!.url] : place.servers,
    token: 'folder' in place ? server!.token : place.token,
    credentials: 'folder' in place ? undefined : place.credentials,
    // Whoever set a time is told what is waited for, and when it is over: see `untilReached`.
    firstAnswerMs: 'folder' in place || place.waitMs === undefined ? undefined : FIRST_ANSWER_OF_OTHERS_MS,
    signal,
  });
  const publisher = createPublisher(connection);
  const close = async (): Promise<void> => {
    publisher.close();
    await connection.close();
  };
  try {
    const state = await ensureStream(connection, {
      replicas: options.replicas ?? 1,
      tablesEmpty: options.tablesEmpty,
    });
    const incarnation = await ensureStarted(connection, publisher, options, state);
    const pastEpochs = await readPastEpochs(connection);
    return { connection, publisher, incarnation, pastEpochs, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function ensureStarted(
  connection: LogConnection,
  publisher: Publisher,
  options: OpenLogOptions,
  state: StreamState,
): Promise<Incarnation> {
  let incarnation = await readIncarnation(connection);
  if (incarnation === undefined) {
    if (!options.tablesEmpty) throw new LogError('rolled-back', 'the log is empty, but the tables are not');
    if (state.lastSequence > 0) {
      throw new LogError('log-unsafe', `the stream ${STREAM_NAME} holds messages, but it is not a log of mlsd`);
    }
    const { domain, pastEpochs = DEFAULT_LIMITS.pastEpochs } = options;
    incarnation = await startIncarnation(connection, publisher, domain, 0, pastEpochs);
  }
  if (incarnation.domain !== options.domain) {
    throw new LogError('domain-mismatch', `the log belongs to ${incarnation.domain}, not to ${options.domain}`);
  }
  return incarnation;
}

function createLog(
  options: OpenLogOptions & { readonly pastEpochs: number },
  server: NatsServer | undefined,
  connection: LogConnection,
  publisher: Publisher,
  started: Incarnation,
  opened: Close[],
): { readonly api: Log; readonly stopTaking: () => Promise<void> } {
  let incarnation = started;
  let closing: Promise<void> | undefined;
  const underWay = new Set<Promise<unknown>>();
  const append = (request: AppendRequest, signal?: AbortSignal): Promise<AppendResult> => {
    const appending = appendEvent(connection, publisher, request, signal);
    const settled = appending
      .catch(() => undefined) // Whoever asked is told; here it only matters that it is over.
      .finally(() => underWay.delete(settled));
    underWay.add(settled);
    return appending;
  };
  const open = (): void => {
    if (closing !== undefined) throw new LogError('closed', 'the log is closed');
  };
  /** A cluster may have the log and not yet, or not any more, what stands beside it. */
  const openBeside = async <Store>(what: string, openStore: () => Promise<Store>): Promise<Store> => {
    open();
    const openOne = async () => ({ store: await openStore(), close: async () => {} });
    return (await untilReached(openOne, reachOptions(options, what))).store;
  };
  const groupCommit = createGroupCommit({
    ...options.groupCommit,
    append,
    shard: options.shard ?? 0,
    payloadMaxBytes: connection.maxPayloadBytes,
  });
  const close = (): Promise<void> => {
    closing ??= closeAll(opened);
    return closing;
  };
  const describe = shareNext(async (): Promise<LogDescription> => {
    const { lastSequence, replicas } = await readStreamState(connection);
    const durability = durabilityOf(server);
    return {
      stream: STREAM_NAME,
      domain: incarnation.domain,
      incarnation: incarnation.id,
      embedded: server !== undefined,
      serverVersion: connection.serverVersion,
      durability,
      durabilityText: DURABILITY_TEXT[durability],
      replicas,
      lastSequence,
    };
  });
  const api: Log = {
    pastEpochs: options.pastEpochs,
    get state() {
      return connection.state;
    },
    get serverPid() {
      return server?.pid;
    },
    onState: (listener) => connection.onChange(listener),
    append: async (request, signal) => {
      open();
      return await append(request, signal);
    },
    appendDecided: async (decideOptions) => {
      open();
      return await appendDecided(append, decideOptions);
    },
    submitMessages: (batch) => groupCommit.submit(batch),
    read: (readerOptions = {}) => openReader(connection, readerOptions),
    openBlobs: (blobOptions) => openBeside('the attachments', () => openBlobStore(connection, blobOptions)),
    openOffers: (offerOptions) => openBeside('the offers of devices', () => openOfferStore(connection, offerOptions)),
    describe,
    async startNewIncarnation() {
      open();
      const newest = (await readIncarnation(connection)) ?? { sequence: 0 };
      incarnation = await startIncarnation(connection, publisher, options.domain, newest.sequence);
      return incarnation.id;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
  const stopTaking = async (): Promise<void> => {
    await groupCommit.close();
    await Promise.all(underWay);
  };
  return { api, stopTaking };
}

function durabilityOf(server: NatsServer | undefined): Durability {
  if (server === undefined) return 'unknown';
  return isAtLeast(server.binary.version, SYNC_ALWAYS_SINCE) ? 'every-write' : 'every-two-minutes';
}
