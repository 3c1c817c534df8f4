import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createPalette } from '../../../src/client/terminal/palette.ts';
import { runTask, type Task } from '../../../src/client/terminal/run-task.ts';
import type { GroupId } from '../../../src/wire/ids.ts';
import type { FakeChatClient } from '../../support/fake-chat-client.ts';
import { until } from '../../support/until.ts';
import { teaClient } from './chat-on-fake-terminal.ts';

const tea = 'tea'.padEnd(22, 'A') as GroupId;

function started(
  task: Task,
  options: { client?: FakeChatClient; input?: string; group?: string; json?: boolean } = {},
) {
  const client = options.client ?? teaClient();
  const ending = new AbortController();
  const [out, err]: [string[], string[]] = [[], []];
  const code = runTask({
    client,
    task,
    group: options.group ?? 'tea',
    json: options.json ?? false,
    readInput: async () => options.input ?? '',
    out: (row) => out.push(row),
    err: (row) => err.push(row),
    palette: createPalette(0),
    signal: ending.signal,
  });
  return { client, out, err, code, end: () => ending.abort() };
}
const run = async (...args: Parameters<typeof started>) => {
  const { code, ...rest } = started(...args);
  return { code: await code, ...rest };
};

test('send: one message as it is, never a command, several rows are one; nothing is printed or marked as read', async () => {
  const client = teaClient();
  client.control.message(tea, 'bob', 'unread');
  expect(await run({ kind: 'send', text: '/quit' }, { client })).toMatchObject({ code: 0, out: [], err: [] });
  await run({ kind: 'send', text: undefined }, { client, input: 'first\r\nsecond\n' });
  expect(client.control.calls).toEqual(['send(tea, "/quit")', 'send(tea, "first\\nsecond")']);
  expect((await client.groups())[0]?.unread).toBe(1);
});

test('send: an empty message is wrong use, a server that is away is exit 3, and no group is made by mistake', async () => {
  expect(await run({ kind: 'send', text: ' \n' })).toMatchObject({ code: 2, err: ['an empty message is not sent'] });
  expect(await run({ kind: 'send', text: 'hi' }, { group: 'tee' })).toMatchObject({
    code: 1,
    err: ['there is no group #tee; /create tee makes it'],
  });
  const client = teaClient();
  client.control.setConnection({ state: 'offline', reason: 'no route', retryInMs: 1000 });
  const away = await run({ kind: 'send', text: 'hi' }, { client });
  expect(away.code).toBe(3);
  expect(away.err.join()).toContain('1 message is not sent yet; it is kept');
});

test('tail: the newest lines; with --follow also what comes, each once, until the signal', async () => {
  const client = teaClient();
  for (const text of ['one', 'two', 'three']) client.control.message(tea, 'bob', text);
  expect((await run({ kind: 'tail', lines: 2, follow: false }, { client })).out).toEqual([
    '#tea <bob> two',
    '#tea <bob> three',
  ]);
  const following = started({ kind: 'tail', lines: 1, follow: true }, { client, json: true });
  await until(() => following.out.length === 1);
  client.control.message(tea, 'bob', 'four');
  client.control.message(tea, 'bob', 'five');
  await until(() => following.out.length === 3);
  following.end();
  expect(await following.code).toBe(0);
  expect(following.out.map((row) => JSON.parse(row).text)).toEqual(['three', 'four', 'five']);
  expect((await client.groups())[0]?.unread).toBe(5);
});

test('export: everything to standard output or into a new file, also when the server is away', async () => {
  const client = teaClient();
  client.control.message(tea, 'bob', 'one', Date.UTC(2026, 10, 22));
  client.control.setConnection({ state: 'offline', reason: 'no route', retryInMs: 1000 });
  const shown = await run({ kind: 'export', file: undefined }, { client });
  expect(shown).toMatchObject({ code: 1, out: ['2026-11-22T00:00:00.000Z #tea <bob> one'] });
  expect(shown.err.join()).toContain('does not answer');
  client.control.setConnection({ state: 'online' });
  const folder = mkdtempSync(join(tmpdir(), 'mlschat-task-'));
  try {
    const file = join(folder, 'tea');
    expect((await run({ kind: 'export', file }, { client, json: true })).code).toBe(0);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ text: 'one' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
