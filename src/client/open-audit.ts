import { createNodeSuite, nodeSha256 } from '../mls/suite-node.ts';
import { ClientError } from './client-error.ts';
import { type AuditReport, auditStore } from './runner/audit.ts';
import { openClientFolder } from './runner/folder.ts';
import { openStore } from './store/open-store.ts';
import { type AskSecret, hasStore, unlockStore } from './store/store-folder.ts';

/**
 * `mlschat audit`: see {@link auditStore}. Asks no server, so it can be run by whoever distrusts it.
 *
 * @throws ClientError `folder-locked` while a chat uses the folder, `refused` where there is none, `passphrase`, `storage`
 */
export async function auditFolder(dir: string, ask?: AskSecret): Promise<AuditReport> {
  if (!hasStore(dir)) throw new ClientError('refused', `there is no client in ${dir}`);
  const folder = openClientFolder(dir);
  try {
    await using store = await openStore(folder.path, await unlockStore(folder.path, { ask }));
    return await auditStore(store, { suite: createNodeSuite(), sha256: nodeSha256 });
  } finally {
    folder.close();
  }
}
