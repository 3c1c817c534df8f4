import type { Msg } from 'nats';
import type { DeviceId, GroupId } from '../wire/ids.ts';
import { type Backoff, backoffMs, wait } from './backoff.ts';
import { type ApiAnswer, failureError, type LogConnection, untilDisconnected } from './connection.ts';
import { LogError } from './errors.ts';

/** A blob that a device has put into a group. */
export interface StoredBlob {
  readonly group: GroupId;
  /** base64url of SHA-256 of its bytes. */
  readonly hash: string;
  readonly size: number;
}

/**
 * Opaque bytes beside the log: never an event, never folded, forgotten after a while. Each is one message of a stream of
 * its own, so it is there whole or not at all, as durable as the log, and the same for every node.
 */
export interface BlobStore {
  /** Of one blob: the server's limit on a message, less what goes with it. */
  readonly maxBytes: number;
  /** Stores it, or stores it anew: its time begins with the last put. @throws LogError `storage-full`, `too-large`, `unavailable`, `rejected` */
  put(device: DeviceId, blob: Pick<StoredBlob, 'group' | 'hash'>, bytes: Uint8Array): Promise<void>;
  /** Whoever put it there; `undefined` when it is not, or no longer. @throws LogError `unavailable`, `rejected` */
  get(group: GroupId, hash: string): Promise<Uint8Array | undefined>;
  /** All that the device has put and that is still there. @throws LogError `unavailable`, `rejected` */
  heldBy(device: DeviceId): Promise<readonly StoredBlob[]>;
}

export interface BlobStoreOptions {
  /** How long a blob is kept, ms. */
  readonly retentionMs: number;
  /** Used when the stream is made. */
  readonly replicas: number;
}

const BLOB_STREAM_NAME = 'MLS_BLOBS';
const SUBJECT_ROOT = 'mlsblobs';
const STREAM_NOT_FOUND = 10059;
const STREAM_NAME_IN_USE = 10058;
/** No room in the account, in the server, in the stream. */
const STORAGE_FULL: ReadonlySet<number> = new Set([10023, 10028, 10047, 10077]);
const NOT_FOUND = '404';
const NS_PER_MS = 1_000_000;
/** A blob of some mebibytes to a slow disk. */
const TRANSFER_TIMEOUT_MS = 20_000;
const ENSURE: Backoff = { firstMs: 100, maxMs: 2_000 };
const ENSURE_ATTEMPTS_MAX = 5;
/** A replica that is behind by more than these few seconds is not waited for. */
const BEHIND: Backoff = { firstMs: 20, maxMs: 500 };
const BEHIND_ATTEMPTS_MAX = 10;
/** For the subject and what the protocol puts around a message. */
const OVERHEAD_BYTES = 4 * 1024;

interface BlobStreamInfo {
  readonly config: { readonly max_age: number; readonly num_replicas: number };
  readonly state: { readonly subjects?: Readonly<Record<string, number>> };
}

/**
 * Finds the stream, or makes it; its retention becomes what is asked for here.
 *
 * @throws LogError `unavailable`, `rejected`
 */
