import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DeviceId } from '../../src/wire/ids.ts';
import { addDevice, rename, revoke } from '../support/account-statements.ts';
import { openChatter, overHttp } from '../support/chat-clients.ts';
import { okValue, problemOf } from '../support/signed-client.ts';
import { TestDevice } from '../support/test-device.ts';
import { startTwoNodes, type TwoNodes } from '../support/two-nodes.ts';

let both: TwoNodes;
beforeAll(async () => {
  both = await startTwoNodes();
});
afterAll(() => both[Symbol.asyncDispose]());

const url = (index: 0 | 1) => both.url(index);
const level = () => both.level();

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
    for (const index of [0, 1] as const) {
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
  const dumps = both.nodes.map((node) => node.running().projections.dumpTables());
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

it('an account that is asked for as the newest shows on one node what the other has just taken', async () => {
  const alice = await TestDevice.register(url(0), 'newest-0');
  const other = overHttp(url(1)).connect(alice.id, async (message) => alice.http.key.sign(message));
  await level();
  for (let round = 1; round <= 5; round += 1) {
    okValue(await rename(alice, `newest-${round}`));
    const seen = await other.account(alice.account, 'newest');
    expect([seen?.name, seen?.statements.length]).toEqual([`newest-${round}`, 1 + round]);
  }
  await other.close();
  const refused = await alice.http.request('GET', `/v1/accounts/${alice.account}?newest=maybe`);
  expect(problemOf(refused).code).toBe('invalid-request');
});

it('the log of a group shows on one node what the other has just taken, when it is asked how far it reaches by now', async () => {
  let asker: { readonly id: DeviceId; readonly sign: (message: Uint8Array) => Promise<Uint8Array> } | undefined;
  const alice = await openChatter(
    {
      connect: (id, sign) => {
        asker = { id, sign };
        return overHttp(url(0)).connect(id, sign);
      },
    },
    'reaching',
  );
  const opened = await alice.chat.openGroup('reaching');
  if (opened.kind !== 'created') throw new Error(opened.kind);
  await level();
  const other = overHttp(url(1)).connect(asker!.id, asker!.sign);
  for (let round = 1; round <= 5; round += 1) {
    await alice.chat.send(opened.group, `text ${round}`);
    expect(await alice.chat.flushed(60_000)).toBe(0);
    expect(await other.headAt(opened.group, 1 + round)).toHaveLength(32);
    expect(await other.headAt(opened.group, 2 + round)).toBeUndefined();
  }
  await other.close();
  await alice.stop();
});
