import { type ApiAnswer, failureError, type LogConnection } from './connection.ts';
import { LogError } from './errors.ts';
import { formatVersion, isAtLeast, parseVersion, type ServerVersion } from './nats-server/version.ts';
import { STREAM_NAME, STREAM_SUBJECTS } from './subjects.ts';

/** What is known of the stream at one moment. */
export interface StreamState {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly replicas: number;
}

export interface EnsureStreamOptions {
  /** Used when the stream is made; a stream that is there keeps its own. */
  readonly replicas: number;
  /** A missing stream is made only when nothing was ever derived from one. */
  readonly tablesEmpty: boolean;
}

const STREAM_NOT_FOUND = 10059;
const STREAM_NAME_IN_USE = 10058;
/** How long JetStream remembers event ids by itself; longer than any retry of ours goes on. */
const DUPLICATE_WINDOW_NS = 120 * 1_000_000_000;
/** Versions on which compare-and-append of a replicated stream was tested and found right, by minor line. */
const REPLICATED_SINCE: readonly ServerVersion[] = [
  { major: 2, minor: 10, patch: 27 },
  { major: 2, minor: 15, patch: 1 },
];

/** What the server says of the stream, as far as it matters here. */
export interface StreamInfo {
  readonly config: {
    readonly subjects?: readonly string[];
    readonly retention: string;
    readonly storage: string;
    readonly max_msgs: number;
    readonly max_bytes: number;
    readonly max_age: number;
    readonly max_msgs_per_subject?: number;
    readonly num_replicas: number;
    readonly no_ack?: boolean;
    readonly mirror?: unknown;
    readonly sources?: unknown;
    readonly subject_transform?: unknown;
    readonly duplicate_window?: number;
  };
  readonly state: {
    readonly first_seq: number;
    readonly last_seq: number;
    readonly messages: number;
    readonly bytes: number;
    readonly num_deleted?: number;
  };
  /** The server's clock (RFC 3339); servers before 2.10 leave it out. */
  readonly ts?: string;
}

/**
 * Finds the stream, or makes it.
 *
 * @throws LogError `log-missing` when there is none although tables exist, `log-unsafe` when it is set up so that
 *   events get lost, `replicas-refused`, `unavailable`, `rejected`.
 */
export async function ensureStream(connection: LogConnection, options: EnsureStreamOptions): Promise<StreamState> {
  const found = await streamInfo(connection);
  if (found !== undefined) return checked(connection, found);
  if (!options.tablesEmpty) {
    throw new LogError('log-missing', `there is no stream ${STREAM_NAME}, but the tables hold what was read from one`);
  }
  checkReplicas(connection, options.replicas);
  const made = await connection.api<StreamInfo>(`STREAM.CREATE.${STREAM_NAME}`, streamConfig(options.replicas));
  if (!made.ok && made.failure.errCode !== STREAM_NAME_IN_USE) throw failureError('make the stream', made.failure);
  // Servers drop what they do not know without a word: what counts is what the stream says of itself.
  const now = await streamInfo(connection);
  if (now === undefined) throw new LogError('unavailable', 'the stream that was just made is not there');
  return checked(connection, now);
}

/** The stream as it has to be set up. */
export function streamConfig(replicas: number, duplicateWindowNs = DUPLICATE_WINDOW_NS) {
  return {
    name: STREAM_NAME,
    description: 'the event log of mlsd',
    subjects: [STREAM_SUBJECTS],
    retention: 'limits',
    storage: 'file',
    discard: 'new',
    max_consumers: -1,
    max_msgs: -1,
    max_bytes: -1,
    max_age: 0,
    max_msgs_per_subject: -1,
    max_msg_size: -1,
    num_replicas: replicas,
    duplicate_window: duplicateWindowNs,
    allow_direct: true,
    deny_delete: true,
  };
}

/** @throws LogError `log-missing`, `unavailable`, `rejected`. */
export async function readStreamState(connection: LogConnection): Promise<StreamState> {
  const info = await streamInfo(connection);
  if (info === undefined) throw new LogError('log-missing', `there is no stream ${STREAM_NAME}`);
  return stateOf(info);
}

/** `undefined` when there is no stream. @throws LogError `unavailable`, `rejected`. */
export async function streamInfo(connection: LogConnection): Promise<StreamInfo | undefined> {
  const answer: ApiAnswer<StreamInfo> = await connection.api(`STREAM.INFO.${STREAM_NAME}`);
  if (answer.ok) return answer.value;
  if (answer.failure.errCode === STREAM_NOT_FOUND) return undefined;
  throw failureError('describe the stream', answer.failure);
}

function stateOf(info: StreamInfo): StreamState {
  return {
    firstSequence: info.state.first_seq,
    lastSequence: info.state.last_seq,
    replicas: info.config.num_replicas,
  };
}

/** Why a stream cannot be the log; nothing when it can. */
export function unsafeReasons({ config }: StreamInfo): readonly string[] {
  return [
    config.storage !== 'file' && 'it is not stored in files',
    config.retention !== 'limits' && 'it forgets what was read',
    (config.max_age > 0 || config.max_msgs > 0 || config.max_bytes > 0) && 'it has a limit of age, count or size',
    (config.max_msgs_per_subject ?? -1) > 0 && 'it has a limit a subject',
    config.no_ack === true && 'it does not acknowledge',
    config.subjects?.join() !== STREAM_SUBJECTS && `it does not take exactly ${STREAM_SUBJECTS}`,
    (config.mirror !== undefined || config.sources !== undefined) && 'it is fed by another stream',
    config.subject_transform !== undefined && 'it renames subjects',
  ].filter((reason) => reason !== false);
}

function checked(connection: LogConnection, info: StreamInfo): StreamState {
  const unsafe = unsafeReasons(info);
  if (unsafe.length > 0) {
    throw new LogError('log-unsafe', `the stream ${STREAM_NAME} cannot be the log: ${unsafe.join(', ')}`);
  }
  checkReplicas(connection, info.config.num_replicas);
  return stateOf(info);
}

/** Whether comparisons on a replicated stream are known to hold on this version of nats-server. */
export function isTestedWithReplicas(serverVersion: string): boolean {
  const version = parseVersion(serverVersion);
  if (version === undefined) return false;
  return REPLICATED_SINCE.some(
    (least) => least.major === version.major && least.minor === version.minor && isAtLeast(version, least),
  );
}

function checkReplicas(connection: LogConnection, replicas: number): void {
  if (replicas === 1) return;
  if (isTestedWithReplicas(connection.serverVersion)) return;
  const versions = REPLICATED_SINCE.map(formatVersion).join(' and ');
  throw new LogError(
    'replicas-refused',
    `${replicas} replicas on nats-server ${connection.serverVersion}: two commits of one epoch could both be taken. ` +
      `Tested with replicas: the lines of ${versions}`,
  );
}
