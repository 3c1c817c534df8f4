import { existsSync } from 'node:fs';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ClientError } from '../client-error.ts';
import { DATA_FILE, isBegun } from './begun.ts';
import { isSealed, keepStoreKey, makeStoreKey, readStoreKey, syncFolder } from './store-key.ts';

export const STORE_FOLDER = 'store';
export const NEXT_FOLDER = 'store.new';
export const SPENT_FOLDER = 'store.old';
/** Where a repair makes a new store; what is there was interrupted. */
export const REPAIRED_FOLDER = 'store.repaired';
/** Before the time at which a repair kept a damaged store. */
const DAMAGED_PREFIX = `${STORE_FOLDER}.damaged-`;
const WIPE_BYTES = 1024 * 1024;

/** Gives a passphrase or the content of a key file: `new` for one that is to be, `known` for the one that is. */
export type AskSecret = (which: 'new' | 'known') => Promise<Uint8Array>;

/** A damaged store that a repair kept: perhaps the only copy of what could not be read of it, so nothing here changes or removes it. */
export interface KeptStore {
  readonly path: string;
  /** Whether it is encrypted, with a passphrase or key file of its own: that of its time. */
  readonly sealed: boolean;
}

/** The folder in which a repair keeps a damaged store. @param time milliseconds since 1970 */
export function keptStoreAt(dir: string, time: number): string {
  return join(dir, `${DAMAGED_PREFIX}${new Date(time).toISOString().replaceAll(/[:.]/g, '-')}`);
}

/** All that repairs kept in a client's folder, the oldest first. @throws ClientError `storage` */
export async function keptStores(dir: string): Promise<readonly KeptStore[]> {
  try {
    const names = (await readdir(dir)).filter((name) => name.startsWith(DAMAGED_PREFIX)).sort();
    return names.map((name) => ({ path: join(dir, name), sealed: isSealed(join(dir, name)) }));
  } catch (cause) {
    throw new ClientError('storage', `the folder ${dir} cannot be read`, cause);
  }
}

/** Whether a client keeps, or begins to keep, its store in this folder. */
export function hasStore(dir: string): boolean {
  return [STORE_FOLDER, SPENT_FOLDER].some((name) => existsSync(join(dir, name)));
}

/**
 * What opens the store of a client's folder, asked for when it is needed; `undefined` for a plain store. The folder is
 * locked by the caller. Ends a conversion that was interrupted.
 *
 * @throws ClientError `passphrase`, `refused` when a plain store is there and an encrypted one was wanted, `storage`
 */
export async function unlockStore(
  dir: string,
  { encrypt = false, ask }: { readonly encrypt?: boolean | undefined; readonly ask?: AskSecret | undefined },
): Promise<Uint8Array | undefined> {
  await settleStoreFolders(dir);
  const folder = join(dir, STORE_FOLDER);
  const sealed = isSealed(folder);
  if (!sealed && !encrypt) return undefined;
  if (!sealed && isBegun(folder)) {
    throw new ClientError('refused', `the store in ${dir} is there and is not encrypted; mlschat encrypt converts it`);
  }
  if (ask === undefined)
    throw new ClientError('passphrase', `the store in ${dir} is encrypted: it needs its passphrase`);
  return sealed ? readStoreKey(folder, await ask('known')) : makeStoreKey(folder, await ask('new'));
}

/**
 * Puts an encrypted store under another passphrase or key file. The rows stay as they are.
 *
 * @throws ClientError `refused` when it is not encrypted, `passphrase`, `storage`
 */
export async function changeStoreSecret(dir: string, ask: AskSecret): Promise<void> {
  await settleStoreFolders(dir);
  const folder = join(dir, STORE_FOLDER);
  if (!isSealed(folder))
    throw new ClientError('refused', `the store in ${dir} is not encrypted; mlschat encrypt does it`);
  const dataKey = await readStoreKey(folder, await ask('known'));
  await keepStoreKey(folder, dataKey, await ask('new'));
}

/**
 * Where a conversion was interrupted: a copy that is not in its place while the store is may be half written; once the store
 * was moved away, the copy is whole.
 */
export async function settleStoreFolders(dir: string): Promise<void> {
  const [folder, next, spent] = [STORE_FOLDER, NEXT_FOLDER, SPENT_FOLDER].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  try {
    await rm(join(dir, REPAIRED_FOLDER), { recursive: true, force: true });
    if (!existsSync(folder) && existsSync(spent)) await rename(existsSync(next) ? next : spent, folder);
    if (existsSync(next)) await rm(next, { recursive: true });
    if (!existsSync(spent)) return;
    await syncFolder(dir);
    if (existsSync(join(spent, DATA_FILE))) await wipe(join(spent, DATA_FILE));
    await rm(spent, { recursive: true });
  } catch (cause) {
    throw new ClientError('storage', `an interrupted conversion in ${dir} cannot be ended`, cause);
  }
}

/** Zeros in the place of a file's bytes, as far as the file system writes in place. */
async function wipe(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    const zeros = Buffer.alloc(WIPE_BYTES);
    for (let at = 0; at < size; at += WIPE_BYTES) await file.write(zeros, 0, Math.min(WIPE_BYTES, size - at), at);
    await file.sync();
  } finally {
    await file.close();
  }
}
