import { existsSync } from 'node:fs';
import { ClientError } from './client-error.ts';
import { type RepairOutcome, type RepairPlan, repairStore } from './repair/repair-store.ts';
import { openClientFolder } from './runner/folder.ts';
import { encryptStore } from './store/open-store.ts';
import { type AskSecret, changeStoreSecret, hasStore, keptStores } from './store/store-folder.ts';

/**
 * `mlschat encrypt`: see {@link encryptStore}.
 *
 * @returns how many rows there are, and what of the folder is not encrypted: the `plain` stores that repairs kept
 * @throws ClientError `folder-locked` while a chat uses the folder, `refused`, `passphrase`, `storage`
 */
export function encryptFolder(
  dir: string,
  ask: AskSecret,
): Promise<{ readonly rows: number; readonly plain: readonly string[] }> {
  return locked(dir, async () => {
    const { rows } = await encryptStore(dir, ask);
    return { rows, plain: await keptPaths(dir, false) };
  });
}

/**
 * `mlschat passwd`: see {@link changeStoreSecret}.
 *
 * @returns what in the folder opens with an older secret: the `unchanged` encrypted stores that repairs kept
 * @throws ClientError as {@link encryptFolder}
 */
export function changePassphrase(dir: string, ask: AskSecret): Promise<{ readonly unchanged: readonly string[] }> {
  return locked(dir, async () => {
    await changeStoreSecret(dir, ask);
    return { unchanged: await keptPaths(dir, true) };
  });
}

/**
 * `mlschat repair`: see {@link repairStore}.
 *
 * @throws ClientError `folder-locked` while a chat uses the folder, `refused` where there is no store, `passphrase`, `storage`
 */
export async function repairFolder(
  dir: string,
  options: { readonly ask: AskSecret; readonly agree: (plan: RepairPlan) => Promise<boolean> },
): Promise<RepairOutcome> {
  if (!hasStore(dir)) throw new ClientError('refused', `there is no client in ${dir}`);
  return locked(dir, () => repairStore(dir, { ...options, now: Date.now }));
}

async function keptPaths(dir: string, sealed: boolean): Promise<readonly string[]> {
  return (await keptStores(dir)).filter((kept) => kept.sealed === sealed).map(({ path }) => path);
}

async function locked<Result>(dir: string, work: () => Promise<Result>): Promise<Result> {
  // looking at a folder that is none makes none
  if (!existsSync(dir)) throw new ClientError('refused', `there is no client in ${dir}`);
  const folder = openClientFolder(dir);
  try {
    return await work();
  } finally {
    folder.close();
  }
}
