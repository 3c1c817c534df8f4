import { lstatSync } from 'node:fs';
import { copyFile, link, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ClientError } from '../client-error.ts';
import { DATA_FILE, isBegun, LOCK_FILE } from '../store/begun.ts';
import { faultOfFile } from '../store/check-file.ts';
import { openLmdbFile } from '../store/lmdb-file.ts';
import { openLmdbStore } from '../store/lmdb-store.ts';
import { createSealedStore } from '../store/sealed-store.ts';
import {
  type AskSecret,
  keptStoreAt,
  REPAIRED_FOLDER,
  STORE_FOLDER,
  settleStoreFolders,
} from '../store/store-folder.ts';
import { isSealed, KEY_FILE, readStoreKey, syncFolder } from '../store/store-key.ts';
import { openFound } from './found-rows.ts';
import { type Rebuilt, rebuild } from './rebuild.ts';
import { type Salvage, salvage } from './salvage.ts';

const FOLDER_MODE = 0o700;
const WRITES_AT_ONCE = 2_000;

/** What was found, and what is done about it. */
export interface RepairPlan {
  /** What is wrong, for people; at least one. */
  readonly faults: readonly string[];
  readonly rebuilt: Rebuilt;
}

export type RepairOutcome =
  /** Nothing is wrong, and nothing was changed. */
  | { readonly kind: 'intact' }
  /** The keys of this device are gone. Nothing was changed. */
  | { readonly kind: 'lost'; readonly faults: readonly string[] }
  /** Not agreed to. Nothing was changed. */
  | { readonly kind: 'declined' }
  /** `kept`: the folder of the damaged store. */
  | { readonly kind: 'repaired'; readonly kept: string };

/**
 * Makes a new store of what can be read of a damaged one, and puts it in its place; the damaged one is kept beside. What it was
 * is changed by that last step alone, which happens or does not. The folder is locked by the caller.
 *
 * @param agree asked before anything is written
 * @param now milliseconds since 1970
 * @throws ClientError `refused` when there is no store, `passphrase`, `storage` when the folder cannot be read or written
 */
export async function repairStore(
  dir: string,
  options: {
    readonly ask: AskSecret;
    readonly agree: (plan: RepairPlan) => Promise<boolean>;
    readonly now: () => number;
  },
): Promise<RepairOutcome> {
  await settleStoreFolders(dir);
  const folder = join(dir, STORE_FOLDER);
  try {
    return await repairIn(dir, folder, options);
  } catch (cause) {
    if (cause instanceof ClientError) throw cause;
    throw new ClientError('storage', `the store in ${dir} cannot be repaired`, cause);
  }
}

async function repairIn(
  dir: string,
  folder: string,
  { ask, agree, now }: Parameters<typeof repairStore>[1],
): Promise<RepairOutcome> {
  const file = join(folder, DATA_FILE);
  if (!isBegun(folder)) throw new ClientError('refused', `there is no store in ${dir}`);
  const dataKey = isSealed(folder) ? await readStoreKey(folder, await ask('known')) : undefined;
  if (!lstatSync(file).isFile()) return { kind: 'lost', faults: ['it is no file'] };
  const { found, faults } = look(file);
  const opened = openFound(found, dataKey);
  if (faults.length === 0 && opened.rows.length === found.rows.size) return { kind: 'intact' };
  const named = faults.length > 0 ? faults : ['rows of it were changed since they were written'];
  const time = now();
  const rebuilt = rebuild(opened, time);
  if (rebuilt === undefined) return { kind: 'lost', faults: named };
  if (!(await agree({ faults: named, rebuilt }))) return { kind: 'declined' };
  const next = join(dir, REPAIRED_FOLDER);
  await writeStore(next, rebuilt, dataKey);
  const kept = await keepBeside(dir, folder, time);
  await syncFolder(dir);
  // one step: before it the old store is in its place, after it the new one
  await rename(join(next, DATA_FILE), file);
  await rm(join(folder, LOCK_FILE), { force: true });
  await syncFolder(folder);
  await rm(next, { recursive: true });
  return { kind: 'repaired', kept };
}

/** What can be read of a file, and what is wrong with it. */
function look(path: string): { readonly found: Salvage; readonly faults: readonly string[] } {
  const fault = faultOfFile(path);
  using file = openLmdbFile(path);
  const found = salvage(file);
  const faults = [...(fault === undefined ? [] : [fault]), ...found.faults.filter((each) => each !== fault)];
  const { damaged } = found;
  if (damaged.length > 0) faults.push(`${damaged.length} row(s) are not what was written`);
  if (faults.length === 0 && !found.isConsistent) faults.push('it holds rows older than others, or too few');
  return { found, faults };
}

async function writeStore(folder: string, { writes }: Rebuilt, dataKey: Uint8Array | undefined): Promise<void> {
  const plain = await openLmdbStore(folder);
  await using store = dataKey === undefined ? plain : createSealedStore(plain, dataKey);
  for (let next = 0; next < writes.length; next += WRITES_AT_ONCE) {
    await store.commit(writes.slice(next, next + WRITES_AT_ONCE));
  }
  await store.durable();
}

/** The damaged store under a second name: the same bytes, without a copy where the file system can do that. */
async function keepBeside(dir: string, folder: string, time: number): Promise<string> {
  const kept = keptStoreAt(dir, time);
  await mkdir(kept, { mode: FOLDER_MODE });
  if (isSealed(folder)) await copyFile(join(folder, KEY_FILE), join(kept, KEY_FILE));
  const [from, to] = [join(folder, DATA_FILE), join(kept, DATA_FILE)];
  await link(from, to).catch(() => copyFile(from, to));
  await syncFolder(kept);
  return kept;
}
