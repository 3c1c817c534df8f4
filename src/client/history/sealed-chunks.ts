import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { concatBytes, equalBytes, toUtf8 } from '../../wire/bytes.ts';

/** Begins every file; the number is the version of the format (docs/HISTORY.md). */
const MAGIC = toUtf8('mlschat-history 1\n');
export const SECRET_BYTES = 16;
const SALT_BYTES = 16;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CHUNK_BYTES = 64 * 1024;
const CIPHER = 'aes-256-gcm';
const KEY_CONTEXT = 'mlschat history v1 file';

/** Why a file is not read: a sentence for people. */
export class HistoryFileError extends Error {
  override readonly name = 'HistoryFileError';
}

/**
 * A stream as sealed chunks of 64 KiB: each has its number and whether it is the last in its nonce, so that none can be
 * changed, moved, repeated or left out, and the end cannot be cut off (the STREAM construction, Hoang et al. 2015).
 */
export async function* sealChunks(
  secret: Uint8Array,
  plain: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const salt = new Uint8Array(randomBytes(SALT_BYTES));
  const key = deriveKey(secret, salt);
  yield concatBytes(MAGIC, salt);
  let index = 0;
  const buffer = new Uint8Array(CHUNK_BYTES);
  let filled = 0;
  const seal = (chunk: Uint8Array, last: boolean): Uint8Array => {
    const cipher = createCipheriv(CIPHER, key, nonceOf(index, last), { authTagLength: TAG_BYTES });
    index += 1;
    return concatBytes(cipher.update(chunk), cipher.final(), cipher.getAuthTag());
  };
  for await (const bytes of plain) {
    for (let at = 0; at < bytes.length; ) {
      // the last chunk is known only when nothing comes after it
      if (filled === CHUNK_BYTES) {
        yield seal(buffer, false);
        filled = 0;
      }
      const some = bytes.subarray(at, at + CHUNK_BYTES - filled);
      buffer.set(some, filled);
      filled += some.length;
      at += some.length;
    }
  }
  yield seal(buffer.subarray(0, filled), true);
}

/**
 * What {@link sealChunks} was given. Nothing is given of a chunk before it is opened; of a file that was cut or changed the
 * chunks before that come first.
 *
 * @param read the next bytes of the file, as many as asked for and fewer only at its end
 * @throws HistoryFileError
 */
export async function* openChunks(
  secret: Uint8Array,
  read: (length: number) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const head = await read(MAGIC.length + SALT_BYTES);
  if (!equalBytes(head.subarray(0, MAGIC.length), MAGIC)) {
    throw new HistoryFileError('it is no packed history, or one of a newer version');
  }
  const key = deriveKey(secret, head.subarray(MAGIC.length));
  let sealed = await read(CHUNK_BYTES + TAG_BYTES);
  for (let index = 0; ; index += 1) {
    const next = sealed.length < CHUNK_BYTES + TAG_BYTES ? new Uint8Array(0) : await read(CHUNK_BYTES + TAG_BYTES);
    const isLast = next.length === 0;
    const plain = open(key, nonceOf(index, isLast), sealed);
    if (plain === undefined) {
      if (isLast && open(key, nonceOf(index, false), sealed) !== undefined) {
        throw new HistoryFileError('its end is missing: it was cut');
      }
      const wrong = index === 0 ? 'the code does not open it, or it was changed or cut' : 'it was changed or cut';
      throw new HistoryFileError(wrong);
    }
    yield plain;
    if (isLast) return;
    sealed = next;
  }
}

function open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    return concatBytes(decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final());
  } catch {
    return undefined; // not sealed by this key, or changed since
  }
}

function nonceOf(index: number, last: boolean): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES);
  new DataView(nonce.buffer).setUint32(NONCE_BYTES - 5, index);
  nonce[NONCE_BYTES - 1] = last ? 1 : 0;
  return nonce;
}

/** The secret is random, 128 bits: there is nothing to be guessed, so nothing has to be slow. */
function deriveKey(secret: Uint8Array, salt: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, KEY_CONTEXT, KEY_BYTES));
}
