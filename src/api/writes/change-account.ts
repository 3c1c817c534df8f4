import { requestEventId } from '../../log/request-event-id.ts';
import { type ComparedLane, nameLane } from '../../log/subjects.ts';
import {
  applyStatement,
  type ChainCrypto,
  type LaterStatement,
  type SignedStatement,
} from '../../wire/account-chain.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { type AccountId, type ClientId, type DeviceId, deviceIdOf } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import type { ApiDeps } from '../deps.ts';
import type { Shared } from '../route.ts';
import { sha256 } from '../sha256.ts';
import { appendRequest, type Written } from './append-request.ts';
import { type SortedPackages, sortPackages } from './publish.ts';

export interface AccountChangeCall {
  readonly deps: ApiDeps;
  readonly shared: Pick<Shared, 'gate' | 'accountChanges'>;
  readonly caller: { readonly id: DeviceId };
  readonly now: number;
  readonly requestId: ClientId;
  readonly requestDigest: Uint8Array;
}

export interface WantedChange {
  readonly account: AccountId;
  readonly signed: SignedStatement;
  /** What `signed` says. */
  readonly statement: LaterStatement;
  /** Of a device that is added. */
  readonly keyPackages?: readonly Uint8Array[];
}

export interface ChangedAccount {
  /** The device that was added. */
  readonly device?: DeviceId;
  readonly packages: SortedPackages;
  readonly result: Written<never>;
}

/**
 * Appends a statement to an account's chain, once it was verified against the chain as it is. A rename is compared on the
 * new name's lane, everything else on the account's; the fold drops what another statement has overtaken.
 *
 * @throws ProblemError `account-conflict` when it does not follow the newest statement, `name-taken`, `already-exists`,
 *   `forbidden` with the chain's reason, `not-found`, `rate-limited`
 */
export async function changeAccount(call: AccountChangeCall, wanted: WantedChange): Promise<ChangedAccount> {
  const { deps, shared, caller, now, requestId, requestDigest } = call;
  const { account, signed, statement, keyPackages = [] } = wanted;
  const eventId = requestEventId(caller.id, requestId);
  const added = statement.type === 'add-device' ? statement.device : undefined;
  const device = added === undefined ? undefined : deviceIdOf(added.key, sha256);
  const packages = await sortPackages(call, keyPackages, {
    owner: { account, device: device ?? caller.id, signatureKeys: added?.signatureKeys ?? [] },
    stock: { available: 0, lastResort: false },
  });
  let isCharged = false;
  const chargeTo = (id: AccountId): void => {
    const wait = shared.accountChanges.take(id, now);
    if (wait > 0) throw new ProblemError('rate-limited', 'this account changes too often', { retryAfterSeconds: wait });
  };
  const result = await appendRequest(deps, shared.gate, {
    eventId,
    digest: requestDigest,
    judge: (view) => {
      const known = view.account(account);
      if (known === undefined) throw new ProblemError('not-found', 'there is no such account');
      if (device !== undefined && (view.device(device) !== undefined || view.isRevoked(device))) {
        throw new ProblemError('already-exists', 'this device belongs to an account already');
      }
      if (!equalBytes(statement.previous, known.chain.head)) {
        throw new ProblemError('account-conflict', 'the account has changed since this statement was made');
      }
      return { ...laneOf(view, account, statement, known.laneSequence), chain: known.chain };
    },
    decide: async (_view, { lane, expected, chain }) => {
      const step = await applyStatement(chain, signed, chainCrypto(deps));
      if (!step.ok) throw new ProblemError('forbidden', step.reason);
      // only what the account itself has signed uses up what it may do: anybody can send a statement about it
      if (!isCharged) chargeTo(account);
      isCharged = true;
      return {
        kind: 'append',
        lane,
        expected,
        event: {
          v: 1,
          type: 'account-changed',
          id: eventId,
          time: now,
          account,
          device: caller.id,
          requestId,
          requestDigest,
          owner: account,
          ...(statement.type === 'rename' ? { name: statement.name } : {}),
          statement: signed.statement,
          signature: signed.signature,
          ...(signed.countersignature === undefined ? {} : { countersignature: signed.countersignature }),
          keyPackages: packages.stored,
        },
      };
    },
  });
  return { ...(device === undefined ? {} : { device }), packages, result };
}

function laneOf(
  view: ApiDeps['readModel'],
  account: AccountId,
  statement: LaterStatement,
  laneSequence: number,
): { readonly lane: ComparedLane; readonly expected: number } {
  if (statement.type !== 'rename') return { lane: { kind: 'account', account }, expected: laneSequence };
  const { sequence, taken } = view.nameLane('user', statement.name);
  if (taken && view.accountByName(statement.name)?.id !== account) {
    throw new ProblemError('name-taken', 'somebody else holds this user name');
  }
  return { lane: nameLane('account', statement.name), expected: sequence };
}

function chainCrypto({ suite }: Pick<ApiDeps, 'suite'>): ChainCrypto {
  return {
    sha256,
    verify: async (key, message, signature) => {
      try {
        return await suite.signature.verify(key, message, signature);
      } catch {
        return false; // a key that is none verifies nothing
      }
    },
  };
}
