import { randomBytes as nodeRandomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { createNodeSuite, nodeSha256 } from '../../mls/suite-node.ts';
import { parseLaterStatement } from '../../wire/account-chain.ts';
import { parseRegistration } from '../../wire/account-statement.ts';
import { type DeviceId, deviceIdOf } from '../../wire/ids.ts';
import type { ChatClient } from '../chat-client.ts';
import type { RotationPolicy } from '../engine/rotation.ts';
import type { ClientStore } from '../store/client-store.ts';
import { openStore } from '../store/open-store.ts';
import { pinServerKey } from '../store/receipt-rows.ts';
import { createHttpApi } from '../transport/http-api.ts';
import type { ServerApi } from '../transport/server-api.ts';
import { loadAccounts } from './accounts.ts';
import type { PoisonedEntry, ReadingProgress } from './entry-reader.ts';
import { asClientError } from './failures.ts';
import { checkOwner, createIdentity, loadIdentity, register, type StoredIdentity } from './identity.ts';
import { openLocalClient } from './local-client.ts';

export const LABEL_MAX_CHARACTERS = 64;

/** What a client is started with; can cross a worker boundary. */
export interface StartOptions {
  /** Already locked by the caller. */
  readonly dir: string;
  readonly server: string;
  readonly userName: string;
  readonly deviceLabel?: string;
  /** Of an encrypted store. */
  readonly dataKey?: Uint8Array;
  readonly poisoned?: readonly PoisonedEntry[];
  /** When keys are renewed by themselves; {@link ROTATION} where nothing is said. */
  readonly rotation?: RotationPolicy;
}

/** How the device's requests are signed; the device key comes with the identity. */
export type ConnectApi = (device: {
  readonly id: DeviceId;
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>;
}) => ServerApi;

/** Opens the store in the folder, registers when that is still to be done, and starts the client in this thread. */
export async function startClient(options: StartOptions, progress?: ReadingProgress): Promise<ChatClient> {
  return startWith(await openStore(options.dir, options.dataKey), options, progress);
}

/** The same over any store. Closes it when it fails. */
export function startWith(
  store: ClientStore,
  options: Omit<StartOptions, 'dir' | 'dataKey'>,
  progress?: ReadingProgress,
): Promise<ChatClient> {
  const random = { now: Date.now, randomBytes };
  const connect: ConnectApi = ({ id, sign }) =>
    createHttpApi({ server: options.server, device: id, sign, sha256: nodeSha256, ...random });
  return startOver(store, connect, { ...options, ...(progress === undefined ? {} : { progress }) });
}

/** The same over any store and server. Closes the store when it fails. */
export async function startOver(
  store: ClientStore,
  connect: ConnectApi,
  options: Omit<StartOptions, 'dir' | 'dataKey'> & {
    readonly progress?: ReadingProgress;
    readonly random?: () => number;
  },
): Promise<ChatClient> {
  const suite = createNodeSuite();
  const world = { suite, sha256: nodeSha256, now: Date.now, randomBytes };
  let api: ServerApi | undefined;
  try {
    let identity = await loadIdentity(store);
    const names = identity === undefined ? [] : await ownNames(store, identity);
    const name = checkOwner(identity, names, options.userName);
    let recoveryCode: string | undefined;
    const open = (deviceKey: StoredIdentity['deviceKey']): ServerApi => {
      const sign = (message: Uint8Array): Promise<Uint8Array> => suite.signature.sign(deviceKey.signKey, message);
      return connect({ id: deviceIdOf(deviceKey.publicKey, nodeSha256), sign });
    };
    if (identity === undefined) {
      // who we are depends on the server's domain, so the first start asks for it before any key is made to last
      const asking = open(await suite.signature.keygen().then(({ publicKey, signKey }) => ({ publicKey, signKey })));
      const { domain, serverKey } = await asking
        .serverInfo()
        .catch((error: unknown) => {
          throw asClientError(error, 'asking the server for its domain');
        })
        .finally(() => asking.close());
      await pinServerKey(store, serverKey);
      const label = options.deviceLabel ?? hostname().slice(0, LABEL_MAX_CHARACTERS);
      ({ identity, recoveryCode } = await createIdentity(store, world, { name, domain, label }));
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
      ...(recoveryCode === undefined ? {} : { recoveryCode }),
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

function randomBytes(length: number): Uint8Array {
  return new Uint8Array(nodeRandomBytes(length));
}
