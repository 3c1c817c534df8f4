import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChatClient } from '../../src/client/chat-client.ts';
import { openChatClient } from '../../src/client/open-chat-client.ts';
import { membersOf } from '../../src/mls/session/state.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { START_CURSOR } from '../../src/wire/ids.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { TestDevice } from '../support/test-device.ts';

/** Faults of the chat this project replaces, each shown to be gone through a real server. */

const WAIT_MS = 240_000;
const OLD_FRAME_LIMIT_BYTES = 64 * 1024;
/** Of the large group: with their tree the Welcome is larger than the old frame. */
const MEMBERS = 250;
let server: TestServer;
let folder: string;

beforeAll(async () => {
  server = await startServer({ limits: { claimsPerMinute: MEMBERS } });
  folder = await mkdtemp(join(tmpdir(), 'mlsd-faults-'));
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const openClient = (name: string): Promise<ChatClient> =>
  openChatClient({ dir: join(folder, name), server: server.url(), userName: name, inProcess: true });

test('fault 1: commits, Welcomes and messages are stored, and served to who was away, also by a server that was restarted', async () => {
  const writer = await openClient('f1-writer');
  const opened = await writer.openGroup('f1');
  if (opened.kind !== 'created') throw new Error('not created');
  await (await openClient('f1-reader')).close(); // registers, and is away from now on
  expect(await writer.invite(opened.group, ['f1-reader'])).toEqual([{ name: 'f1-reader', kind: 'done' }]);
  const texts = ['one', 'two', 'three'];
  for (const text of texts) {
    await writer.send(opened.group, text);
    expect(await writer.rotate(opened.group)).toEqual({ kind: 'done' });
  }
  expect(await writer.flushed(WAIT_MS)).toBe(0);
  await writer.close();
  await server.restart();

  const reader = await openClient('f1-reader');
  expect((await reader.openGroup('f1')).kind).toBe('joined');
  await reader.caughtUp(WAIT_MS);
  const read = (await reader.history(START_CURSOR, { limit: 100 })).flatMap((line) =>
    line.kind === 'message' ? [line.text] : [],
  );
  expect(read).toEqual(texts);
  await reader.close();
});

test('fault 3: an invitation waits for who is offline, costs one key package, and leaves no ghost in the tree', async () => {
  const alice = await TestDevice.register(server.url, 'f3-alice');
  const bob = await TestDevice.register(server.url, 'f3-bob', { packages: 3 });
  const group = await alice.createGroup('f3');
  await alice.invite(group, bob);
  expect(okValue(await bob.http.request('GET', '/v1/key-packages'))).toMatchObject({ available: 2 });
  await server.restart();
  await bob.catchUp();
  expect(membersOf(bob.state(group)).map(({ identity }) => identity)).toEqual([alice.identity, bob.identity]);
  await bob.send(group, 'I am no ghost');
  expect(await alice.catchUp()).toEqual(['I am no ghost']);
});

test('fault 8: nobody reads or writes for somebody else, and a sender in the body is refused', async () => {
  const alice = await TestDevice.register(server.url, 'f8-alice');
  const mallory = await TestDevice.register(server.url, 'f8-mallory');
  const group = await alice.createGroup('f8');
  const path = `/v1/groups/${toBase64Url(group)}`;
  const message = await alice.encrypt(group, 'hers');

  const asAlice = await mallory.http.request('GET', '/v1/sync?cursor=start', { parameters: { keyid: alice.id } });
  expect(asAlice.status).toBe(401);
  expect(problemOf(asAlice)).toMatchObject({ code: 'unauthenticated', reason: 'bad-signature' });
  for (const target of [path, `${path}/log?after=0`, `${path}/group-info`]) {
    expect((await mallory.http.request('GET', target)).status, target).toBe(404);
  }
  expect((await mallory.postMessages(group, [{ id: newId(), message }])).status).toBe(404);
  const named = { messages: [{ id: newId(), message }], sender: alice.id };
  const refused = await mallory.http.request('POST', `${path}/messages`, { body: named });
  expect([400, 404]).toContain(refused.status);
  expect((await alice.http.request('POST', `${path}/messages`, { body: named })).status).toBe(400);
  expect((await mallory.syncAll()).some((entry) => 'group' in entry)).toBe(false);
});

test('fault 10: neither frames nor groups end at 64 KiB', async () => {
  const alice = await TestDevice.register(server.url, 'f10-alice');
  const group = await alice.createGroup('f10');
  const others: TestDevice[] = [];
  for (let i = 0; i < MEMBERS; i += 1) {
    others.push(await TestDevice.register(server.url, `f10-${i}`, { packages: 1 }));
  }
  const packages: Uint8Array[] = [];
  for (let at = 0; at < MEMBERS; at += 100) {
    const { results } = okValue(
      await alice.claim(
        group,
        others.slice(at, at + 100).map(({ account }) => account),
      ),
    );
    packages.push(...results.map((result: { keyPackage: Uint8Array }) => result.keyPackage));
  }
  const made = await alice.prepareCommit(group, { add: packages });
  expect(made.welcome!.length).toBeGreaterThan(OLD_FRAME_LIMIT_BYTES);
  okValue(await alice.postCommit(group, made));
  alice.setState(group, made.next);
  await alice.send(group, 'x'.repeat(4 * OLD_FRAME_LIMIT_BYTES));
  for (const member of [others[0]!, others[MEMBERS - 1]!]) {
    expect((await member.catchUp()).map((text) => text.length)).toEqual([4 * OLD_FRAME_LIMIT_BYTES]);
  }
});
