import type { Suite } from '../../mls/suite.ts';
import { type AccountChain, applyStatement, encodeStatement, type SignedStatement } from '../../wire/account-chain.ts';
import { type RegistrationStatement, statementToSign } from '../../wire/account-statement.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { type ClientId, type DeviceId, deviceIdOf, newClientId, type Sha256 } from '../../wire/ids.ts';
import { checkName } from '../../wire/names.ts';
import { ProblemError } from '../../wire/problems.ts';
import type { Account } from '../../wire/schemas/accounts.ts';
import type { ChatClient, DeviceStatus, Done } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import { chainOf } from '../engine/account-check.ts';
import { chainCryptoOf } from '../engine/account-entry.ts';
import type { Directory } from '../engine/directory.ts';
import { type ServerApi, TransportError } from '../transport/server-api.ts';
import type { AccountBook } from './accounts.ts';
import { asClientError, isPassing, isRevoked, reasonOf } from './failures.ts';
import type { StoredIdentity } from './identity.ts';
import { createOfferReader } from './offered-device.ts';
import { backoffMs, pause } from './retry.ts';

/** How often a statement is made anew because another device of the account was faster. */
const CHANGE_ATTEMPTS_MAX = 5;
/** How often a statement is sent while it is not known whether it is in the chain. */
const SENDINGS_MAX = 3;
/** Somebody sits there and waits: a server that asks for more time than this is told of instead. */
const SENDING_PAUSE_MAX_MS = 3_000;

type AccountCommands = Pick<ChatClient, 'rename' | 'devices' | 'revoke' | 'readOffer' | 'link'>;

/** What a statement says beside its place in the chain. */
type Wish =
  | { readonly type: 'rename'; readonly name: string }
  | { readonly type: 'add-device'; readonly device: RegistrationStatement['device'] }
  | { readonly type: 'revoke-device'; readonly device: DeviceId };

