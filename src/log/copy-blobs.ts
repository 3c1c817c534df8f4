import type { DeviceId, GroupId } from '../wire/ids.ts';
import { openBlobStore } from './blobs.ts';
import { failureError, type LogConnection, openConnection } from './connection.ts';
import { openNatsServer } from './nats-server/child.ts';
import type { NatsServerBinary } from './nats-server/version.ts';

/** A blob as it is stored, whoever put it there. */
export interface BlobCopy {
  readonly device: DeviceId;
  readonly group: GroupId;
  /** base64url of SHA-256 of its bytes. */
  readonly hash: string;
  /** When it was put there, milliseconds since 1970. */
  readonly storedAt: number;
  readonly bytes: Uint8Array;
}

export interface StoredBlobs {
  /** How long each is kept, ms. */
  readonly retentionMs: number;
  /** How many there were when it was asked. */
  readonly count: number;
  /** In the order in which they were put. @throws LogError `unavailable`, `rejected` */
  readonly blobs: AsyncIterable<BlobCopy>;
}

/** As `openBlobStore` makes them. */
const STREAM = 'MLS_BLOBS';
const SUBJECTS = 'mlsblobs.>';
const STREAM_NOT_FOUND = 10059;
const NO_MESSAGE_FOUND = 10037;
const NS_PER_MS = 1_000_000;

/** Everything that is stored beside the log as attachments; `undefined` when nothing ever was. @throws LogError `unavailable`, `rejected` */
export async function storedBlobs(connection: LogConnection): Promise<StoredBlobs | undefined> {
  const info = await connection.api<BlobStreamInfo>(`STREAM.INFO.${STREAM}`);
  if (info.ok) {
    const { config, state } = info.value;
    return { retentionMs: config.max_age / NS_PER_MS, count: state.messages, blobs: readBlobs(connection) };
  }
  if (info.failure.errCode === STREAM_NOT_FOUND) return undefined;
  throw failureError('describe the attachments', info.failure);
}

interface BlobStreamInfo {
  readonly config: { readonly max_age: number };
  readonly state: { readonly messages: number };
}

interface StoredMessage {
  readonly message: { readonly subject: string; readonly seq: number; readonly data?: string; readonly time: string };
}

/** One by one from the leader: what is put meanwhile comes too, what is forgotten meanwhile does not. */
async function* readBlobs(connection: LogConnection): AsyncGenerator<BlobCopy> {
  for (let next = 1; ; ) {
    const answer = await connection.api<StoredMessage>(`STREAM.MSG.GET.${STREAM}`, {
      seq: next,
      next_by_subj: SUBJECTS,
    });
    if (!answer.ok) {
      if (answer.failure.errCode === NO_MESSAGE_FOUND) return;
      throw failureError('give an attachment', answer.failure);
    }
    const { subject, seq, data = '', time } = answer.value.message;
    const [, device = '', , group = '', hash = ''] = subject.split('.');
    yield {
      device: device as DeviceId,
      group: group as GroupId,
      hash,
      storedAt: Date.parse(time),
      bytes: new Uint8Array(Buffer.from(data, 'base64')),
    };
    next = seq + 1;
  }
}

/**
 * Puts blobs into a stopped server's folder. Their time begins anew.
 *
 * @throws LogError `locked`, `server-failed`, `unavailable`, `storage-full`, `too-large`, `rejected`, `aborted`
 */
export async function storeBlobs(options: {
  readonly folder: string;
  readonly binary: NatsServerBinary;
  readonly retentionMs: number;
  readonly blobs: AsyncIterable<BlobCopy>;
  readonly signal?: AbortSignal;
}): Promise<void> {
  const { folder, binary, retentionMs, signal } = options;
  const stopping = signal === undefined ? {} : { signal };
  await using server = await openNatsServer({ folder, binary, ...stopping });
  await using connection = await openConnection({ servers: [server.url], token: server.token, signal });
  const store = await openBlobStore(connection, { retentionMs, replicas: 1 });
  for await (const { device, group, hash, bytes } of options.blobs) {
    signal?.throwIfAborted();
    await store.put(device, { group, hash }, bytes);
  }
}
