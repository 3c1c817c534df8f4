import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChatClient } from '../../src/client/chat-client.ts';
import { openChatClient } from '../../src/client/open-chat-client.ts';
import { START_CURSOR } from '../../src/wire/ids.ts';
import { spawnLines } from '../support/process.ts';
import { MLSD_PROGRAM, type ServerProcess, startServerProcess } from '../support/server.ts';

const WAIT_MS = 240_000;
let folder: string;
let server: ServerProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mlsd-rollback-'));
  server = await startServerProcess({ folder: join(folder, 'server') });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function withClient<Result>(name: string, use: (client: ChatClient) => Promise<Result>): Promise<Result> {
  const client = await openChatClient({
    dir: join(folder, name),
    server: server.url(),
    userName: name,
    inProcess: true,
  });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

const say = (name: string, text: string) =>
  withClient(name, async (client) => {
    const opened = await client.openGroup('tea');
    if (opened.kind === 'not-invited') throw new Error('not invited');
    await client.send(opened.group, text);
    expect(await client.flushed(WAIT_MS)).toBe(0);
    await client.caughtUp(WAIT_MS);
    return opened.group;
  });

const textsOf = async (client: ChatClient) =>
  (await client.history(START_CURSOR, { limit: 1_000 })).flatMap((line) =>
    line.kind === 'message' ? [line.text] : [],
  );

test('a log that went back is not served, and after it is accepted no client mixes two histories', async () => {
  const group = await say('alice', 'kept');
  await withClient('bob', (bob) => bob.caughtUp(WAIT_MS)); // registers
  await withClient('alice', async (alice) => {
    expect(await alice.invite(group, ['bob'])).toEqual([{ name: 'bob', kind: 'done' }]);
  });
  await say('bob', 'kept too');
  await server.kill('SIGTERM');
  await cp(join(folder, 'server/nats'), join(folder, 'backup'), { recursive: true });
  await server.start();
  await say('alice', 'lost in the power cut');
  await server.kill('SIGTERM');
  await rm(join(folder, 'server/nats'), { recursive: true });
  await cp(join(folder, 'backup'), join(folder, 'server/nats'), { recursive: true });

  const refused = spawnLines(process.execPath, [MLSD_PROGRAM, 'serve', '--port', '0', '--data', server.folder]);
  expect(await refused.exited).toBe(1);
  expect(refused.lines).toEqual([]);
  expect(refused.errors.join('\n')).toContain('--accept-rollback');

  await server.start(['--accept-rollback']);
  await withClient('alice', async (alice) => {
    await alice.caughtUp(WAIT_MS);
    expect((await alice.groups())[0]).toMatchObject({ group, state: 'parked' });
    expect(await textsOf(alice)).toEqual(['kept', 'kept too', 'lost in the power cut']);
    expect(await alice.rejoin(group)).toEqual({ kind: 'done' });
    expect((await alice.groups())[0]).toMatchObject({ state: 'member' });
  });
  await say('alice', 'and on');
  await say('bob', 'I never saw what was lost');
  await withClient('alice', async (alice) => {
    await alice.caughtUp(WAIT_MS);
    const all = ['kept', 'kept too', 'lost in the power cut', 'and on', 'I never saw what was lost'];
    expect(await textsOf(alice)).toEqual(all);
  });
  await withClient('bob', async (bob) => {
    expect((await bob.groups())[0]).toMatchObject({ state: 'member' });
    expect(await textsOf(bob)).toEqual(['kept too', 'and on', 'I never saw what was lost']);
  });
});
