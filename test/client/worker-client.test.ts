import { afterEach, expect, test } from 'vitest';
import type { ChatClient, ChatEvent } from '../../src/client/chat-client.ts';
import { openWorkerClient } from '../../src/client/runner/worker-client.ts';
import type { GroupId } from '../../src/wire/ids.ts';

const ENTRY = new URL('../support/stuck-worker.mjs', import.meta.url);
const POISONED = [{ group: 'A'.repeat(43), position: 7 }];
const open: ChatClient[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((chat) => chat.close()));
});
async function start(userName: string, watchdogMs: number): Promise<ChatClient> {
  const chat = await openWorkerClient({ start: { dir: '', server: '', userName }, watchdogMs, entry: ENTRY });
  open.push(chat);
  return chat;
}

test('a worker that hangs over an entry is replaced by one that does not touch the entry again', async () => {
  const chat = await start('hangs', 400);
  const events: ChatEvent[] = [];
  chat.subscribe((event) => events.push(event));
  expect(await chat.groups()).toEqual(POISONED);
  expect(events).toEqual([{ type: 'connection', connection: { state: 'connecting' } }]);
});

test('a worker that dies over an entry is replaced too; what may have been done is not done again by itself', async () => {
  const chat = await start('dies', 10_000);
  const sent = chat.send('x' as GroupId, 'text');
  await expect(sent).rejects.toMatchObject({ code: 'worker-failed' });
  expect(await chat.groups()).toEqual(POISONED);
});

test('a worker that dies again and again ends the client, visibly', async () => {
  const chat = await start('always', 10_000);
  const events: ChatEvent[] = [];
  chat.subscribe((event) => events.push(event));
  await expect(chat.groups()).rejects.toMatchObject({ code: 'worker-failed' });
  expect(events.at(-1)).toMatchObject({ type: 'connection', connection: { state: 'offline' } });
  await expect(chat.status()).rejects.toMatchObject({ code: 'worker-failed' });
});

test('a call after close is refused', async () => {
  const chat = await start('hangs', 10_000);
  await chat.close();
  await expect(chat.groups()).rejects.toMatchObject({ code: 'closed' });
});
