import type { ReceiptSigner } from '../../src/api/receipts.ts';
import { createIdentity, identityWrite, loadIdentity, meOf, register } from '../../src/client/runner/identity.ts';
import { keyPackageWrite, newKeyPackages, type StoredKeyPackage } from '../../src/client/runner/key-packages.ts';
import { linkDevice } from '../../src/client/runner/new-device.ts';
import type { ClientStore } from '../../src/client/store/client-store.ts';
import { rangeOf } from '../../src/client/store/keys.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import type { ServerApi } from '../../src/client/transport/server-api.ts';
import { encodeEvent } from '../../src/log/envelope.ts';
import type { LogStarted } from '../../src/log/events.ts';
import { LOG_LANE, laneSubject } from '../../src/log/subjects.ts';
import type { Suite } from '../../src/mls/suite.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';
import type { AccountId, DeviceId } from '../../src/wire/ids.ts';
import { SERVER_KEY, signedAlone } from '../support/fake-server/receipts.ts';
import { createChance } from './chance.ts';
import { type ClientNetwork, createCaller } from './client-network.ts';
import { FAIR_WEATHER } from './faults.ts';
import { createLogModel, type StoredEvent } from './log-model.ts';
import { createTablesDisk, type TablesDisk } from './memory-tables.ts';
import { DOMAIN } from './node-api.ts';
import type { Persona } from './persona.ts';
import { createServerNode, INCARNATION } from './server-node.ts';
import { createSimulatedApi } from './simulated-api.ts';
import { createVirtualTime, installVirtualTime, type VirtualTime } from './virtual-time.ts';
import { createClock, type World } from './world.ts';

/** Where every history begins: people with registered devices and key packages, and the log and tables that say so. */
export interface BaseImage {
  readonly suite: Suite;
  readonly epochMs: number;
  readonly events: readonly StoredEvent[];
  readonly tables: TablesDisk;
  /** Registered. */
  readonly personas: readonly Persona[];
  /** Two who want the same name, in other letters. */
  readonly newcomers: readonly Persona[];
  /** A further device for each of the registered, which waits to be linked. */
  readonly further: readonly Persona[];
}

const NAMES = ['anna', 'ben', 'cleo', 'dan'];
const NEWCOMERS = ['eve', 'Eve'];
const EPOCH_MS = Date.UTC(2026, 10, 1);
const REGISTRATION_MS = 60_000;

/** Signs each alone and at once; the key is the same in all histories. */
export const SIMULATED_SIGNER: ReceiptSigner = {
  publicKey: SERVER_KEY.publicKey,
  sign: async (receipt) => signedAlone(receipt),
};

/**
 * Made once a process, because keys are dear, by the same code as in any history: real identities, registered with a node. Keys
 * are random and decide nothing.
 */
