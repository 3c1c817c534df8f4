import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addDevice, rename, revoke } from '../support/account-statements.ts';
import { type ManualServer, openManualServer, type TempFolder, tempFolder } from '../support/nats.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { okValue, problemOf } from '../support/signed-client.ts';
import { TestDevice } from '../support/test-device.ts';

let folder: TempFolder;
let nats: ManualServer;
let nodes: readonly TestServer[];

beforeAll(async () => {
  folder = await tempFolder();
  nats = await openManualServer();
  const tokenFile = join(folder.path, 'token');
  await writeFile(tokenFile, nats.place.token, { mode: 0o600 });
  const servers = nats.place.servers.map((server) => `nats://${server}`);
  const log = { kind: 'remote', servers, tokenFile, replicas: 1 } as const;
  const secretFile = join(folder.path, 'secret');
  nodes = await Promise.all(
    ['a', 'b'].map((name) => startServer({ folder: join(folder.path, name), secretFile, log })),
  );
});
afterAll(async () => {
  for (const node of nodes) await node[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const url = (index: number) => () => nodes[index]!.url();

/** Both nodes have folded all that is in the log now. */
async function level(): Promise<void> {
  for (const node of nodes) {
    const { lastSequence } = await node.running().log.describe();
    await node.running().projections.read.waitForSequence(lastSequence, AbortSignal.timeout(60_000));
  }
}

it('S3: of a rename through one node and a registration through another, of one name at once, one wins on both', async () => {
  for (let round = 0; round < 6; round += 1) {
    const name = `contended-${round}`;
    const renaming = await TestDevice.register(url(0), `before-${round}`);
    const registering = await TestDevice.create(url(1), name);
    await level();
    const answers = await Promise.all([rename(renaming, name), registering.postRegistration()]);
    const lost = answers.filter(({ status }) => status === 409);
    expect(lost.map((answered) => problemOf(answered).code)).toEqual(['name-taken']);
    const winner = answers[0].status === 200 ? renaming : registering;
    await level();
    for (const index of [0, 1]) {
      const reader = await TestDevice.register(url(index), `reader-${round}-${index}`);
      expect(okValue(await reader.http.request('GET', `/v1/accounts?name=${name}`)).id).toBe(winner.account);
    }
  }
});

it('two renames of one account through two nodes at once: one is taken, and both nodes have the same history', async () => {
  for (let round = 0; round < 4; round += 1) {
    const alice = await TestDevice.register(url(0), `alice-${round}`);
    await level();
    const other = await TestDevice.create(url(1), alice.name, 'localhost', alice.http.key, { account: alice.account });
    const answers = await Promise.all([rename(alice, `left-${round}`), rename(other, `right-${round}`)]);
    expect(answers.map(({ status }) => status)).toContain(200);
    await level();
    const [left, right] = await Promise.all(
      [alice, other].map(async (by) => okValue(await by.http.request('GET', `/v1/accounts/${alice.account}`))),
    );
    expect(left).toEqual(right);
    expect(left.statements).toHaveLength(1 + answers.filter(({ status }) => status === 200).length);
  }
  const dumps = nodes.map((node) => node.running().projections.dumpTables());
  expect(new Set(dumps).size).toBe(1);
});

it('a device that is revoked through one node is refused by the other', async () => {
  const alice = await TestDevice.register(url(0), 'revoking');
  const phone = await alice.sibling(url(1));
  okValue(await addDevice(alice, phone));
  await level();
  expect((await phone.http.request('GET', '/v1/key-packages')).status).toBe(200);
  okValue(await revoke(alice, phone.id));
  await level();
  expect(problemOf(await phone.http.request('GET', '/v1/key-packages')).reason).toBe('revoked');
});
