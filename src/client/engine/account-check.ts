import {
  type AccountChain,
  applyStatement,
  beginChain,
  type ChainCrypto,
  followChain,
  type SignedStatement,
} from '../../wire/account-chain.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { AccountId, DeviceId, Sha256 } from '../../wire/ids.ts';
import type { KnownAccount } from './directory.ts';

/** An account as a server serves it. */
export interface ServedAccount {
  readonly id: AccountId;
  readonly name: string;
  readonly devices: readonly { readonly id: DeviceId }[];
  readonly statements: readonly SignedStatement[];
}

/** `behind`: nothing is wrong with the answer but that it ends before what is known here. */
export type AccountCheck =
  | { readonly ok: true; readonly account: KnownAccount }
  | { readonly ok: false; readonly behind?: true; readonly reason: string };

/**
 * Verifies a served history from its first statement on, of what is pinned here the rest alone. Everything else that the
 * server says of the account has to be what the history says.
 */
export async function checkAccount(
  served: ServedAccount,
  pinned: KnownAccount | undefined,
  domain: string,
  crypto: ChainCrypto,
): Promise<AccountCheck> {
  const before = pinned?.statements ?? [];
  const { statements } = served;
  const shared = Math.min(before.length, statements.length);
  for (let i = 0; i < shared; i += 1) {
    if (!equalBytes(before[i]!.statement, statements[i]!.statement)) {
      return { ok: false, reason: 'its history is not the one that was seen before' };
    }
  }
  if (statements.length < before.length) {
    return { ok: false, behind: true, reason: 'its history ends before what was seen already' };
  }
  let chain = chainOf(before, crypto.sha256);
  for (const signed of statements.slice(before.length)) {
    const step = await applyStatement(chain, signed, crypto);
    if (!step.ok) return { ok: false, reason: `a statement of its history is not valid: ${step.reason}` };
    chain = step.chain;
  }
  if (chain === undefined) return { ok: false, reason: 'its history is empty' };
  if (chain.id !== served.id) return { ok: false, reason: 'the history is of another account' };
  if (chain.domain !== domain) return { ok: false, reason: `the account is of the domain ${chain.domain}` };
  if (chain.name !== served.name) return { ok: false, reason: `it is called ${chain.name} by its own history` };
  const valid = new Set(chain.devices.flatMap(({ id, revoked }) => (revoked ? [] : [id])));
  if (!served.devices.every(({ id }) => valid.has(id))) {
    return { ok: false, reason: 'a device is shown that nobody of the account has signed for' };
  }
  return { ok: true, account: knownAccount(chain, statements) };
}

/** An account as its verified chain has it. */
export function knownAccount(chain: AccountChain, statements: readonly SignedStatement[]): KnownAccount {
  const devices = chain.devices.map(({ id, label, signatureKeys, revoked }) => ({ id, label, signatureKeys, revoked }));
  return { id: chain.id, name: chain.name, devices, statements };
}

/** The chain of statements that were verified before; `undefined` of none. */
export function chainOf(statements: readonly SignedStatement[], sha256: Sha256): AccountChain | undefined {
  let chain: AccountChain | undefined;
  for (const { statement } of statements) {
    const step = chain === undefined ? beginChain(statement, sha256) : followChain(chain, statement, sha256);
    if (!step.ok) throw new Error(`a history that was verified does not fold: ${step.reason}`);
    chain = step.chain;
  }
  return chain;
}

/** What a person is told when a server's record of somebody does not prove itself: who it is about, and what to do. */
export function alarmText(name: string, reason: string): string {
  return (
    `ALARM: the server's record of ${name} cannot be trusted: ${reason}. Nothing new of it is accepted here. ` +
    `Ask ${name} over another way before you write anything that matters, and tell whoever runs the server.`
  );
}
