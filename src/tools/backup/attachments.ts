import { createHash } from 'node:crypto';
import type { BlobCopy, StoredBlobs } from '../../log/copy-blobs.ts';
import { toBase64Url } from '../../wire/bytes.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import { splitCborSequence } from '../../wire/cbor-sequence.ts';
import { isShortId } from '../../wire/ids.ts';
import { readPieces, writeWhole } from '../export/export-file.ts';
import type { Progress } from '../progress.ts';
import { ToolError } from '../tool-error.ts';

/** What a backup says of the attachments in it. */
export interface AttachmentsManifest {
  readonly count: number;
  /** How long the server kept each, ms. */
  readonly retentionMs: number;
  /** SHA-256 of the file in hexadecimal. */
  readonly sha256: string;
}

/** More than any server takes as one message. */
const ITEM_MAX_BYTES = 64 * 1024 * 1024;

/**
 * Writes blobs into a file, as they are stored: a CBOR sequence of `{device, group, hash, storedAt, bytes}`.
 *
 * @returns what a backup says of the file; `undefined`, and no file, when there are none
 * @throws ToolError `not-empty`; what the blobs throw
 */
export async function writeAttachments(
  path: string,
  stored: StoredBlobs,
  progress: Progress,
): Promise<AttachmentsManifest | undefined> {
  const { retentionMs } = stored;
  const iterator = stored.blobs[Symbol.asyncIterator]();
  let next = await iterator.next();
  if (next.done === true) return undefined;
  const sha256 = createHash('sha256');
  let count = 0;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (; next.done !== true; next = await iterator.next()) {
      const item = encodeCbor(next.value);
      sha256.update(item);
      count += 1;
      progress.report('copying attachments', count, stored.count);
      yield item;
    }
  }
  await writeWhole(path, pieces());
  return { count, retentionMs, sha256: sha256.digest('hex') };
}

/** The blobs of a file. @throws ToolError `no-data`, `damaged-file` */
export async function* readAttachments(path: string): AsyncGenerator<BlobCopy> {
  try {
    for await (const item of splitCborSequence(readPieces(path), ITEM_MAX_BYTES)) yield readBlob(item, path);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ToolError('damaged-file', `${path}: ${error.message}`, { cause: error });
  }
}

function readBlob(item: Uint8Array, path: string): BlobCopy {
  const { device, group, hash, storedAt, bytes } = decodeCbor(item) as Partial<BlobCopy>;
  const isBlob =
    typeof device === 'string' &&
    isShortId(device) &&
    typeof group === 'string' &&
    /^[\w-]+$/.test(group) &&
    typeof storedAt === 'number' &&
    bytes instanceof Uint8Array &&
    toBase64Url(new Uint8Array(createHash('sha256').update(bytes).digest())) === hash;
  if (!isBlob) throw new ToolError('damaged-file', `${path} holds something that is no attachment`);
  return { device, group, hash, storedAt, bytes };
}
