import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { ClientError } from '../client-error.ts';
import { isBegun } from './begun.ts';
import type { ClientStore } from './client-store.ts';
import { openLmdbStore } from './lmdb-store.ts';
import { createSealedStore } from './sealed-store.ts';
import { type AskSecret, NEXT_FOLDER, SPENT_FOLDER, STORE_FOLDER, settleStoreFolders } from './store-folder.ts';
import { isSealed, makeStoreKey, syncFolder } from './store-key.ts';

const COPY_ROWS = 500;
const FIRST_KEY = Uint8Array.of(0);
const END = new Uint8Array(64).fill(0xff);

/** Opens the store of a client's folder, with what {@link unlockStore} gave for it. @throws ClientError `storage` */
export async function openStore(dir: string, dataKey: Uint8Array | undefined): Promise<ClientStore> {
  const folder = join(dir, STORE_FOLDER);
  if (dataKey === undefined && isSealed(folder)) {
    throw new ClientError('passphrase', `the store in ${dir} is encrypted: it needs its passphrase`);
  }
  const store = await openLmdbStore(folder);
  return dataKey === undefined ? store : createSealedStore(store, dataKey);
}

/**
 * Encrypts a plain store: copies it beside, puts the copy in its place, and overwrites the plain one. Interrupted at any
 * moment, the folder has the one or the other, whole.
 *
 * @throws ClientError `refused` when it is encrypted already, or not there; `storage`
 */
export async function encryptStore(dir: string, ask: AskSecret): Promise<{ readonly rows: number }> {
  await settleStoreFolders(dir);
  const folder = join(dir, STORE_FOLDER);
  if (isSealed(folder)) throw new ClientError('refused', `the store in ${dir} is encrypted already`);
  if (!isBegun(folder)) throw new ClientError('refused', `there is no client in ${dir}`);
  const next = join(dir, NEXT_FOLDER);
  const dataKey = await makeStoreKey(next, await ask('new'));
  const rows = await copyInto(folder, next, dataKey);
  await syncFolder(next);
  await rename(folder, join(dir, SPENT_FOLDER));
  await rename(next, folder);
  await syncFolder(dir);
  await settleStoreFolders(dir);
  return { rows };
}

async function copyInto(from: string, to: string, dataKey: Uint8Array): Promise<number> {
  await using source = await openLmdbStore(from);
  await using copy = createSealedStore(await openLmdbStore(to), dataKey);
  let rows = 0;
  for (let next: Uint8Array = FIRST_KEY; ; ) {
    const some = await source.range({ from: next, to: END, limit: COPY_ROWS });
    await copy.commit(some.map(([key, value]) => ({ key, value })));
    rows += some.length;
    const last = some.at(-1);
    if (last === undefined || some.length < COPY_ROWS) break;
    next = Uint8Array.of(...last[0], 0);
  }
  await copy.durable();
  return rows;
}
