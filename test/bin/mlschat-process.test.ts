import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ChildLines, spawnLines } from '../support/process.ts';
import { hasTmux, openWindow, type Window } from '../support/tmux.ts';
import { until } from '../support/until.ts';

const MLSD = join(import.meta.dirname, '../../dist/bin/mlsd.js');
const MLSCHAT = join(import.meta.dirname, '../../dist/bin/mlschat.js');
const BUILT = existsSync(MLSD) && existsSync(MLSCHAT);

let folder: string;
let server: ChildLines;
let url: string;

const windows: Window[] = [];

async function startServer(port: string): Promise<void> {
  server = spawnLines(process.execPath, [MLSD, 'serve', '--port', port, '--data', join(folder, 'server')]);
  const ready = await server.waitForLine((line) => line.startsWith('mlsd listening on '), 'mlsd is ready');
  url = /http:\/\/\S+/.exec(ready)![0];
}

function chatCommand(name: string, group: string, ...flags: string[]): string[] {
  return [process.execPath, MLSCHAT, '--server', url, '--config', join(folder, name), ...flags, group, name];
}

/** Runs mlschat to its end, with this text as its whole input. */
async function run(name: string, group: string, input: string, ...flags: string[]) {
  const [command = '', ...args] = chatCommand(name, group, ...flags);
  const child = spawnLines(command, args);
  child.write(input);
  child.child.stdin?.end();
  return { code: await child.exited, out: child.lines, err: child.errors };
}

async function openChat(name: string): Promise<Window> {
  const window = await openWindow(chatCommand(name, 'tea'), { columns: 90, rows: 40 }, { NO_COLOR: '1' });
  windows.push(window);
  return window;
}

