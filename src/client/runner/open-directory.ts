import type { Sha256 } from '../../wire/ids.ts';
import { ClientError } from '../client-error.ts';
import { chainOf, knownAccount } from '../engine/account-check.ts';
import { createDirectory, type Directory, type KnownAccount } from '../engine/directory.ts';
import type { ClientStore } from '../store/client-store.ts';
import { accountWrite, loadAccounts } from './accounts.ts';
import type { StoredIdentity } from './identity.ts';

/** The directory of a device, with what calls back whoever wants to know of what is put into it. */
export interface OpenedDirectory {
  readonly directory: Directory;
  onKnown(listener: (account: KnownAccount) => void): void;
}

/** The accounts that are stored; the device's own is there from its own statement on. @throws ClientError `storage` */
export async function openDirectory(
  store: ClientStore,
  identity: StoredIdentity,
  sha256: Sha256,
): Promise<OpenedDirectory> {
  const { account, domain, device, statement, signature } = identity;
  const known = createDirectory(domain, await loadAccounts(store));
  let tell: (account: KnownAccount) => void = () => {};
  const directory: Directory = {
    ...known,
    put: (learnt) => {
      known.put(learnt);
      tell(learnt);
    },
  };
  if (directory.get(account) === undefined) {
    const statements = [{ statement, signature }];
    const chain = chainOf(statements, sha256);
    if (chain?.devices[0]?.id !== device)
      throw new ClientError('storage', 'the identity in the store is not of one piece');
    const own = knownAccount(chain, statements);
    directory.put(own);
    await store.commit([accountWrite(own)]);
  }
  return {
    directory,
    onKnown: (listener) => {
      tell = listener;
    },
  };
}
