import type { AccountId, Sha256 } from '../../wire/ids.ts';
import { foldName } from '../../wire/names.ts';
import { safetyNumber } from '../../wire/safety-number.ts';
import type { ChatClient, Verified } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import type { Directory, KnownAccount } from '../engine/directory.ts';
import { type Me, step } from '../engine/types.ts';
import { changedKeyText, hasNewKey, markOf, type VerifiedMark } from '../engine/verified.ts';
import type { ClientStore } from '../store/client-store.ts';
import { loadVerified, verifiedWrite } from '../store/verified-rows.ts';
import type { AccountBook } from './accounts.ts';
import type { ChatState } from './chat-state.ts';
import { asClientError, isPassing } from './failures.ts';
import { accountsOf } from './group-views.ts';
import type { Serial } from './serial.ts';

/** Whose keys a person has compared, and what became of them since. */
export interface Verification extends Pick<ChatClient, 'safetyNumber' | 'markVerified'> {
  of(account: AccountId): Verified;
  /** Something more is known about an account: says so in its groups when a compared key is another one now. */
  look(account: KnownAccount): Promise<void>;
}

export async function openVerification(world: {
  readonly store: ClientStore;
  readonly state: ChatState;
  readonly serial: Serial;
  readonly directory: Directory;
  readonly accounts: Pick<AccountBook, 'fetch' | 'fetchByName'>;
  readonly me: Me;
  readonly sha256: Sha256;
  readonly now: () => number;
}): Promise<Verification> {
  const { store, state, serial, directory, accounts, me, sha256, now } = world;
  const marks = new Map((await loadVerified(store)).map((mark) => [mark.account, mark]));
  /** Numbers given out, so that nobody marks one that they cannot have compared. */
  const shown = new Map<AccountId, string>();

  const verifiedOf = (account: AccountId): Verified => {
    const mark = marks.get(account);
    if (mark === undefined) return 'no';
    return mark.changed === true ? 'changed' : 'yes';
  };
  const keep = (mark: VerifiedMark, warning?: string): Promise<void> =>
    serial.run(async () => {
      const batch = state.begin();
      batch.write(verifiedWrite(mark));
      if (warning !== undefined) {
        for (const { id } of [...state.groups.values()].filter((group) => accountsOf(group).has(mark.account))) {
          const group = batch.group(id);
          if (group !== undefined)
            batch.take(step(group, { lines: [{ kind: 'warning', text: warning, time: now() }] }));
        }
      }
      await batch.commit();
      marks.set(mark.account, mark);
    });
  const look = async (account: KnownAccount): Promise<void> => {
    const mark = marks.get(account.id);
    if (mark === undefined || mark.changed === true || !hasNewKey(mark, account)) return;
    marks.set(account.id, { ...mark, changed: true }); // told once, however often it is looked at
    await keep({ ...mark, changed: true }, changedKeyText(account.name));
  };

  /** By what the server has now, where it answers; else by what is known here. */
  const find = async (name: string): Promise<KnownAccount | string | undefined> => {
    const here = directory.byName(name);
    try {
      await accounts.fetch([me.account, ...(here === undefined ? [] : [here.id])]);
      const known = here === undefined ? undefined : directory.get(here.id);
      if (known !== undefined && foldName(known.name) === foldName(name)) return known;
      const found = await accounts.fetchByName(name);
      return found !== undefined && 'invalid' in found ? found.invalid : found;
    } catch (error) {
      if (here !== undefined && isPassing(error)) return here;
      throw asClientError(error, 'looking up the account');
    }
  };
  const numberOf = (account: KnownAccount): string => {
    const own = directory.get(me.account);
    if (own === undefined) throw new Error('the own account is not known');
    return safetyNumber(me.domain, own, account, sha256);
  };

  // what was learned just before the process ended was perhaps not told
  for (const { account } of [...marks.values()]) {
    const known = directory.get(account);
    if (known !== undefined) await look(known);
  }

  return {
    of: verifiedOf,
    look,
    safetyNumber: async (name) => {
      const account = await find(name);
      if (account === undefined) return undefined;
      if (typeof account === 'string') throw new ClientError('refused', account);
      const number = numberOf(account);
      shown.set(account.id, number);
      const { id } = account;
      return { name: account.name, account: id, number, verified: verifiedOf(id), me: id === me.account };
    },
    markVerified: async (name) => {
      const account = directory.byName(name);
      const number = account === undefined ? undefined : shown.get(account.id);
      if (account === undefined || number === undefined) {
        return { kind: 'refused', reason: `compare the number first: /verify ${name}` };
      }
      if (account.id === me.account) return { kind: 'refused', reason: 'this is you' };
      if (numberOf(account) !== number) {
        return {
          kind: 'refused',
          reason: `the number is another one than was shown; compare it again: /verify ${name}`,
        };
      }
      await keep(markOf(account, now()));
      return { kind: 'done' };
    },
  };
}