describe.skipIf(!BUILT)('mlschat as a program, against a real server', { timeout: 600_000 }, () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mlschat-process-'));
    await startServer('0');
  });

  afterAll(async () => {
    for (const window of windows) await window.close();
    await server.kill('SIGTERM');
    await rm(folder, { recursive: true, force: true });
  });

  test('help is exit 0 on standard output, wrong use exit 2 with a sentence on standard error', async () => {
    const help = spawnLines(process.execPath, [MLSCHAT, '--help']);
    expect(await help.exited).toBe(0);
    expect(help.lines.join('\n')).toContain('--since-cursor');
    const wrong = spawnLines(process.execPath, [MLSCHAT, 'tea']);
    expect(await wrong.exited).toBe(2);
    expect(wrong.errors).toEqual(['mlschat: a group and a user name are needed; mlschat --help shows the use']);
  });

  test('the first user creates the group, the second is told whom to ask, the invitation waits for the second', async () => {
    expect(await run('ann', 'pipes', 'hello\n')).toMatchObject({
      code: 0,
      out: ['Connected to group: pipes', '#pipes <ann> [created the group]', '#pipes <ann> hello', 'Goodbye!'],
    });
    const early = await run('ben', 'pipes', '', '--no-follow');
    expect(early.code).toBe(1);
    expect(early.err.join(' ')).toContain('Ask to be invited: ann.');
    const inviting = await run('ann', 'pipes', '/invite ben nobody\nwelcome\n');
    expect(inviting.out).toContain('ben is invited to #pipes');
    expect(inviting.out).toContain('no such user: nobody');
    const invited = await run('ben', 'pipes', 'thanks\n');
    expect(invited.out).toEqual([
      'Connected to group: pipes',
      '#pipes <ann> [added you to the group]',
      '#pipes <ann> welcome',
      '#pipes <ben> thanks',
      'Goodbye!',
    ]);
  });

  test('the same name from another folder, or another name from the same folder, is refused in a sentence', async () => {
    expect((await run('ann', 'refusals', '')).code).toBe(0);
    const [command = '', ...args] = chatCommand('ann', 'refusals');
    const other = spawnLines(command, [...args, '--config', join(folder, 'elsewhere'), '--no-follow']);
    other.child.stdin?.end();
    expect(await other.exited).toBe(1);
    expect(other.errors.join('\n')).toMatch(/^mlschat: .*ann/);
    const mixed = spawnLines(command, [...args.slice(0, -1), 'bea', '--no-follow']);
    mixed.child.stdin?.end();
    expect(await mixed.exited).toBe(1);
    expect(mixed.errors.join('\n')).toMatch(/^mlschat: .*ann/);
  });

  test.skipIf(!hasTmux)(
    'fault 11, fault 12: two people in two terminals; one is killed, the server too; nobody misses anything',
    async () => {
      const alice = await openChat('alice');
      await alice.sees((rows) => rows.at(-1) === '#tea alice>');
      const bob = await openChat('bob');
      await bob.sees((rows) => rows.includes('Ask to be invited: alice. It opens here when the invitation comes.'));
      await enter(alice, '/invite bob');
      await bob.sees((rows) => rows.at(-1) === '#tea bob>');
      await alice.type('half a thought');
      await enter(bob, 'hello from bob');
      await alice.sees(
        (rows) => rows.includes('#tea <bob> hello from bob') && rows.at(-1) === '#tea alice> half a thought',
      );
      await alice.press('Enter');
      await bob.sees((rows) => rows.includes('#tea <alice> half a thought'));

      await bob.close();
      await enter(alice, 'bob, are you there?');
      await enter(alice, '/rotate');
      await alice.sees((rows) => rows.includes('your keys in #tea are renewed'));
      const { port } = new URL(url);
      await server.kill('SIGKILL');
      await alice.sees((rows) => rows.some((row) => row.startsWith('offline: ')));
      await enter(alice, 'written without a server');
      await alice.sees((rows) => rows.includes('#tea <alice> written without a server …'));
      await startServer(port);
      await alice.sees(
        (rows) => rows.includes('online again') && rows.includes('#tea <alice> written without a server'),
      );

      const again = await openChat('bob');
      const screen = await again.sees((rows) => rows.includes('#tea <alice> written without a server'));
      expect(screen.filter((row) => row.startsWith('#tea <'))).toEqual([
        '#tea <alice> [added you to the group]',
        '#tea <bob> hello from bob',
        '#tea <alice> half a thought',
        '#tea <alice> bob, are you there?',
        '#tea <alice> [updated group membership] renewed keys',
        '#tea <alice> written without a server',
      ]);
      await enter(again, '/quit');
      await again.sees((rows) => rows.includes('Goodbye!'));
    },
  );

  test.skipIf(!hasTmux)(
    'in a real terminal: a paste is one message, a resize keeps the screen whole, and kill -9 loses nothing',
    async () => {
      const command = chatCommand('gus', 'den');
      const open = async () => {
        const window = await openWindow(command, { columns: 90, rows: 40 }, { NO_COLOR: '1', TZ: 'UTC' });
        windows.push(window);
        return window;
      };
      const talk = (rows: readonly string[]) => rows.filter((row) => /^#den <| {2}of one message$/.test(row));
      const first = await open();
      await first.sees((rows) => rows.at(-1) === '#den gus>');
      await first.paste('two rows\nof one message');
      await first.sees((rows) => rows.at(-1) === '  of one message');
      await first.press('Enter');
      await first.sees((rows) => rows.at(-1) === '#den gus>' && rows.includes('  of one message'));
      await first.resize(60, 20);
      await enter(first, 'after the resize');
      const before = talk(
        await first.sees((rows) => rows.at(-1) === '#den gus>' && rows.includes('#den <gus> after the resize')),
      );
      process.kill(await first.pid(), 'SIGKILL');
      await first.close();
      const again = await open();
      const screen = await again.sees((rows) => rows.at(-1) === '#den gus>' && talk(rows).length >= before.length);
      expect(talk(screen)).toEqual(before);
      expect(before).toEqual([
        '#den <gus> [created the group]',
        '#den <gus> two rows',
        '  of one message',
        '#den <gus> after the resize',
      ]);
      await enter(again, '/quit');
      await again.sees((rows) => rows.includes('Goodbye!'));
    },
  );

  test('send, tail and export do one thing each, and the bot of the readme answers', async () => {
    expect((await run('boss', 'bots', '/whoami\n')).code).toBe(0);
    const bot = join(folder, 'bot.mjs');
    const config = join(folder, 'clock');
    await writeFile(bot, await readmeBot({ group: 'bots', config }));
    const answering = spawnLines(process.execPath, [bot]);
    const [program = '', ...rest] = chatCommand('boss', 'bots');
    const task = (name: string, ...more: string[]) => spawnLines(program, [rest[0]!, name, ...rest.slice(1), ...more]);
    try {
      await until(() => answering.errors.some((line) => line.includes('Ask to be invited: boss')));
      expect((await run('boss', 'bots', '/invite clock\n')).out).toContain('clock is invited to #bots');
      expect(await task('send', '!time').exited).toBe(0);
      const tail = task('tail', '-n', '20', '--follow');
      await tail.waitForLine((line) => /^#bots <clock> boss: \d{4}-\d\d-\d\dT/.test(line), 'the bot answers');
      await tail.kill('SIGTERM');
      const exported = task('export', '--json');
      expect(await exported.exited).toBe(0);
      const texts = exported.lines.map((line) => JSON.parse(line).text).filter((text) => text !== undefined);
      expect(texts).toEqual(['!time', expect.stringMatching(/^boss: /)]);
    } finally {
      await answering.kill('SIGTERM');
    }
  });

  test('fault 11: without a server text is kept, exit code 3, and goes out at the next start', async () => {
    expect((await run('cid', 'kept', 'first\n')).code).toBe(0);
    const { port } = new URL(url);
    await server.kill('SIGTERM');
    const offline = await run('cid', 'kept', 'second\nthird\n');
    expect(offline.code).toBe(3);
    expect(offline.err.at(-1)).toContain('2 messages are not sent yet; they are kept');
    await startServer(port);
    const online = await run('cid', 'kept', '', '--json', '--no-follow', '--since-cursor', 'start');
    expect(online).toMatchObject({ code: 0, err: [] });
    const lines = online.out.map((row) => JSON.parse(row) as { kind: string; text?: string; cursor: string });
    expect(lines.map((line) => line.text ?? line.kind)).toEqual(['created', 'first', 'second', 'third']);
    const rest = await run('cid', 'kept', '', '--json', '--no-follow', '--since-cursor', lines[1]!.cursor);
    expect(rest.out).toEqual(online.out.slice(2));
  });
});

/** The example of the readme as it stands there, with this test's program, server, folder and group. */
async function readmeBot({ group, config }: { group: string; config: string }): Promise<string> {
  const readme = await readFile(join(import.meta.dirname, '../../README.md'), 'utf8');
  const blocks = [...readme.matchAll(/```js\n([\s\S]*?)\n```/g)].map(([, block = '']) => block);
  const code = blocks.find((block) => block.includes('spawn(')) ?? '';
  const typed = "spawn('npx', ['mlschat', '--config', 'bot', '--json', 'tea', 'clock']";
  expect(code).toContain(typed);
  expect(code.trim().split('\n').length).toBeLessThanOrEqual(20);
  const args = [MLSCHAT, '--server', url, '--config', config, '--json', group, 'clock'];
  return code.replace(typed, `spawn(${JSON.stringify(process.execPath)}, ${JSON.stringify(args)}`);
}

async function enter(window: Window, line: string): Promise<void> {
  await window.type(line);
  await window.press('Enter');
}
