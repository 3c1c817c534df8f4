import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { ChatEvent } from '../../src/client/chat-client.ts';
import { refillKeyPackages, type StoredKeyPackage } from '../../src/client/runner/key-packages.ts';
import { createSerial } from '../../src/client/runner/serial.ts';
import { rangeOf } from '../../src/client/store/keys.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { createHttpApi } from '../../src/client/transport/http-api.ts';
import { nodeHttp } from '../../src/client/transport/http-request.ts';
import { type ServerApi, TransportError } from '../../src/client/transport/server-api.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import { decodeCbor, encodeCbor } from '../../src/wire/cbor.ts';
import type { ClientId, DeviceId } from '../../src/wire/ids.ts';
import { person } from '../mls/support/people.ts';
import { deviceOf, statusIn, together, useChatters, WAIT_MS, warningsOf } from '../support/chatters.ts';
import { createFakeServer, type FakeServer } from '../support/fake-server.ts';
import { until } from '../support/until.ts';

const chatter = useChatters();

/** Alice and bob in two groups. */
async function pair(server: FakeServer) {
  const [alice, bob] = [await chatter(server, 'alice'), await chatter(server, 'bob')];
  const [tea, coffee] = [await together([alice, bob], 'tea'), await together([alice, bob], 'coffee')];
  return { alice, bob, tea, coffee, device: await deviceOf(bob) };
}

type Fields = Record<string, unknown>;

/** Rewrites the entries of messages on their way to this device. */
function rewriting(server: FakeServer, device: DeviceId, rewrite: (entry: Fields) => unknown): void {
  server.tamper = (by, page) => {
    if (by !== device) return page;
    const entries = page.entries.map((bytes) => {
      const entry = decodeCbor(bytes) as Fields;
      return entry['kind'] === 'message' ? encodeCbor(rewrite(entry)) : bytes;
    });
    return { ...page, entries };
  };
}

describe('a server that sends what it should not', () => {
  const DAMAGE: readonly (readonly [string, (entry: Fields) => Fields])[] = [
    ['a position that is text', (entry) => ({ ...entry, position: '2' })],
    ['no payload', ({ payload: _, ...entry }) => entry],
    ['a payload that is a list', (entry) => ({ ...entry, payload: [1, 2, 3] })],
    ['a time beyond all calendars', (entry) => ({ ...entry, time: 2 ** 53 - 1 })],
    ['an epoch that is null', (entry) => ({ ...entry, epoch: null })],
    ['a sender that is a number', (entry) => ({ ...entry, sender: 4 })],
  ];

  test.each(DAMAGE)('an entry with %s costs its group one warning line, and nothing else', async (_about, damage) => {
    const server = createFakeServer();
    const { alice, bob, tea, coffee, device } = await pair(server);
    const group = server.groups.get(tea)!.bytes;
    rewriting(server, device, (entry) =>
      Buffer.compare(entry['group'] as Uint8Array, group) === 0 ? damage(entry) : entry,
    );
    await alice.chat.send(tea, 'damaged');
    await alice.chat.flushed(WAIT_MS);
    await alice.chat.send(coffee, 'coffee goes on');
    await bob.waitForText(coffee, 'coffee goes on');
    expect((await statusIn(bob, tea))?.parkedReason).toBe('The server sent an entry of this group that cannot be read');
    expect(await warningsOf(bob, tea)).toHaveLength(1);
    expect((await statusIn(bob, coffee))?.state).toBe('member');
    server.tamper = undefined;
    expect(await bob.chat.rejoin(tea)).toEqual({ kind: 'done' });
  });

  test('what is no entry at all is said, asked for again ever more seldom, and read once it can be', async () => {
    const server = createFakeServer();
    const { alice, bob, tea, device } = await pair(server);
    rewriting(server, device, () => ({ kind: 'message', group: 'tea' }));
    await alice.chat.send(tea, 'after all');
    const waits = (): number[] =>
      bob.events.flatMap((event: ChatEvent) =>
        event.type === 'connection' && event.connection.state === 'offline' ? [event.connection.retryInMs ?? 0] : [],
      );
    await until(() => waits().length >= 4);
    // each wait is drawn from the upper half of twice the one before
    expect(Math.min(...waits().slice(3))).toBeGreaterThan(Math.max(50, waits()[0]! * 2));
    const reason = await until(async () => {
      const { connection } = await bob.chat.status();
      return connection.state === 'offline' ? connection.reason : undefined;
    });
    expect(reason).toBe('the server sent something that is no entry');
    server.tamper = undefined;
    await bob.waitForText(tea, 'after all');
    expect(await warningsOf(bob, tea)).toHaveLength(0);
  });
});