export async function createBaseImage(): Promise<BaseImage> {
  const chance = createChance(1);
  const time = createVirtualTime(() => {});
  const failures: string[] = [];
  const world: World = {
    time,
    chance,
    epochMs: EPOCH_MS,
    weather: FAIR_WEATHER,
    counts: new Map(),
    mutations: {},
    note: () => {},
    fault: () => {},
    violate: ({ text }) => void failures.push(text),
  };
  const suite = createNodeSuite();
  const started: LogStarted = {
    v: 1,
    type: 'log-started',
    id: INCARNATION,
    time: EPOCH_MS,
    incarnation: INCARNATION,
    domain: DOMAIN,
  };
  const first = { sequence: 1, event: started, bytes: encodeEvent(started), subject: laneSubject(LOG_LANE), at: 0 };
  const uninstall = installVirtualTime(time, EPOCH_MS, chance.next);
  try {
    const stream = createLogModel(world, [first], () => {});
    const tables = createTablesDisk();
    const node = createServerNode(world, stream, {
      name: 'first',
      disk: tables,
      suite,
      signer: SIMULATED_SIGNER,
      onFolded: () => {},
    });
    node.start();
    await time.advance(1000);
    const personas: Persona[] = [];
    const parts = { suite, sha256: nodeSha256, now: createClock(world).now, randomBytes: chance.bytes };
    const apiOf = (device: DeviceId): ServerApi => {
      const network: ClientNetwork = {
        device,
        clock: createClock(world),
        node,
        isCutOff: false,
        slowUntil: 0,
        onStreams: new Set(),
        breakStreams: () => {},
      };
      return createSimulatedApi(createCaller(world, network, [node], () => {}));
    };
    for (const name of NAMES) {
      const rows = new Map<string, Uint8Array>();
      const store = createMemoryStore(rows);
      const { identity } = await createIdentity(store, parts, { name, domain: DOMAIN, label: name });
      const { account, device } = identity;
      const registering = register(store, apiOf(device), identity);
      registering.catch((error: unknown) => void failures.push(String(error)));
      await time.advance(REGISTRATION_MS);
      await registering;
      personas.push({ name, user: name, kind: 'registered', account, device, rows });
    }
    const newcomers: Persona[] = [];
    for (const name of NEWCOMERS) newcomers.push(await newcomer(parts, name));
    const further: Persona[] = [];
    for (const { name, account } of personas) further.push(await furtherDevice(parts, name, account, time, apiOf));
    node.kill();
    if (failures.length > 0) throw new Error(failures.join('\n'));
    return { suite, epochMs: EPOCH_MS, events: [...stream.events], tables, personas, newcomers, further };
  } finally {
    uninstall();
  }
}

type Parts = Parameters<typeof createIdentity>[1];

/** Has keys and no name; publishes few key packages at first, so that the last resort is soon what is left. */
async function newcomer(parts: Parts, name: string): Promise<Persona> {
  const rows = new Map<string, Uint8Array>();
  const store = createMemoryStore(rows);
  const { identity } = await createIdentity(store, parts, { name, domain: DOMAIN, label: name });
  const { account, device } = identity;
  const packages = await storedPackages(store);
  const published = packages.filter(({ lastResort }, i) => lastResort || i === 0);
  const later = packages.filter((one) => !published.includes(one));
  const registration = { ...identity.registration!, keyPackages: published.map(({ bytes }) => bytes) };
  await store.commit([
    identityWrite({ ...identity, registration }),
    ...later.map((one) => keyPackageWrite({ ...one, unpublished: true })),
  ]);
  return { name, user: name, kind: 'newcomer', account, device, rows };
}

async function storedPackages(store: ClientStore): Promise<readonly StoredKeyPackage[]> {
  const rows = await store.range(rangeOf('keyPackage'));
  return rows.map(([, value]) => decodeCbor(value) as StoredKeyPackage);
}

/** Has shown its offer once and was closed then. Its key packages are made already, because they are dear. */
async function furtherDevice(
  parts: Parts,
  user: string,
  account: AccountId,
  time: VirtualTime,
  apiOf: (device: DeviceId) => ServerApi,
): Promise<Persona> {
  const rows = new Map<string, Uint8Array>();
  const store = createMemoryStore(rows);
  const name = `${user}-2`;
  const closed = new AbortController();
  const linking = linkDevice(store, ({ id }) => apiOf(id), {
    ...{ now: parts.now, randomBytes: parts.randomBytes, label: name, server: 'simulated' },
    account,
    signal: closed.signal,
    onOffer: () => closed.abort(),
  }).catch((error: unknown) => error);
  await time.advance(REGISTRATION_MS);
  const ended = await linking;
  const identity = await loadIdentity(store);
  if (identity?.awaiting !== 'link') throw new Error(`a device that waits to be linked was not made: ${String(ended)}`);
  const packages = await newKeyPackages(parts, meOf(identity), { oneTime: undefined, lastResort: true });
  await store.commit(packages.map((one) => keyPackageWrite({ ...one, unpublished: true })));
  return { name, user, kind: 'further', account, device: identity.device, rows };
}
