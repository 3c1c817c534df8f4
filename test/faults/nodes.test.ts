import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toHex } from '../../src/wire/bytes.ts';
import { isGroupEntry } from '../../src/wire/entry.ts';
import { type ManualServer, openManualServer, type TempFolder, tempFolder } from '../support/nats.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { createDeviceKey, newId, okValue, problemOf } from '../support/signed-client.ts';
import { follow } from '../support/stream-reader.ts';
import { pathOf, TestDevice } from '../support/test-device.ts';
import { createLedger } from './ledger.ts';

const CONTENDERS = 100;
let folder: TempFolder;
let nats: ManualServer;
let nodes: readonly [TestServer, TestServer];

beforeAll(async () => {
  folder = await tempFolder();
  nats = await openManualServer();
  const tokenFile = join(folder.path, 'token');
  await writeFile(tokenFile, nats.place.token, { mode: 0o600 });
  const servers = nats.place.servers.map((server) => `nats://${server}`);
  const log = { kind: 'remote', servers, tokenFile, replicas: 1 } as const;
  const secretFile = join(folder.path, 'secret');
  const open = (name: string) => startServer({ folder: join(folder.path, name), secretFile, log });
  nodes = await Promise.all([open('a'), open('b')]); // both at once: one makes secret, stream and incarnation
});