export async function openBlobStore(connection: LogConnection, options: BlobStoreOptions): Promise<BlobStore> {
  await ensureBlobStream(connection, options);
  const { nats } = connection;
  const request = (subject: string, payload: Uint8Array | string): Promise<Msg> =>
    untilDisconnected(nats.request(subject, payload, { timeout: TRANSFER_TIMEOUT_MS }), connection);
  /** Those of what is stored, as the leader knows it. */
  const subjects = async (filter: string): Promise<readonly string[]> => {
    const info = await connection.api<BlobStreamInfo>(`STREAM.INFO.${BLOB_STREAM_NAME}`, { subjects_filter: filter });
    if (!info.ok) throw failureError('list blobs', info.failure);
    return Object.keys(info.value.state.subjects ?? {});
  };
  return {
    get maxBytes() {
      return connection.maxPayloadBytes - OVERHEAD_BYTES;
    },
    async put(device, { group, hash }, bytes) {
      if (bytes.length > connection.maxPayloadBytes - OVERHEAD_BYTES) {
        throw new LogError('too-large', `a blob of ${bytes.length} bytes is more than the log's server takes`);
      }
      const subject = [SUBJECT_ROOT, device, bytes.length, group, hash].join('.');
      const answer = await request(subject, bytes);
      const ack = answer.json<{ seq?: number; error?: { code: number; err_code?: number; description?: string } }>();
      if (ack.error === undefined && ack.seq !== undefined) return;
      const { code = 0, err_code: errCode = 0, description = '' } = ack.error ?? {};
      if (STORAGE_FULL.has(errCode)) throw new LogError('storage-full', `the log has no room: ${description}`);
      throw failureError('store a blob', { code, errCode, description });
    },
    async get(group, hash) {
      const subject = [SUBJECT_ROOT, '*', '*', group, hash].join('.');
      for (let attempt = 0; ; attempt += 1) {
        const answer = await request(
          `$JS.API.DIRECT.GET.${BLOB_STREAM_NAME}`,
          JSON.stringify({ last_by_subj: subject }),
        );
        const status = answer.headers?.get('Status') || String(answer.headers?.code || '');
        if (status === '') return answer.data;
        if (status !== NOT_FOUND) throw new LogError('rejected', `the log refused to give a blob (${status})`);
        // whichever replica was asked may be a moment behind: the leader knows whether there is anything to wait for
        if ((await subjects(subject)).length === 0) return undefined;
        if (attempt >= BEHIND_ATTEMPTS_MAX) throw new LogError('unavailable', 'the blob is not on every server yet');
        await wait(backoffMs(BEHIND, attempt));
      }
    },
    async heldBy(device) {
      return (await subjects(`${SUBJECT_ROOT}.${device}.>`)).map((subject) => {
        const [, , size = '0', group = '', hash = ''] = subject.split('.');
        return { group: group as GroupId, hash, size: Number(size) };
      });
    },
  };
}

/** Of servers that make the stream at the same moment some get no answer: then it is looked for again. */
async function ensureBlobStream(connection: LogConnection, options: BlobStoreOptions): Promise<void> {
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

async function ensureOnce(connection: LogConnection, options: BlobStoreOptions): Promise<void> {
  const found: ApiAnswer<BlobStreamInfo> = await connection.api(`STREAM.INFO.${BLOB_STREAM_NAME}`);
  if (found.ok) {
    const { max_age: maxAge, num_replicas: replicas } = found.value.config;
    if (maxAge === options.retentionMs * NS_PER_MS) return;
    const updated = await connection.api(
      `STREAM.UPDATE.${BLOB_STREAM_NAME}`,
      blobStreamConfig({ ...options, replicas }),
    );
    if (!updated.ok) throw failureError('change how long blobs are kept', updated.failure);
    return;
  }
  if (found.failure.errCode !== STREAM_NOT_FOUND) throw failureError('describe the blobs', found.failure);
  const made = await connection.api(`STREAM.CREATE.${BLOB_STREAM_NAME}`, blobStreamConfig(options));
  if (!made.ok && made.failure.errCode !== STREAM_NAME_IN_USE) throw failureError('make room for blobs', made.failure);
}

function blobStreamConfig({ retentionMs, replicas }: BlobStoreOptions) {
  return {
    name: BLOB_STREAM_NAME,
    description: 'encrypted attachments of mlsd',
    subjects: [`${SUBJECT_ROOT}.>`],
    retention: 'limits',
    storage: 'file',
    discard: 'new',
    max_age: retentionMs * NS_PER_MS,
    // a blob that is put again takes the place of the one before
    max_msgs_per_subject: 1,
    max_consumers: -1,
    max_msgs: -1,
    max_bytes: -1,
    max_msg_size: -1,
    num_replicas: replicas,
    duplicate_window: Math.min(120_000, retentionMs) * NS_PER_MS,
    allow_direct: true,
  };
}