/** Commands that change the own account: each is a statement that this device signs and the server puts into the chain. */
export function createAccountCommands(world: {
  readonly api: ServerApi;
  readonly accounts: AccountBook;
  readonly directory: Directory;
  readonly identity: StoredIdentity;
  readonly suite: Suite;
  readonly sha256: Sha256;
  readonly now: () => number;
  readonly random: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly signal: AbortSignal;
}): AccountCommands {
  const { api, accounts, directory, identity, suite, sha256, now, random, randomBytes, signal } = world;
  const { account: me, device: here } = identity;

  const freshChain = async (): Promise<AccountChain> => {
    await accounts.fetch([me]);
    const chain = chainOf(directory.get(me)?.statements ?? [], sha256);
    if (chain === undefined) throw new Error('the own account is not known');
    return chain;
  };

  /** Sends the same again under the same key while nobody says what came of it: what was done then has its first answer. */
  const untilKnown = async <Answer>(send: (key: ClientId) => Promise<Answer>): Promise<Answer> => {
    const key = newClientId(now(), randomBytes);
    let mayBeMade = false;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await send(key);
      } catch (error) {
        // who is turned away at the door learns nothing of what an earlier sending did, least of all a device that is revoked since
        mayBeMade = mayBeMade ? isPassing(error) || isRevoked(error) : isUndecided(error);
        if (!mayBeMade) throw error;
        if (attempt >= SENDINGS_MAX || signal.aborted || isRevoked(error)) {
          throw new ClientError('unreachable', `it is not known whether this was done: ${reasonOf(error)}`, error);
        }
        const asked = error instanceof ProblemError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
        await pause(Math.min(SENDING_PAUSE_MAX_MS, Math.max(asked, backoffMs(attempt, random))), signal);
      }
    }
  };
  const isShown = (statement: Uint8Array): boolean =>
    directory.get(me)?.statements.some((signed) => equalBytes(signed.statement, statement)) === true;
  /** The change is in the chain by now: a server that cannot show the account yet takes nothing of that back. */
  const learn = async (served: Account): Promise<Done> => {
    try {
      const learnt = await accounts.learn(served);
      return 'invalid' in learnt ? { kind: 'refused', reason: learnt.invalid } : { kind: 'done' };
    } catch (error) {
      if (isPassing(error)) return { kind: 'done' }; // it comes as an entry, like the changes of other devices
      throw error;
    }
  };

  /** Makes the statement at the end of the chain as it is, and again when it has grown meanwhile. */
  const change = async (
    wish: Wish,
    post: (key: ClientId, signed: SignedStatement) => Promise<{ readonly account: Account }>,
    countersignature?: Uint8Array,
  ): Promise<Done> => {
    try {
      for (let attempt = 1; ; attempt += 1) {
        const chain = await freshChain();
        const body = { v: 1, account: me, previous: chain.head, by: here, time: now(), ...wish } as const;
        const statement = encodeStatement(body);
        const signature = await suite.signature.sign(identity.deviceKey.signKey, statementToSign(statement));
        const signed = { statement, signature, ...(countersignature === undefined ? {} : { countersignature }) };
        const check = await applyStatement(chain, signed, chainCryptoOf(world));
        if (!check.ok) return { kind: 'refused', reason: check.reason };
        try {
          const { account } = await untilKnown((key) => post(key, signed));
          return await learn(account);
        } catch (error) {
          // the log may have shown it meanwhile, whatever nobody answers
          if (error instanceof ClientError && error.code === 'unreachable' && isShown(statement))
            return { kind: 'done' };
          const overtaken = error instanceof ProblemError && error.code === 'account-conflict';
          if (!overtaken || attempt >= CHANGE_ATTEMPTS_MAX) throw error;
        }
      }
    } catch (error) {
      if (error instanceof ProblemError) return { kind: 'refused', reason: reasonOf(error) };
      throw asClientError(error, 'changing the account');
    }
  };

  const offered = createOfferReader({ api, sha256, me });

  const devices = async (): Promise<readonly DeviceStatus[]> =>
    (directory.get(me)?.devices ?? []).map(({ id, label, revoked }) => ({
      device: id,
      label: label ?? id,
      me: id === here,
      revoked,
    }));

  return {
    rename: async (typed) => {
      const check = checkName(typed);
      if (!check.ok) return { kind: 'refused', reason: check.reason };
      return change({ type: 'rename', name: check.name }, (key, signed) => api.renameAccount(key, signed));
    },
    devices,
    revoke: async (named) => {
      await accounts.fetch([me]).catch((error: unknown) => {
        throw asClientError(error, 'looking at the own account');
      });
      const valid = (await devices()).filter(({ revoked }) => !revoked);
      const byLabel = valid.filter(({ label }) => label === named);
      const found = byLabel.length > 0 ? byLabel : valid.filter(({ device }) => device.startsWith(named));
      const [only] = found;
      if (only === undefined) return { kind: 'refused', reason: `you have no device "${named}"; /devices lists yours` };
      if (found.length > 1) {
        return { kind: 'refused', reason: `${found.length} of your devices are meant by "${named}"; use the id` };
      }
      if (only.me) return { kind: 'refused', reason: 'this is the device you are using; do it from another one' };
      const { device } = only;
      return change({ type: 'revoke-device', device }, (key, signed) => api.revokeDevice(key, device, signed));
    },
    readOffer: async (code) => {
      const offer = await offered(code);
      if ('kind' in offer) return offer;
      const { key, label } = offer.device;
      return { kind: 'offer', device: deviceIdOf(key, sha256), label };
    },
    link: async (code) => {
      const offer = await offered(code);
      if ('kind' in offer) return offer;
      const { device, countersignature } = offer;
      return change(
        { type: 'add-device', device },
        (key, signed) => api.addDevice(key, { ...signed, countersignature, keyPackages: [] }),
        countersignature,
      );
    },
  };
}

/** Whether a change may have been made although this came instead of an answer: of the server, or of a proxy before it. */
function isUndecided(error: unknown): boolean {
  if (error instanceof TransportError) return true;
  return error instanceof ProblemError && (error.code === 'not-ready' || error.code === 'internal');
}
