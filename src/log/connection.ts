import {
  connect,
  credsAuthenticator,
  ErrorCode,
  Events,
  type Msg,
  type NatsConnection,
  NatsError,
  type QueuedIterator,
  type Status,
  tokenAuthenticator,
} from 'nats';
import { type Backoff, backoffMs, wait } from './backoff.ts';
import { LogError, messageOf } from './errors.ts';
import { createSuspicion, type Suspicion } from './suspicion.ts';

export interface ConnectionOptions {
  readonly servers: readonly string[];
  readonly token?: string | undefined;
  /** The text of a NATS credentials file. */
  readonly credentials?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long JetStream may take to answer at all, ms: a minute unless somebody else waits for it. */
  readonly firstAnswerMs?: number | undefined;
}

export type ConnectionState = 'connected' | 'disconnected' | 'closed';

/** What JetStream answers when it does not do something. Codes are its contract; the text is for people. */
export interface ApiFailure {
  readonly code: number;
  readonly errCode: number;
  readonly description: string;
}

export type ApiAnswer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: ApiFailure };

const SERVICE_UNAVAILABLE = 503;
/** JetStream's own code, which comes as a bad request: too few servers of the cluster are there for so many replicas. */
const NO_SUITABLE_PEERS = 10_005;

/** A failure nobody expected there, as an error: `unavailable` while the server is coming up, else `rejected`. */
export function failureError(doing: string, failure: ApiFailure): LogError {
  const passes = failure.code === SERVICE_UNAVAILABLE || failure.errCode === NO_SUITABLE_PEERS;
  const code = passes ? 'unavailable' : 'rejected';
  return new LogError(code, `the log refused to ${doing} (${failure.errCode}): ${failure.description}`);
}

