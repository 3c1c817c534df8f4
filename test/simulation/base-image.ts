import type { ReceiptSigner } from '../../src/api/receipts.ts';
import { createIdentity, register } from '../../src/client/runner/identity.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { encodeEvent } from '../../src/log/envelope.ts';
import type { LogStarted } from '../../src/log/events.ts';
import { LOG_LANE, laneSubject } from '../../src/log/subjects.ts';
import type { Suite } from '../../src/mls/suite.ts';
import { createNodeSuite, ed25519PublicKey, nodeSha256 } from '../../src/mls/suite-node.ts';
import { encodeReceipt, receiptToSign } from '../../src/wire/receipt.ts';
import { createChance } from './chance.ts';
import { type ClientNetwork, createCaller } from './client-network.ts';
import { FAIR_WEATHER } from './faults.ts';
import { createLogModel, type StoredEvent } from './log-model.ts';
import { createTablesDisk, type TablesDisk } from './memory-tables.ts';
import { DOMAIN } from './node-api.ts';
import { createServerNode, INCARNATION } from './server-node.ts';
import { createSimulatedApi } from './simulated-api.ts';
import type { Persona } from './simulated-client.ts';
import { createVirtualTime, installVirtualTime } from './virtual-time.ts';
import { createClock, type World } from './world.ts';

/** Where every history begins: people with registered devices and key packages, and the log and tables that say so. */
export interface BaseImage {
  readonly suite: Suite;
  readonly epochMs: number;
  readonly events: readonly StoredEvent[];
  readonly tables: TablesDisk;
  readonly personas: readonly Persona[];
}

const NAMES = ['anna', 'ben', 'cleo', 'dan'];
const EPOCH_MS = Date.UTC(2026, 10, 1);
const REGISTRATION_MS = 60_000;

const SIGNER_SEED = new Uint8Array(32).fill(7);
const SIGNER_SUITE = createNodeSuite();

/** Signs at once, so that no history waits for another thread; the key is the same in all of them. */
export const SIMULATED_SIGNER: ReceiptSigner = {
  publicKey: ed25519PublicKey(SIGNER_SEED),
  sign: async (receipt) => {
    const bytes = encodeReceipt(receipt);
    return { receipt: bytes, signature: await SIGNER_SUITE.signature.sign(SIGNER_SEED, receiptToSign(bytes)) };
  },
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
    for (const name of NAMES) {
      const rows = new Map<string, Uint8Array>();
      const store = createMemoryStore(rows);
      const parts = { suite, sha256: nodeSha256, now: createClock(world).now, randomBytes: chance.bytes };
      const { identity } = await createIdentity(store, parts, { name, domain: DOMAIN, label: name });
      const { account, device } = identity;
      const network: ClientNetwork = {
        device,
        clock: createClock(world),
        node,
        isCutOff: false,
        slowUntil: 0,
        onStreams: new Set(),
        breakStreams: () => {},
      };
      const api = createSimulatedApi(createCaller(world, network, [node], () => {}));
      const registering = register(store, api, identity);
      registering.catch((error: unknown) => void failures.push(String(error)));
      await time.advance(REGISTRATION_MS);
      await registering;
      personas.push({ name, account, device, rows });
    }
    node.kill();
    if (failures.length > 0) throw new Error(failures.join('\n'));
    return { suite, epochMs: EPOCH_MS, events: [...stream.events], tables, personas };
  } finally {
    uninstall();
  }
}