afterAll(async () => {
  for (const node of nodes) await node[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** Which node the next request goes to. */
let at = 0;
const url = (): string => nodes[at]!.url();
const take = (index: number): string => nodes[index % nodes.length]!.url();
let named = 0;
const device = (packages = 2): Promise<TestDevice> => {
  named += 1;
  return TestDevice.register(url, `person-${named}`, { packages });
};

/** Both nodes have folded all that is in the log now. */
async function level(): Promise<void> {
  for (const node of nodes) {
    const { lastSequence } = await node.running().log.describe();
    await node.running().projections.read.waitForSequence(lastSequence, AbortSignal.timeout(60_000));
  }
}

describe('two nodes on one log', () => {
  it(`D1: of ${CONTENDERS} concurrent commits over both nodes one is taken; ${CONTENDERS - 1} get the winner with their conflict`, async () => {
    at = 0;
    const alice = await device();
    const group = await alice.createGroup();
    await level();
    for (let epoch = 0; epoch < 2; epoch += 1) {
      const made = [];
      for (let i = 0; i < CONTENDERS; i += 1) made.push(await alice.prepareCommit(group));
      const answers = await Promise.all(
        made.map((commit, i) => {
          at = i % 2; // read when the request is made, which is now
          return alice.postCommit(group, commit);
        }),
      );
      const winners = answers.flatMap(({ status }, i) => (status === 201 ? [i] : []));
      expect(winners).toHaveLength(1);
      const problems = answers.filter(({ status }) => status !== 201).map(problemOf);
      expect(problems).toHaveLength(CONTENDERS - 1);
      for (const problem of problems)
        expect(problem).toMatchObject({ code: 'epoch-conflict', currentEpoch: epoch + 1 });
      alice.setState(group, made[winners[0]!]!.next);
      await level();
    }
    const commits = [];
    for (at = 0; at < nodes.length; at += 1) {
      const page = okValue(await alice.http.request('GET', `${pathOf(group)}/log?after=0`));
      commits.push(`${page.position} ${toHex(page.head)}`);
    }
    expect(commits).toEqual([commits[0], commits[0]]);
    expect(commits[0]).toMatch(/^3 /);
  });

  it('D8: a key package is handed out once, whichever node it is claimed through; the last resort only when none is left', async () => {
    at = 0;
    const stock = 6;
    const target = await device(stock);
    const claimers = await Promise.all(Array.from({ length: 8 }, () => device()));
    const groups = await Promise.all(claimers.map((claimer) => claimer.createGroup()));
    await level();
    const answers = await Promise.all(
      claimers.map((claimer, i) => {
        at = i % 2;
        return claimer.claim(groups[i]!, [target.account]);
      }),
    );
    const results = answers.flatMap(
      (answered) => okValue(answered).results as { keyPackage: Uint8Array; lastResort: boolean }[],
    );
    const onceOnly = results.filter(({ lastResort }) => !lastResort).map(({ keyPackage }) => toHex(keyPackage));
    expect(onceOnly).toHaveLength(stock);
    expect(new Set(onceOnly).size).toBe(stock);
    expect(results.filter(({ lastResort }) => lastResort)).toHaveLength(claimers.length - stock);
  });

  it('S3: a name that two keys register at once through both nodes is held by one of them, on both nodes', async () => {
    for (let round = 0; round < 5; round += 1) {
      const name = `contended-${round}`;
      const both = await Promise.all([0, 1].map((index) => TestDevice.create(() => take(index), name)));
      const answers = await Promise.all(both.map((one) => one.postRegistration()));
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
      expect(problemOf(answers.find(({ status }) => status === 409)!).code).toBe('name-taken');
      const winner = both[answers.findIndex(({ status }) => status === 201)]!;
      await level();
      for (at = 0; at < nodes.length; at += 1) {
        const reader = TestDevice.create(url, winner.name, 'localhost', winner.http.key);
        const found = okValue(await (await reader).http.request('GET', `/v1/accounts?name=${name}`));
        expect(found.id).toBe(winner.account);
      }
    }
  });

  it('D16: a request that one node answered gets the same answer from the other, at once and for a commit that was overtaken', async () => {
    at = 0;
    const alice = await device();
    const group = await alice.createGroup();
    await level();
    const made = await alice.prepareCommit(group);
    const key = newId();
    at = 0;
    const first = okValue(await alice.postCommit(group, made, key));
    alice.setState(group, made.next);
    at = 1;
    expect(okValue(await alice.postCommit(group, made, key))).toMatchObject({
      position: first.position,
      epoch: first.epoch,
    });
    await alice.commit(group);
    at = 0;
    expect(okValue(await alice.postCommit(group, made, key))).toMatchObject({
      position: first.position,
      head: first.head,
    });

    const message = { id: newId(), message: await alice.encrypt(group, 'once') };
    const places = await Promise.all(
      Array.from({ length: 6 }, (_, i) => {
        at = i % 2;
        return alice.postMessages(group, [message]);
      }),
    );
    expect(new Set(places.map((answered) => okValue(answered).results[0].position)).size).toBe(1);
  });

  it('a client that moves between nodes misses nothing and sees nothing twice: cursors and receipts of one are good on the other', async () => {
    at = 0;
    const alice = await device();
    const bob = await device();
    const group = await alice.createGroup();
    await alice.invite(group, bob);
    await bob.catchUp();
    const ledger = createLedger();
    const ciphertext = await alice.encrypt(group, 'the same each time');
    const seen: string[] = [];
    for (let round = 0; round < 30; round += 1) {
      at = round % 2;
      const messages = Array.from({ length: 3 }, () => ({ id: newId(), message: ciphertext }));
      const { results } = okValue(await alice.postMessages(group, messages));
      for (const { id, position } of results) ledger.acknowledge(id, position);
      at = (round + 1) % 2; // reads its last cursor on the node that did not write
      const { entries } = await bob.syncPage(2); // a page that is too small: the rest comes from the other node
      for (const entry of entries) if (entry.kind === 'message') seen.push(entry.id);
    }
    for (at = 0; at < nodes.length; at += 1) {
      for (const entry of await bob.syncAll()) if (entry.kind === 'message') seen.push(entry.id);
    }
    expect(seen).toHaveLength(ledger.size);
    expect(new Set(seen).size).toBe(ledger.size);
    at = 1;
    expect(await ledger.differences(group, [alice, bob].slice(0, 1))).toEqual([]);
    const keys: string[] = [];
    for (at = 0; at < nodes.length; at += 1) {
      keys.push(toHex(okValue(await alice.http.request('GET', '/.well-known/mlsd')).serverKey));
    }
    expect(keys[0]).toBe(keys[1]);
  });

  it('read-your-writes over nodes: a stream on one node shows what the other has accepted, in the order of the log', async () => {
    at = 0;
    const alice = await device();
    const group = await alice.createGroup();
    await level();
    at = 1;
    const response = await alice.http.fetch('GET', '/v1/sync?cursor=start', { accept: 'application/cbor-seq' });
    const followed = follow(response.body!, ({ entries }) => entries.length === 41);
    at = 0;
    const positions: number[] = [];
    for (let i = 0; i < 40; i += 1) positions.push(await alice.send(group, `${i}`));
    expect((await followed).entries).toHaveLength(41);
    alice.cursor = 'start';
    at = 1;
    const read = (await alice.syncAll()).filter(isGroupEntry).map(({ position }) => Number(position));
    expect(read).toEqual([1, ...positions]);
  });
});

it('a key of one device is bound to one account, whichever node it registers through', async () => {
  const key = createDeviceKey();
  const one = await TestDevice.create(() => take(0), 'same-key-1', 'localhost', key);
  const two = await TestDevice.create(() => take(1), 'same-key-2', 'localhost', key);
  const answers = await Promise.all([one.postRegistration(), two.postRegistration()]);
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
});
