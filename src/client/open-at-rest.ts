import { ClientError } from './client-error.ts';
import { type RepairOutcome, type RepairPlan, repairStore } from './repair/repair-store.ts';
import { openClientFolder } from './runner/folder.ts';
import { encryptStore } from './store/open-store.ts';
import { type AskSecret, changeStoreSecret, hasStore } from './store/store-folder.ts';

/**
 * `mlschat encrypt`: see {@link encryptStore}.
 *
 * @throws ClientError `folder-locked` while a chat uses the folder, `refused`, `passphrase`, `storage`
 */
export function encryptFolder(dir: string, ask: AskSecret): Promise<{ readonly rows: number }> {
  return locked(dir, () => encryptStore(dir, ask));
}

/** `mlschat passwd`: see {@link changeStoreSecret}. @throws ClientError as {@link encryptFolder} */
export function changePassphrase(dir: string, ask: AskSecret): Promise<void> {
  return locked(dir, () => changeStoreSecret(dir, ask));
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

async function locked<Result>(dir: string, work: () => Promise<Result>): Promise<Result> {
  const folder = openClientFolder(dir);
  try {
    return await work();
  } finally {
    folder.close();
  }
}
