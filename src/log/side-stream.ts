import type { Msg } from 'nats';
import { type Backoff, backoffMs, wait } from './backoff.ts';
import { type ApiAnswer, failureError, type LogConnection, untilDisconnected } from './connection.ts';
import { LogError } from './errors.ts';

/** A stream beside the log: no projector reads it, and what is in it is forgotten by itself. */
export interface SideStreamOptions {
  readonly name: string;
  readonly description: string;
  /** First token of all its subjects. */
  readonly root: string;
  /** How long a message is kept, ms. */
  readonly retentionMs: number;
  /** Used when the stream is made. */
  readonly replicas: number;
  /** Messages at a time; more are refused until some are forgotten. No bound of its own when left out. */
  readonly maxMessages?: number;
}

/** One message a subject: the newest. As durable as the log, and the same for every node. */
export interface SideStream {
  /** Its time begins with the last put. @throws LogError `storage-full`, `unavailable`, `rejected` */
  put(subject: string, bytes: Uint8Array): Promise<void>;
  /** `undefined` when there is none, or no longer. `*` stands for any token. @throws LogError `unavailable`, `rejected` */
  get(subject: string): Promise<Uint8Array | undefined>;
  /** Those of what is stored, as the leader knows it. @throws LogError `unavailable`, `rejected` */
  subjects(filter: string): Promise<readonly string[]>;
}

const STREAM_NOT_FOUND = 10059;
const STREAM_NAME_IN_USE = 10058;
/** No room in the account, in the server, in the stream. */
const STORAGE_FULL: ReadonlySet<number> = new Set([10023, 10028, 10047, 10077]);
const NOT_FOUND = '404';
const NO_BOUND = -1;
const NS_PER_MS = 1_000_000;
/** Some mebibytes to a slow disk. */
const TRANSFER_TIMEOUT_MS = 20_000;
const DUPLICATE_WINDOW_MS = 120_000;
const ENSURE: Backoff = { firstMs: 100, maxMs: 2_000 };
const ENSURE_ATTEMPTS_MAX = 5;
/** A replica that is behind by more than these few seconds is not waited for. */
const BEHIND: Backoff = { firstMs: 20, maxMs: 500 };
const BEHIND_ATTEMPTS_MAX = 10;

interface StreamInfo {
  readonly config: { readonly max_age: number; readonly max_msgs: number; readonly num_replicas: number };
  readonly state: { readonly subjects?: Readonly<Record<string, number>> };
}

/**
 * Finds the stream, or makes it; retention and bound become what is asked for here.
 *
 * @throws LogError `unavailable`, `rejected`
 */
export async function openSideStream(connection: LogConnection, options: SideStreamOptions): Promise<SideStream> {
  await ensureStream(connection, options);
  const { nats } = connection;
  const { name } = options;
  const request = (subject: string, payload: Uint8Array | string): Promise<Msg> =>
    untilDisconnected(nats.request(subject, payload, { timeout: TRANSFER_TIMEOUT_MS }), connection);
  const subjects = async (filter: string): Promise<readonly string[]> => {
    const info = await connection.api<StreamInfo>(`STREAM.INFO.${name}`, { subjects_filter: filter });
    if (!info.ok) throw failureError(`list what is in ${name}`, info.failure);
    return Object.keys(info.value.state.subjects ?? {});
  };
  return {
    async put(subject, bytes) {
      const answer = await request(subject, bytes);
      const ack = answer.json<{ seq?: number; error?: { code: number; err_code?: number; description?: string } }>();
      if (ack.error === undefined && ack.seq !== undefined) return;
      const { code = 0, err_code: errCode = 0, description = '' } = ack.error ?? {};
      if (STORAGE_FULL.has(errCode)) throw new LogError('storage-full', `${name} has no room: ${description}`);
      throw failureError(`store into ${name}`, { code, errCode, description });
    },
    async get(subject) {
      for (let attempt = 0; ; attempt += 1) {
        const answer = await request(`$JS.API.DIRECT.GET.${name}`, JSON.stringify({ last_by_subj: subject }));
        const status = answer.headers?.get('Status') || String(answer.headers?.code || '');
        if (status === '') return answer.data;
        if (status !== NOT_FOUND) throw new LogError('rejected', `${name} refused to give what it has (${status})`);
        // whichever replica was asked may be a moment behind: the leader knows whether there is anything to wait for
        if ((await subjects(subject)).length === 0) return undefined;
        if (attempt >= BEHIND_ATTEMPTS_MAX) throw new LogError('unavailable', 'it is not on every server yet');
        await wait(backoffMs(BEHIND, attempt));
      }
    },
    subjects,
  };
}

/** Of servers that make the stream at the same moment some get no answer: then it is looked for again. */
async function ensureStream(connection: LogConnection, options: SideStreamOptions): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ensureOnce(connection, options);
    } catch (error) {
      const passes = error instanceof LogError && error.code === 'unavailable';
      if (!passes || attempt >= ENSURE_ATTEMPTS_MAX) throw error;
      await wait(backoffMs(ENSURE, attempt));
    }
  }
}

async function ensureOnce(connection: LogConnection, options: SideStreamOptions): Promise<void> {
  const { name, retentionMs, maxMessages = NO_BOUND } = options;
  const found: ApiAnswer<StreamInfo> = await connection.api(`STREAM.INFO.${name}`);
  if (found.ok) {
    const { max_age: maxAge, max_msgs: maxMsgs, num_replicas: replicas } = found.value.config;
    if (maxAge === retentionMs * NS_PER_MS && maxMsgs === maxMessages) return;
    const updated = await connection.api(`STREAM.UPDATE.${name}`, streamConfig({ ...options, replicas }));
    if (!updated.ok) throw failureError(`change how long ${name} keeps things`, updated.failure);
    return;
  }
  if (found.failure.errCode !== STREAM_NOT_FOUND) throw failureError(`describe ${name}`, found.failure);
  const made = await connection.api(`STREAM.CREATE.${name}`, streamConfig(options));
  if (!made.ok && made.failure.errCode !== STREAM_NAME_IN_USE) throw failureError(`make ${name}`, made.failure);
}

function streamConfig({ name, description, root, retentionMs, replicas, maxMessages = NO_BOUND }: SideStreamOptions) {
  return {
    name,
    description,
    subjects: [`${root}.>`],
    retention: 'limits',
    storage: 'file',
    discard: 'new',
    max_age: retentionMs * NS_PER_MS,
    // what is put again takes the place of the one before
    max_msgs_per_subject: 1,
    max_consumers: -1,
    max_msgs: maxMessages,
    max_bytes: -1,
    max_msg_size: -1,
    num_replicas: replicas,
    duplicate_window: Math.min(DUPLICATE_WINDOW_MS, retentionMs) * NS_PER_MS,
    allow_direct: true,
  };
}
