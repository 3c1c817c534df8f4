import type { Suite } from '../../mls/suite.ts';
import { parseLaterStatement } from '../../wire/account-chain.ts';
import { parseRegistration } from '../../wire/account-statement.ts';
import { type DeviceId, deviceIdOf, type Sha256 } from '../../wire/ids.ts';
import { foldName } from '../../wire/names.ts';
import type { ChatClient } from '../chat-client.ts';
import type { RotationPolicy } from '../engine/rotation.ts';
import type { ClientStore } from '../store/client-store.ts';
import { loadServerKey, pinServerKey } from '../store/receipt-rows.ts';
import { createHttpApi } from '../transport/http-api.ts';
import type { HttpPlatform } from '../transport/http-client.ts';
import type { ServerApi } from '../transport/server-api.ts';
import { loadAccounts } from './accounts.ts';
import type { PoisonedEntry, ReadingProgress } from './entry-reader.ts';
import { asClientError } from './failures.ts';
import { checkOwner, createIdentity, forget, loadIdentity, register, type StoredIdentity } from './identity.ts';
import { openLocalClient } from './local-client.ts';

export const LABEL_MAX_CHARACTERS = 64;

/** What a client needs of the machine it runs on, besides a store, a clock and timers. */
export interface Platform {
  readonly suite: Suite;
  readonly sha256: Sha256;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly http: HttpPlatform;
  /** What this device is called where its owner says nothing. */
  readonly deviceLabel: string;
}

export interface OverStoreOptions {
  readonly server: string;
  readonly userName: string;
  readonly deviceLabel?: string;
  readonly poisoned?: readonly PoisonedEntry[];
  /** When keys are renewed by themselves; {@link ROTATION} where nothing is said. */
  readonly rotation?: RotationPolicy;
}

interface StartOnOptions extends OverStoreOptions {
  readonly progress?: ReadingProgress;
  readonly random?: () => number;
}

/** How the device's requests are signed; the device key comes with the identity. */
export type ConnectApi = (device: {
  readonly id: DeviceId;
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>;
}) => ServerApi;

/**
 * A client over any store, against the server that the options name: registers when that is still to be done, and runs in this
 * thread. Closes the store when it fails.
 */
export function startConnected(platform: Platform, store: ClientStore, options: StartOnOptions): Promise<ChatClient> {
  const { sha256, randomBytes, http } = platform;
  const world = { sha256, now: Date.now, randomBytes, platform: http };
  const connect: ConnectApi = ({ id, sign }) => createHttpApi({ server: options.server, device: id, sign, ...world });
  return startOn(platform, store, connect, options);
}

/** The same over any server. Closes the store when it fails. */
export async function startOn(
  platform: Platform,
  store: ClientStore,
  connect: ConnectApi,
  options: StartOnOptions,
): Promise<ChatClient> {
  const { suite, sha256, randomBytes } = platform;
  const world = { suite, sha256, now: Date.now, randomBytes };
  let api: ServerApi | undefined;
  try {
    let identity = await loadIdentity(store);
    const names = identity === undefined ? [] : await ownNames(store, identity);
    const name = checkOwner(identity, names, options.userName);
    const open = (deviceKey: StoredIdentity['deviceKey']): ServerApi => {
      const sign = (message: Uint8Array): Promise<Uint8Array> => suite.signature.sign(deviceKey.signKey, message);
      return connect({ id: deviceIdOf(deviceKey.publicKey, sha256), sign });
    };
    if (identity === undefined || identity.turnedAway === true) {
      // who we are depends on the server's domain, so the first start asks for it before any key is made to last
      const asking = open(await suite.signature.keygen().then(({ publicKey, signKey }) => ({ publicKey, signKey })));
      const { domain, serverKey } = await asking
        .serverInfo()
        .catch((error: unknown) => {
          throw asClientError(error, 'asking the server for its domain');
        })
        .finally(() => asking.close());
      // a key that this folder met is not taken for another because it asks once more; one of another domain is another server's
      const met = identity?.domain === domain ? await loadServerKey(store) : undefined;
      if (identity !== undefined && (identity.domain !== domain || foldName(identity.name) !== foldName(name))) {
        await forget(store);
        identity = undefined;
      }
      await pinServerKey(store, met ?? serverKey);
      const label = options.deviceLabel ?? platform.deviceLabel.slice(0, LABEL_MAX_CHARACTERS);
      identity ??= (await createIdentity(store, world, { name, domain, label })).identity;
    }
    api = open(identity.deviceKey);
    identity = await register(store, api, identity);
    return await openLocalClient({
      store,
      api,
      identity,
      server: options.server,
      ...world,
      monotonicMs: () => performance.now(),
      random: options.random ?? Math.random,
      ...(options.progress === undefined ? {} : { progress: options.progress }),
      ...(options.poisoned === undefined ? {} : { poisoned: options.poisoned }),
      ...(options.rotation === undefined ? {} : { rotation: options.rotation }),
    });
  } catch (error) {
    await api?.close();
    await store.close();
    throw error;
  }
}

/** The names that the account of this folder has had, as its history says, newest last. */
async function ownNames(store: ClientStore, { account }: StoredIdentity): Promise<readonly string[]> {
  const own = (await loadAccounts(store)).find(({ id }) => id === account);
  return (own?.statements ?? []).flatMap(({ statement }, index) => {
    const parsed = index === 0 ? parseRegistration(statement) : parseLaterStatement(statement);
    return parsed.ok && 'name' in parsed.statement ? [parsed.statement.name] : [];
  });
}