test('closing ends requests that are under way, and the text they carry leaves after the next start', async () => {
  const server = createFakeServer();
  const { alice, bob, tea, device } = await pair(server);
  const connect = server.connect;
  let asked = false;
  server.connect = (id) => {
    const api = connect(id);
    if (id !== device) return api;
    let closed = (): void => {};
    const cut = new Promise<never>((_, reject) => {
      closed = () => reject(new TransportError('unreachable', 'closed'));
    });
    cut.catch(() => {}); // nobody may be waiting
    const postMessages: ServerApi['postMessages'] = () => {
      asked = true;
      return cut;
    };
    return { ...api, postMessages, close: async () => closed() };
  };
  await bob.restart();
  await bob.chat.send(tea, 'kept');
  await until(() => asked);
  await bob.chat.close();
  server.connect = connect;
  await bob.restart();
  expect(await bob.chat.flushed(WAIT_MS)).toBe(0);
  await alice.waitForText(tea, 'kept');
  expect(await alice.texts(tea)).toEqual(['kept']);
});

test('over HTTP a request without an answer ends when the client closes', async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const arrived = new Promise<void>((resolve) => silent.once('request', () => resolve()));
  const suite = createNodeSuite();
  const { signKey } = await suite.signature.keygen();
  const api = createHttpApi({
    server: `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
    device: 'a'.repeat(32) as DeviceId,
    sign: (message) => suite.signature.sign(signKey, message),
    sha256: nodeSha256,
    now: Date.now,
    randomBytes: (length) => new Uint8Array(length),
    platform: nodeHttp,
  });
  const asked = api.serverInfo();
  const refused = expect(asked).rejects.toMatchObject({ code: 'unreachable' });
  await arrived;
  await api.close();
  await refused;
  await new Promise((resolve) => silent.close(resolve));
});

test('key packages that could not be published are published by the next attempt, and no others are made', async () => {
  const suite = createNodeSuite();
  const { identity, keys } = await person(suite, 'bob');
  const store = createMemoryStore();
  const stored = async () =>
    (await store.range(rangeOf('keyPackage'))).map(([, value]) => decodeCbor(value) as StoredKeyPackage);
  const published: (readonly Uint8Array[])[] = [];
  let answers = false;
  const api = {
    stock: async () => ({ available: 48, lastResort: false }),
    publishKeyPackages: async (_key: ClientId, packages: readonly Uint8Array[]) => {
      published.push(packages);
      if (!answers) throw new TransportError('unreachable', 'no answer');
      return { stored: packages.length, refused: [], stock: { available: 50, lastResort: true } };
    },
  } as unknown as ServerApi;
  const refill = () =>
    refillKeyPackages({
      store,
      api,
      world: { suite, now: Date.now },
      me: { identity, keys } as Parameters<typeof refillKeyPackages>[0]['me'],
      newId: () => 'abcdefghijklmnopqrst' as ClientId,
      replaceLastResort: false,
      serial: createSerial(),
    });
  for (let i = 0; i < 3; i += 1) await expect(refill()).rejects.toMatchObject({ code: 'unreachable' });
  expect(await stored()).toHaveLength(3);
  answers = true;
  await refill();
  const sorted = (packages: readonly Uint8Array[]) =>
    packages.map((bytes) => Buffer.from(bytes).toString('hex')).sort();
  expect(sorted(published.at(-1)!)).toEqual(sorted(published[0]!));
  expect((await stored()).filter(({ unpublished }) => unpublished)).toEqual([]);
  await refill();
  expect(await stored()).toHaveLength(6);
});
