import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { ChatClient, ChatEvent } from '../../src/client/chat-client.ts';
import { openChatClient } from '../../src/client/open-chat-client.ts';
import { openWorkerClient } from '../../src/client/runner/worker-client.ts';
import { type GroupId, START_CURSOR } from '../../src/wire/ids.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

let server: TestServer;
const folder = mkdtempSync(join(tmpdir(), 'client-real-'));
const open = new Set<ChatClient>();
beforeAll(async () => {
  server = await startServer();
});
afterEach(async () => {
  await Promise.all([...open].map((chat) => chat.close()));
  open.clear();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const start = async (userName: string, inProcess = true): Promise<ChatClient> => {
  const chat = await openChatClient({ dir: join(folder, userName), server: server.url(), userName, inProcess });
  open.add(chat);
  return chat;
};
const stop = async (chat: ChatClient): Promise<void> => {
  open.delete(chat);
  await chat.close();
};
const texts = async (chat: ChatClient, group: GroupId): Promise<string[]> =>
  (await chat.history(START_CURSOR, { group, limit: 10_000 })).flatMap((line) =>
    line.kind === 'message' ? [line.text] : [],
  );
const created = async (chat: ChatClient, name: string): Promise<GroupId> => {
  const opened = await chat.openGroup(name);
  if (opened.kind !== 'created') throw new Error(opened.kind);
  return opened.group;
};

test('two clients in their workers talk through a real server, one of them invited while away', async () => {
  const alice = await start('alice', false);
  await stop(await start('bob'));
  const group = await created(alice, 'tea');
  expect(await alice.invite(group, ['bob', 'nobody'])).toEqual([
    { name: 'bob', kind: 'done' },
    { name: 'nobody', kind: 'unknown-user' },
  ]);
  await alice.send(group, 'hello bob');
  expect(await alice.flushed(240_000)).toBe(0);
  const bob = await start('bob', false);
  const events: ChatEvent[] = [];
  bob.subscribe((event) => events.push(event));
  expect(await bob.openGroup('tea')).toEqual({ kind: 'joined', group });
  await bob.caughtUp(240_000);
  expect(await texts(bob, group)).toEqual(['hello bob']);
  await bob.send(group, 'hello alice');
  await until(async () => (await texts(alice, group)).length === 2);
  expect(events.filter((event) => event.type === 'line').length).toBeGreaterThan(0);
});

test('five clients, one away across commits and messages and a restart of the server, end with the same history', async () => {
  const names = ['ann', 'ben', 'cat', 'dan', 'eli'];
  const chats = new Map(await Promise.all(names.map(async (name) => [name, await start(name)] as const)));
  const group = await created(chats.get('ann')!, 'five');
  expect((await chats.get('ann')!.invite(group, names.slice(1))).map(({ kind }) => kind)).toEqual([
    'done',
    'done',
    'done',
    'done',
  ]);
  for (const name of names.slice(1)) await chats.get(name)!.caughtUp(240_000);
  await stop(chats.get('eli')!);
  for (let round = 0; round < 4; round += 1) {
    for (const name of names.slice(0, 4)) await chats.get(name)!.send(group, `${name} ${round}`);
    expect(await chats.get(names[round]!)!.rotate(group)).toEqual({ kind: 'done' });
    if (round === 1) await server.restart();
  }
  for (const name of names.slice(0, 4)) expect(await chats.get(name)!.flushed(240_000)).toBe(0);
  chats.set('eli', await start('eli'));
  for (const name of names) await chats.get(name)!.caughtUp(240_000);
  const first = await texts(chats.get('ann')!, group);
  expect(first).toHaveLength(16);
  for (const name of names) expect(await texts(chats.get(name)!, group)).toEqual(first);
});

test('leave and removal by a real server; who is out cannot write any more', async () => {
  const [kim, lou, max] = [await start('kim'), await start('lou'), await start('max')];
  const group = await created(kim, 'leaving');
  await kim.invite(group, ['lou', 'max']);
  await lou.caughtUp(240_000);
  await max.caughtUp(240_000);
  expect(await lou.leave(group)).toEqual({ kind: 'done' });
  await until(async () => (await lou.groups())[0]?.state === 'removed');
  await max.send(group, 'two of us');
  await until(async () => (await texts(kim, group)).includes('two of us'));
  expect(await kim.remove(group, ['max'])).toEqual([{ name: 'max', kind: 'done' }]);
  await until(async () => (await max.groups())[0]?.state === 'removed');
  await expect(max.send(group, 'still here')).rejects.toMatchObject({ code: 'refused' });
});

test('a member joins its group again by external commit', async () => {
  const [uma, vic] = [await start('uma'), await start('vic')];
  const group = await created(uma, 'again');
  await uma.invite(group, ['vic']);
  await vic.caughtUp(240_000);
  expect(await vic.rejoin(group)).toEqual({ kind: 'done' });
  await vic.send(group, 'here again');
  await until(async () => (await texts(uma, group)).includes('here again'));
});

test('a folder has one user and one process; later starts need no server', async () => {
  const ned = await start('ned');
  const group = await created(ned, 'offline');
  await ned.send(group, 'kept');
  await ned.flushed(240_000);
  await ned.caughtUp(240_000);
  const dir = join(folder, 'ned');
  const other = { dir, server: server.url(), inProcess: true };
  await expect(openChatClient({ ...other, userName: 'ned' })).rejects.toMatchObject({ code: 'folder-locked' });
  await stop(ned);
  await expect(openChatClient({ ...other, userName: 'olga' })).rejects.toMatchObject({ code: 'other-user' });
  await expect(openChatClient({ ...other, userName: 'no spaces' })).rejects.toMatchObject({ code: 'invalid-name' });
  await expect(openChatClient({ ...other, dir: join(folder, 'ned2'), userName: 'NED' })).rejects.toMatchObject({
    code: 'name-taken',
  });
  // nothing listens there
  const nowhere = 'http://127.0.0.1:9';
  await expect(
    openChatClient({ dir: join(folder, 'pia'), server: nowhere, userName: 'pia', inProcess: true }),
  ).rejects.toMatchObject({ code: 'unreachable' });
  const offline = await openChatClient({ ...other, server: nowhere, userName: 'ned' });
  open.add(offline);
  expect(await texts(offline, group)).toEqual(['kept']);
  expect(await offline.openGroup('offline')).toEqual({ kind: 'member', group });
  await offline.send(group, 'queued');
  expect(await offline.flushed(100)).toBe(1);
  await expect(offline.caughtUp(200)).rejects.toMatchObject({ code: 'unreachable' });
  await stop(offline);
  const online = await start('ned');
  expect(await online.flushed(240_000)).toBe(0);
  await online.caughtUp(240_000);
  expect(await texts(online, group)).toEqual(['kept', 'queued']);
  expect(statSync(dir).mode & 0o777).toBe(0o700);
});

test('20 members of a real server commit at once: one commit an epoch, every intention takes effect', async () => {
  const names = Array.from({ length: 20 }, (_, i) => `member${i}`);
  const chats: ChatClient[] = [];
  for (const name of names) chats.push(await start(name)); // twenty devices' key packages at once are another test
  const group = await created(chats[0]!, 'twenty');
  const invited = await chats[0]!.invite(group, names.slice(1));
  expect(invited.map(({ kind }) => kind)).toEqual(names.slice(1).map(() => 'done'));
  for (const chat of chats) await chat.caughtUp(240_000);
  await Promise.all(chats.map((chat) => chat.rotate(group)));
  // one epoch an intention, not one more or less, even when the machine is too slow for the answer to be waited for
  for (const chat of chats) await until(async () => (await chat.groups())[0]!.epoch >= 21);
  await chats[3]!.send(group, 'all here?');
  for (const chat of chats) await until(async () => (await texts(chat, group)).includes('all here?'));
  const epochs = await Promise.all(chats.map(async (chat) => (await chat.groups())[0]!.epoch));
  expect(new Set(epochs)).toEqual(new Set([21]));
});

test('an entry that the engine loops over parks its group; the worker is replaced and goes on with the others', async () => {
  const ida = await start('ida');
  const looping = {
    start: { dir: join(folder, 'jon'), server: server.url(), userName: 'jon' },
    entry: new URL('../support/looping-client-worker.mjs', import.meta.url),
    watchdogMs: 3_000,
  };
  const jon = await openWorkerClient(looping);
  open.add(jon);
  const [loop, fine] = [await created(ida, 'loop'), await created(ida, 'fine')];
  await ida.invite(loop, ['jon']);
  await ida.invite(fine, ['jon']);
  await jon.caughtUp(240_000);
  await ida.send(loop, 'read by nobody');
  await until(async () => (await jon.groups()).find(({ group }) => group === loop)?.state === 'parked');
  await ida.send(fine, 'read by jon');
  await until(async () => (await texts(jon, fine)).includes('read by jon'), undefined);
  expect((await jon.groups()).find(({ group }) => group === loop)?.parkedReason).toMatch(/stopped the program/);
});
