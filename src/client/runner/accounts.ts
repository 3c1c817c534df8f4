import type { Suite } from '../../mls/suite.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import type { AccountId, GroupId, Sha256 } from '../../wire/ids.ts';
import type { Account } from '../../wire/schemas/accounts.ts';
import { ClientError } from '../client-error.ts';
import { alarmText, checkAccount } from '../engine/account-check.ts';
import { chainCryptoOf } from '../engine/account-entry.ts';
import type { Directory, KnownAccount } from '../engine/directory.ts';
import type { ClientStore, Write } from '../store/client-store.ts';
import { keys, rangeOf } from '../store/keys.ts';
import type { ServerApi } from '../transport/server-api.ts';
import { pause } from './retry.ts';

/** Look-ups under way at a time. */
const PARALLEL_LOOKUPS = 8;
/**
 * A node may not have come as far as another one: asked for the newest, it answers once it has, or says that it cannot. One that is cut
 * off from the rest of its log may be wrong about what is newest, for a moment: it is asked again before anybody is alarmed.
 */
const BEHIND_ATTEMPTS = 5;
const BEHIND_PAUSE_MS = 400;

export async function loadAccounts(store: ClientStore): Promise<readonly KnownAccount[]> {
  const rows = await store.range(rangeOf('account'));
  return rows.map(([, value]) => decodeCbor(value) as KnownAccount);
}

export function accountWrite(account: KnownAccount): Write {
  return { key: keys.account(account.id), value: encodeCbor(account) };
}

/** The server's record of an account does not prove itself. */
export interface AccountAlarm {
  readonly account: AccountId;
  readonly text: string;
  /** Where it came up, if the account is of no member. */
  readonly group?: GroupId;
}

export interface AccountBook {
  /**
   * Looks these up and keeps what proves itself; afterwards the directory has an answer about each.
   *
   * @param about `newest`: as the log has them, whatever the node that is asked has folded; else that is asked for only where it is
   *   seen to be behind
   * @throws ProblemError and TransportError when the server cannot say, `not-ready` of a node that stays behind: nothing is known then
   */
  fetch(ids: readonly AccountId[], about?: { readonly group?: GroupId; readonly newest?: boolean }): Promise<void>;
  /** Looks up who holds a name now. `undefined`: nobody; `invalid`: the server's answer does not prove itself. */
  fetchByName(name: string): Promise<KnownAccount | { readonly invalid: string } | undefined>;
  /** Keeps an account as the server has just answered with it. */
  learn(served: Account): Promise<KnownAccount | { readonly invalid: string }>;
}

/** The directory's way to the server. Every account that gets in is pinned in the store. */
export function createAccountBook(options: {
  readonly store: ClientStore;
  readonly api: ServerApi;
  readonly directory: Directory;
  readonly domain: string;
  readonly suite: Suite;
  readonly sha256: Sha256;
  readonly signal: AbortSignal;
  /** Called once for each account and reason. */
  readonly onAlarm: (alarm: AccountAlarm) => void;
}): AccountBook {
  const { store, api, directory, domain, signal } = options;
  const crypto = chainCryptoOf(options);
  const alarmed = new Set<string>();

  const take = async (served: Account, group?: GroupId): Promise<KnownAccount | { readonly invalid: string }> => {
    let shown: Account | undefined = served;
    for (let attempt = 1; ; attempt += 1) {
      const pinned = directory.get(served.id);
      const check = await checkAccount(shown, pinned, domain, crypto);
      if (directory.get(served.id) !== pinned) continue; // an entry of the log was faster
      if (check.ok) {
        directory.put(check.account);
        await store.commit([accountWrite(check.account)]);
        return check.account;
      }
      // there was no time to ask again: nothing is known against the server
      if (check.behind === true && signal.aborted) throw new ClientError('closed', 'the client is closed');
      if (check.behind === true && attempt < BEHIND_ATTEMPTS) {
        if (attempt > 1) await pause(BEHIND_PAUSE_MS, signal);
        shown = (await api.account(served.id, 'newest')) ?? shown;
        continue;
      }
      const text = alarmText(pinned?.name ?? served.name, check.reason);
      const told = `${served.id} ${check.reason}`;
      if (!alarmed.has(told)) {
        alarmed.add(told);
        options.onAlarm({ account: served.id, text, ...(group === undefined ? {} : { group }) });
      }
      return { invalid: text };
    }
  };
  return {
    fetch: async (ids, { group, newest = false } = {}) => {
      for (let first = 0; first < ids.length; first += PARALLEL_LOOKUPS) {
        await Promise.all(
          ids.slice(first, first + PARALLEL_LOOKUPS).map(async (id) => {
            for (let attempt = 0; attempt <= BEHIND_ATTEMPTS; attempt += 1) {
              if (attempt > 1) await pause(BEHIND_PAUSE_MS, signal);
              // not asked often enough to be sure of anything
              if (attempt > 1 && signal.aborted) throw new ClientError('closed', 'the client is closed');
              const served = await api.account(id, attempt === 0 && !newest ? undefined : 'newest');
              if (served !== undefined) await take(served, group);
              // what was seen of it comes from another node perhaps, which is further
              if (!directory.isInDoubt(id)) break;
            }
            directory.settle(id);
          }),
        );
      }
    },
    fetchByName: async (name) => {
      const served = await api.accountByName(name);
      return served === undefined ? undefined : take(served);
    },
    learn: (served) => take(served),
  };
}
