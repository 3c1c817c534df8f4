import type { DeviceId, GroupId } from '../wire/ids.ts';
import type { LogConnection } from './connection.ts';
import { LogError } from './errors.ts';
import { openSideStream } from './side-stream.ts';

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

const SUBJECT_ROOT = 'mlsblobs';
/** For the subject and what the protocol puts around a message. */
const OVERHEAD_BYTES = 4 * 1024;

/**
 * Finds the stream, or makes it; its retention becomes what is asked for here.
 *
 * @throws LogError `unavailable`, `rejected`
 */
export async function openBlobStore(connection: LogConnection, options: BlobStoreOptions): Promise<BlobStore> {
  const stream = await openSideStream(connection, {
    ...options,
    name: 'MLS_BLOBS',
    description: 'encrypted attachments of mlsd',
    root: SUBJECT_ROOT,
  });
  return {
    get maxBytes() {
      return connection.maxPayloadBytes - OVERHEAD_BYTES;
    },
    async put(device, { group, hash }, bytes) {
      if (bytes.length > connection.maxPayloadBytes - OVERHEAD_BYTES) {
        throw new LogError('too-large', `a blob of ${bytes.length} bytes is more than the log's server takes`);
      }
      await stream.put([SUBJECT_ROOT, device, bytes.length, group, hash].join('.'), bytes);
    },
    get: (group, hash) => stream.get([SUBJECT_ROOT, '*', '*', group, hash].join('.')),
    async heldBy(device) {
      return (await stream.subjects(`${SUBJECT_ROOT}.${device}.>`)).map((subject) => {
        const [, , size = '0', group = '', hash = ''] = subject.split('.');
        return { group: group as GroupId, hash, size: Number(size) };
      });
    },
  };
}
