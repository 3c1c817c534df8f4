import type { Suite } from '../../mls/suite.ts';
import { type AccountChain, applyStatement, encodeStatement, type SignedStatement } from '../../wire/account-chain.ts';
import { type RegistrationStatement, statementToSign } from '../../wire/account-statement.ts';
import { type ClientId, type DeviceId, deviceIdOf, newClientId, type Sha256 } from '../../wire/ids.ts';
import { checkName } from '../../wire/names.ts';
import { ProblemError } from '../../wire/problems.ts';
import type { Account } from '../../wire/schemas/accounts.ts';
import type { ChatClient, DeviceStatus, Done } from '../chat-client.ts';
import { chainOf } from '../engine/account-check.ts';
import { chainCryptoOf } from '../engine/account-entry.ts';
import type { Directory } from '../engine/directory.ts';
import type { ServerApi } from '../transport/server-api.ts';
import type { AccountBook } from './accounts.ts';
import { asClientError, reasonOf } from './failures.ts';
import type { StoredIdentity } from './identity.ts';
import { createOfferReader } from './offered-device.ts';

/** How often a statement is made anew because another device of the account was faster. */
const CHANGE_ATTEMPTS_MAX = 5;

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
  readonly randomBytes: (length: number) => Uint8Array;
}): AccountCommands {
  const { api, accounts, directory, identity, suite, sha256, now, randomBytes } = world;
  const { account: me, device: here } = identity;

  const freshChain = async (): Promise<AccountChain> => {
    await accounts.fetch([me]);
    const chain = chainOf(directory.get(me)?.statements ?? [], sha256);
    if (chain === undefined) throw new Error('the own account is not known');
    return chain;
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
          const { account } = await post(newClientId(now(), randomBytes), signed);
          const learnt = await accounts.learn(account);
          return 'invalid' in learnt ? { kind: 'refused', reason: learnt.invalid } : { kind: 'done' };
        } catch (error) {
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
