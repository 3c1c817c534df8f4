import { parseIdentity } from '../../mls/identity.ts';
import { type ChainCrypto, foldAccountChain, type SignedStatement } from '../../wire/account-chain.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { AccountId, DeviceId } from '../../wire/ids.ts';
import { foldName } from '../../wire/names.ts';
import type { Person } from '../chat-client.ts';

/** An account whose signed history was checked from its first statement on. */
export interface KnownAccount {
  readonly id: AccountId;
  readonly name: string;
  readonly devices: readonly {
    readonly id: DeviceId;
    readonly signatureKeys: readonly Uint8Array[];
    readonly revoked: boolean;
  }[];
  /** The whole history, as pinned at first sight and extended since. */
  readonly statements: readonly SignedStatement[];
}

/** An account as a server serves it. */
export interface ServedAccount {
  readonly id: AccountId;
  readonly name: string;
  readonly statements: readonly SignedStatement[];
}

export type AccountCheck =
  | { readonly ok: true; readonly account: KnownAccount }
  | { readonly ok: false; readonly reason: string };

/**
 * Folds a served history; its id, its keys and the pinned beginning must be right. The name is the server's word: names
 * are labels and may change hands.
 */
export async function checkAccount(
  served: ServedAccount,
  pinned: KnownAccount | undefined,
  domain: string,
  crypto: ChainCrypto,
): Promise<AccountCheck> {
  const folded = await foldAccountChain(served.statements, crypto);
  if (!folded.ok) return folded;
  const { chain } = folded;
  if (chain.id !== served.id) return { ok: false, reason: 'the history is of another account' };
  if (chain.domain !== domain) return { ok: false, reason: `the account is of the domain ${chain.domain}` };
  const before = pinned?.statements ?? [];
  const continues = before.every((known, i) =>
    equalBytes(known.statement, served.statements[i]?.statement ?? new Uint8Array(0)),
  );
  if (!continues) return { ok: false, reason: 'the history differs from the one seen before' };
  const devices = chain.devices.map(({ id, signatureKeys, revoked }) => ({ id, signatureKeys, revoked }));
  return { ok: true, account: { id: chain.id, name: served.name, devices, statements: served.statements } };
}

/**
 * The accounts this device has seen. {@link Directory.validate} answers from memory alone; what it could not answer it
 * remembers in {@link Directory.takeMissing}, so that the runner can fetch it and take the step again.
 */
export interface Directory {
  get(id: AccountId): KnownAccount | undefined;
  byName(name: string): KnownAccount | undefined;
  put(account: KnownAccount): void;
  /** The account was asked for just now and there is nothing better to know: its unknown keys are invalid from here on. */
  settle(id: AccountId): void;
  validate(identity: string, signatureKey: Uint8Array): boolean;
  /** Accounts that could not be judged since the last call. */
  takeMissing(): readonly AccountId[];
  personOf(identity: string): Person;
  person(account: AccountId, device: DeviceId): Person;
}

const NAMELESS = '?';
const JUDGED_MAX = 10_000;

export function createDirectory(domain: string, known: Iterable<KnownAccount> = []): Directory {
  const accounts = new Map<AccountId, KnownAccount>();
  for (const account of known) accounts.set(account.id, account);
  const missing = new Set<AccountId>();
  /** What was asked about accounts and had no good answer, until they are fetched. */
  const doubts = new Map<AccountId, Set<string>>();
  const refused = new Set<string>();

  const person = (account: AccountId, device: DeviceId): Person => ({
    account,
    device,
    name: accounts.get(account)?.name ?? NAMELESS,
  });

  return {
    get: (id) => accounts.get(id),
    byName: (name) => {
      const folded = foldName(name);
      for (const account of accounts.values()) if (foldName(account.name) === folded) return account;
      return undefined;
    },
    put: (account) => {
      accounts.set(account.id, account);
    },
    settle: (id) => {
      if (refused.size > JUDGED_MAX) refused.clear();
      for (const doubt of doubts.get(id) ?? []) refused.add(doubt);
      doubts.delete(id);
    },
    validate: (identity, signatureKey) => {
      const parsed = parseIdentity(identity);
      if (parsed === undefined || parsed.domain !== domain) return false;
      const device = accounts.get(parsed.account)?.devices.find((candidate) => candidate.id === parsed.device);
      // a revoked device stays valid here: leaves of the past must be readable; who adds one is checked by the adder
      if (device?.signatureKeys.some((key) => equalBytes(key, signatureKey)) === true) return true;
      const doubt = `${identity} ${signatureKey.join()}`;
      if (refused.has(doubt)) return false;
      missing.add(parsed.account);
      const about = doubts.get(parsed.account) ?? new Set();
      doubts.set(parsed.account, about.add(doubt));
      return false;
    },
    takeMissing: () => {
      const taken = [...missing];
      missing.clear();
      return taken;
    },
    personOf: (identity) => {
      const parsed = parseIdentity(identity);
      return parsed === undefined
        ? { account: '' as AccountId, device: '' as DeviceId, name: NAMELESS }
        : person(parsed.account, parsed.device);
    },
    person,
  };
}
