import { createCipheriv, createDecipheriv, randomBytes, type ScryptOptions, scrypt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBase64Url, fromUtf8, toBase64Url, toUtf8 } from '../../wire/bytes.ts';
import { ClientError } from '../client-error.ts';

/** Of a store's folder: what its data key is wrapped in. */
export const KEY_FILE = 'key.json';
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** 128 MiB and most of a second for each guess. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1 } as const;
/** Whatever a file asks for, no more than this is spent on it. */
const SCRYPT_MEMORY_MAX_BYTES = 512 * 1024 * 1024;
const SCRYPT_P_MAX = 16;

interface StoredKey {
  readonly v: 1;
  readonly kdf: 'scrypt';
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly salt: string;
  /** Nonce, the data key under AES-256-GCM, tag. */
  readonly wrapped: string;
}

/** Whether the store in this folder is encrypted. */
export function isSealed(folder: string): boolean {
  return existsSync(join(folder, KEY_FILE));
}

/** Makes a new data key for the store in this folder, which is made as well, and keeps it there under a secret. */
export async function makeStoreKey(folder: string, secret: Uint8Array): Promise<Uint8Array> {
  const dataKey = new Uint8Array(randomBytes(KEY_BYTES));
  await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  await keepStoreKey(folder, dataKey, secret);
  return dataKey;
}

/** Puts a data key under another secret; the file is replaced whole or not at all. */
export async function keepStoreKey(folder: string, dataKey: Uint8Array, secret: Uint8Array): Promise<void> {
  const salt = new Uint8Array(randomBytes(SALT_BYTES));
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, await stretch(secret, salt, SCRYPT), nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(toUtf8(KEY_FILE));
  const wrapped = Buffer.concat([nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]);
  const stored: StoredKey = {
    v: 1,
    kdf: 'scrypt',
    ...SCRYPT,
    salt: toBase64Url(salt),
    wrapped: toBase64Url(wrapped),
  };
  const beside = join(folder, `${KEY_FILE}.new`);
  const file = await open(beside, 'w', FILE_MODE);
  try {
    await file.writeFile(`${JSON.stringify(stored)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, join(folder, KEY_FILE));
  await syncFolder(folder);
}

/**
 * The data key of the store in this folder.
 *
 * @throws ClientError `passphrase` when the secret is not the one, `storage` when the file is not what was written
 */
export async function readStoreKey(folder: string, secret: Uint8Array): Promise<Uint8Array> {
  const stored = await readStored(join(folder, KEY_FILE));
  const key = await stretch(secret, stored.salt, stored.cost);
  const { wrapped } = stored;
  try {
    const decipher = createDecipheriv(CIPHER, key, wrapped.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(toUtf8(KEY_FILE));
    decipher.setAuthTag(wrapped.subarray(-TAG_BYTES));
    return new Uint8Array(
      Buffer.concat([decipher.update(wrapped.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]),
    );
  } catch (cause) {
    throw new ClientError('passphrase', 'the passphrase or key file does not open this store', cause);
  }
}

/** What was renamed or made in a folder survives a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

interface Cost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

async function readStored(
  path: string,
): Promise<{ readonly cost: Cost; readonly salt: Uint8Array; readonly wrapped: Uint8Array }> {
  try {
    const stored = JSON.parse(fromUtf8(await readFile(path)) ?? '') as StoredKey;
    const { N, r, p } = stored;
    const salt = fromBase64Url(stored.salt);
    const wrapped = fromBase64Url(stored.wrapped);
    const bearable = [N, r, p].every((n) => Number.isSafeInteger(n) && n > 0) && p <= SCRYPT_P_MAX;
    const isKey = stored.v === 1 && stored.kdf === 'scrypt' && bearable && 128 * N * r < SCRYPT_MEMORY_MAX_BYTES;
    if (!isKey || salt === undefined || wrapped?.length !== NONCE_BYTES + KEY_BYTES + TAG_BYTES) {
      throw new Error('it is of another kind, or damaged');
    }
    return { cost: { N, r, p }, salt, wrapped };
  } catch (cause) {
    throw new ClientError('storage', `the key of the store, ${path}, cannot be read`, cause);
  }
}

function stretch(secret: Uint8Array, salt: Uint8Array, cost: Cost): Promise<Buffer> {
  const options: ScryptOptions = { ...cost, maxmem: SCRYPT_MEMORY_MAX_BYTES };
  return new Promise((resolve, reject) => {
    scrypt(secret, salt, KEY_BYTES, options, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}
