import type { Suite } from '../../mls/suite.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import type { AccountId, Sha256 } from '../../wire/ids.ts';
import type { Account } from '../../wire/schemas/accounts.ts';
import { checkAccount, type Directory, type KnownAccount } from '../engine/directory.ts';
import type { ClientStore, Write } from '../store/client-store.ts';
import { keys, rangeOf } from '../store/keys.ts';
import type { ServerApi } from '../transport/server-api.ts';

/** Look-ups under way at a time. */
const PARALLEL_LOOKUPS = 8;

export async function loadAccounts(store: ClientStore): Promise<readonly KnownAccount[]> {
  const rows = await store.range(rangeOf('account'));
  return rows.map(([, value]) => decodeCbor(value) as KnownAccount);
}

export function accountWrite(account: KnownAccount): Write {
  return { key: keys.account(account.id), value: encodeCbor(account) };
}

export interface AccountBook {
  /** Looks these up and keeps what proves itself; afterwards the directory has an answer about each. */
  fetch(ids: readonly AccountId[]): Promise<void>;
  /** Looks up who holds a name now. `undefined`: nobody; `invalid`: the server's answer does not prove itself. */
  fetchByName(name: string): Promise<KnownAccount | { readonly invalid: string } | undefined>;
}

/** The directory's way to the server. Every account that gets in is pinned in the store. */
export function createAccountBook(options: {
  readonly store: ClientStore;
  readonly api: ServerApi;
  readonly directory: Directory;
  readonly domain: string;
  readonly suite: Suite;
  readonly sha256: Sha256;
}): AccountBook {
  const { store, api, directory, domain, suite, sha256 } = options;
  const crypto = {
    sha256,
    verify: async (key: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> => {
      try {
        return await suite.signature.verify(key, message, signature);
      } catch {
        return false; // a key that is none verifies nothing
      }
    },
  };
  const take = async (served: Account): Promise<KnownAccount | { readonly invalid: string }> => {
    const check = await checkAccount(served, directory.get(served.id), domain, crypto);
    if (!check.ok) return { invalid: check.reason };
    directory.put(check.account);
    await store.commit([accountWrite(check.account)]);
    return check.account;
  };
  return {
    fetch: async (ids) => {
      for (let first = 0; first < ids.length; first += PARALLEL_LOOKUPS) {
        await Promise.all(
          ids.slice(first, first + PARALLEL_LOOKUPS).map(async (id) => {
            const served = await api.account(id);
            if (served !== undefined) await take(served);
            directory.settle(id);
          }),
        );
      }
    },
    fetchByName: async (name) => {
      const served = await api.accountByName(name);
      return served === undefined ? undefined : take(served);
    },
  };
}