/** The NATS connection that everything in this folder shares. It reconnects by itself, for ever. */
export interface LogConnection extends AsyncDisposable {
  readonly nats: NatsConnection;
  readonly state: ConnectionState;
  readonly serverVersion: string;
  readonly maxPayloadBytes: number;
  /** Called at every change; returns what ends the subscription. */
  onChange(listener: (state: ConnectionState) => void): () => void;
  /** Settles when connected. @throws LogError `unavailable` after `timeoutMs`, `closed`, `aborted`. */
  whenConnected(timeoutMs: number, signal?: AbortSignal): Promise<void>;
  /** Whether appends fail: of its own, because a leader that is cut off goes on answering everything else. */
  readonly appends: Suspicion;
  /** Whether nothing can be read: of its own for the same reason. */
  readonly reads: Suspicion;
  /** The highest sequence that an append is known to stand at; 0 before the first on this server. */
  readonly newestStored: number;
  /** Says where an append stands. */
  noteStored(sequence: number): void;
  /** Goes to another server, where others are known: this one is not what it says it is. */
  leave(): void;
  /** One JetStream API request. @throws LogError `unavailable` when nobody answers in time. */
  api<T>(operation: string, body?: unknown): Promise<ApiAnswer<T>>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;
const API_TIMEOUT_MS = 5_000;
const FIRST_ANSWER_TIMEOUT_MS = 60_000;
const FIRST_ANSWER: Backoff = { firstMs: 20, maxMs: 1_000 };
/** Between dials: the library asks anew at every turn of its loop, so it gets a constant with jitter. */
const RECONNECT: Backoff = { firstMs: 100, maxMs: 100 };
const PING_INTERVAL_MS = 10_000;
const PINGS_OUT_MAX = 2;
const REFUSALS: ReadonlySet<string> = new Set([
  ErrorCode.AuthorizationViolation,
  ErrorCode.AuthenticationExpired,
  ErrorCode.BadAuthentication,
  ErrorCode.BadCreds,
]);

/**
 * Connects, and settles when JetStream answers.
 *
 * @throws LogError `unavailable` when no server is reached or JetStream does not answer, `rejected` when a server does not take
 *   the credentials, `aborted`.
 */
export async function openConnection(options: ConnectionOptions): Promise<LogConnection> {
  const nats = await dial(options, () => backoffMs(RECONNECT, 0));
  const listeners = new Set<(state: ConnectionState) => void>();
  let state: ConnectionState = 'connected';
  let newestStored = 0;
  const leave = (): void => {
    newestStored = 0; // what else it said may not be so either
    if (state !== 'connected' || options.servers.length < 2) return;
    nats.reconnect().catch(() => undefined); // closed meanwhile: there is nothing to leave
  };
  const appends = createSuspicion(leave);
  const reads = createSuspicion(leave);
  const answers = createSuspicion(leave);
  const change = (next: ConnectionState): void => {
    if (state === next || state === 'closed') return;
    state = next;
    for (const suspicion of [appends, reads, answers]) suspicion.clear();
    for (const listener of [...listeners]) listener(next);
  };
  const watching = watchStatus(nats, change);

  const onChange = (listener: (state: ConnectionState) => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const api = async <T>(operation: string, body?: unknown): Promise<ApiAnswer<T>> => {
    const askedAt = performance.now();
    const payload = body === undefined ? '' : JSON.stringify(body);
    const request = nats.request(`$JS.API.${operation}`, payload, { timeout: API_TIMEOUT_MS });
    const answer = await untilDisconnected(request, connection).catch((error: unknown) => {
      answers.grow(askedAt);
      throw error;
    });
    const parsed = answer.json<T & { error?: { code: number; err_code?: number; description?: string } }>();
    if (parsed.error?.code === SERVICE_UNAVAILABLE) answers.grow(askedAt);
    else answers.clear();
    if (parsed.error === undefined) return { ok: true, value: parsed };
    const { code, err_code: errCode = 0, description = '' } = parsed.error;
    return { ok: false, failure: { code, errCode, description } };
  };
  const close = async (): Promise<void> => {
    await nats.close();
    await watching;
  };
  const connection: LogConnection = {
    nats,
    get state() {
      return state;
    },
    get serverVersion() {
      return nats.info?.version ?? 'unknown';
    },
    get maxPayloadBytes() {
      return nats.info?.max_payload ?? 0;
    },
    onChange,
    whenConnected: (timeoutMs, signal) => whenConnected(connection, timeoutMs, signal),
    appends,
    reads,
    get newestStored() {
      return newestStored;
    },
    noteStored(sequence) {
      newestStored = Math.max(newestStored, sequence);
    },
    leave,
    api,
    close,
    [Symbol.asyncDispose]: close,
  };
  try {
    await firstAnswer(connection, options);
  } catch (error) {
    await close();
    throw error;
  }
  return connection;
}

async function watchStatus(nats: NatsConnection, change: (next: ConnectionState) => void): Promise<void> {
  // What status() returns has a stop() that its type does not show; without it this loop would outlive the connection.
  const statuses = nats.status() as QueuedIterator<Status>;
  const ended = nats.closed().then(() => {
    change('closed');
    statuses.stop();
  });
  for await (const status of statuses) {
    if (status.type === Events.Disconnect) change('disconnected');
    if (status.type === Events.Reconnect) change('connected');
  }
  await ended;
}

/**
 * The answer to a request. The library lets one run into its timeout when the connection breaks; nobody has to wait that long.
 *
 * @throws LogError `unavailable`, `closed`
 */
export function untilDisconnected(request: Promise<Msg>, connection: LogConnection): Promise<Msg> {
  return new Promise((resolve, reject) => {
    const look = (state: ConnectionState): void => {
      if (state === 'closed') reject(new LogError('closed', 'the connection to the log is closed'));
      if (state === 'disconnected') reject(new LogError('unavailable', 'the log is not connected'));
    };
    const unwatch = connection.onChange(look);
    look(connection.state);
    request
      .then(resolve, (cause: unknown) => {
        reject(new LogError('unavailable', `the log did not answer: ${messageOf(cause)}`, { cause }));
      })
      .finally(unwatch);
  });
}

async function dial(options: ConnectionOptions, reconnectDelayHandler: () => number): Promise<NatsConnection> {
  const authenticator =
    options.credentials !== undefined
      ? credsAuthenticator(new TextEncoder().encode(options.credentials))
      : options.token !== undefined
        ? tokenAuthenticator(options.token)
        : undefined;
  try {
    return await connect({
      servers: [...options.servers],
      name: 'mlsd',
      timeout: CONNECT_TIMEOUT_MS,
      maxReconnectAttempts: -1,
      reconnectDelayHandler,
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: PINGS_OUT_MAX,
      noAsyncTraces: true,
      // A server that restarts may refuse once while it reads its configuration; giving up for ever would be worse.
      ignoreAuthErrorAbort: true,
      ...(authenticator === undefined ? {} : { authenticator }),
    });
  } catch (cause) {
    const code = isRefusal(cause) ? 'rejected' : 'unavailable';
    throw new LogError(code, `no connection to ${options.servers.join(', ')}: ${dialFailure(cause)}`, { cause });
  }
}

/** The library says some of it in codes only. */
function dialFailure(cause: unknown): string {
  if (!(cause instanceof NatsError)) return messageOf(cause);
  switch (cause.code) {
    case ErrorCode.ConnectionRefused:
      return 'nothing listens there';
    case ErrorCode.ConnectionTimeout:
    case ErrorCode.Timeout:
      return 'nobody answers there';
    case ErrorCode.AuthorizationViolation:
    case ErrorCode.BadAuthentication:
      return 'it lets nobody in with this token or these credentials, or without any';
    case ErrorCode.BadCreds:
      return 'the credentials file holds no credentials';
    default:
      return messageOf(cause);
  }
}

/** Whether a server said that these credentials do not let anybody in: waiting does not make them better. */
function isRefusal(cause: unknown): boolean {
  return cause instanceof NatsError && REFUSALS.has(cause.code);
}

/** A server that has just started listens before JetStream answers. */
async function firstAnswer(connection: LogConnection, options: ConnectionOptions): Promise<void> {
  const { signal, firstAnswerMs = FIRST_ANSWER_TIMEOUT_MS } = options;
  const deadline = performance.now() + firstAnswerMs;
  for (let attempt = 0; ; attempt += 1) {
    let reason: string;
    try {
      const answer = await connection.api('INFO');
      if (answer.ok) return;
      reason = answer.failure.description;
    } catch (error) {
      if (!(error instanceof LogError && error.retryable)) throw error;
      reason = error.message;
    }
    if (performance.now() > deadline) throw silentJetStream(options, reason);
    await wait(backoffMs(FIRST_ANSWER, attempt), signal);
  }
}

function silentJetStream({ servers }: ConnectionOptions, reason: string): LogError {
  const where = servers.join(', ');
  return new LogError('unavailable', `JetStream does not answer at ${where} (is it switched on there?): ${reason}`);
}

function whenConnected(connection: LogConnection, timeoutMs: number, signal?: AbortSignal): Promise<void> {
  if (connection.state === 'connected') return Promise.resolve();
  return new Promise((resolve, reject) => {
    const settle = (error?: LogError): void => {
      clearTimeout(timer);
      unsubscribe();
      signal?.removeEventListener('abort', onAbort);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onAbort = (): void => settle(new LogError('aborted', 'given up while waiting for the log'));
    const onState = (state: ConnectionState): void => {
      if (state === 'connected') settle();
      if (state === 'closed') settle(new LogError('closed', 'the connection to the log is closed'));
    };
    const timer = setTimeout(() => settle(new LogError('unavailable', 'the log is not connected')), timeoutMs);
    const unsubscribe = connection.onChange(onState);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    else onState(connection.state);
  });
}
