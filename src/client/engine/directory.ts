import { parseIdentity } from '../../mls/identity.ts';
import type { SignedStatement } from '../../wire/account-chain.ts';
import { judgeCredential } from '../../wire/account-credential.ts';
import type { AccountId, DeviceId } from '../../wire/ids.ts';
import { foldName } from '../../wire/names.ts';
import type { Person } from '../chat-client.ts';

/** An account whose signed history was checked from its first statement on. */
export interface KnownAccount {
  readonly id: AccountId;
  /** As the history says. */
  readonly name: string;
  readonly devices: readonly {
    readonly id: DeviceId;
    readonly label?: string;
    readonly signatureKeys: readonly Uint8Array[];
    readonly revoked: boolean;
  }[];
  /** The whole history, as pinned at first sight and extended since. */
  readonly statements: readonly SignedStatement[];
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
  /** Whether a leaf may be; one of a device that was revoked since stays readable. */
  validate(identity: string, signatureKey: Uint8Array): boolean;
  /** Whether this is a device of an account that revoked it. */
  isRevoked(identity: string): boolean;
  /**
   * Something about an account that cannot be judged yet.
   *
   * @param isSettled whether what is known by now answers it
   * @returns whether asking the server may help: `false` once it was asked in vain
   */
  doubt(id: AccountId, about: string, isSettled: () => boolean): boolean;
  /** Whether something was asked about this account that what is known by now does not answer. */
  isInDoubt(id: AccountId): boolean;
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
  const doubts = new Map<AccountId, Map<string, () => boolean>>();
  const refused = new Set<string>();

  const person = (account: AccountId, device: DeviceId): Person => ({
    account,
    device,
    name: accounts.get(account)?.name ?? NAMELESS,
  });
  const deviceOf = (account: AccountId, device: DeviceId) =>
    accounts.get(account)?.devices.find((candidate) => candidate.id === device);
  const doubt = (id: AccountId, about: string, isSettled: () => boolean): boolean => {
    if (refused.has(about)) return false;
    missing.add(id);
    const open = doubts.get(id) ?? new Map<string, () => boolean>();
    doubts.set(id, open.set(about, isSettled));
    return true;
  };

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
      for (const about of doubts.get(id)?.keys() ?? []) refused.add(about);
      doubts.delete(id);
    },
    validate: (identity, signatureKey) => {
      const parsed = parseIdentity(identity);
      if (parsed === undefined) return false;
      const { account, device } = parsed;
      const judge = () => {
        const known = deviceOf(account, device);
        return judgeCredential({ ...parsed, signatureKey }, domain, known && { ...known, account });
      };
      const verdict = judge();
      switch (verdict) {
        case 'valid':
        case 'revoked':
          // leaves of the past must be readable; that no new one comes is seen to where commits are applied
          return true;
        case 'wrong-domain':
          return false;
        case 'unknown-device':
        case 'wrong-account':
        case 'unknown-key':
          doubt(account, `${identity} ${signatureKey.join()}`, () => ['valid', 'revoked'].includes(judge()));
          return false;
        default:
          return verdict satisfies never;
      }
    },
    isRevoked: (identity) => {
      const parsed = parseIdentity(identity);
      return parsed !== undefined && deviceOf(parsed.account, parsed.device)?.revoked === true;
    },
    doubt,
    isInDoubt: (id) => [...(doubts.get(id)?.values() ?? [])].some((isSettled) => !isSettled()),
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
