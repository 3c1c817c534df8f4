import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseArguments } from '../../src/bin/mlsd/arguments.ts';
import { COMMANDS } from '../../src/bin/mlsd/commands.ts';
import { EXIT } from '../../src/bin/mlsd/process.ts';
import { runMlsd } from '../../src/bin/mlsd/run.ts';
import { createProgress } from '../../src/tools/progress.ts';
import { openSite } from '../../src/tools/site.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { tempFolder } from '../support/nats.ts';
import { copyFolder, mlsd, type SeenServer, seenServer, siteOptions, withSite } from './support.ts';

let seen: SeenServer;

beforeAll(async () => {
  seen = await seenServer();
});
afterAll(() => seen[Symbol.asyncDispose]());

async function run(
  argv: readonly string[],
  folder = seen.folder,
  stopping: AbortSignal = new AbortController().signal,
) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runMlsd([...argv, '--data', folder], {
    env: {},
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    version: '9.9.9',
    stopping,
  });
  return { code, out: out.join(''), lines: out.join('').split('\n').slice(0, -1), err: err.join('') };
}

const parse = (...argv: string[]) => parseArguments(argv, { version: '1', columns: 110 });

describe('the commands of mlsd', () => {
  it('each have a help of their own, with their settings and what they do', async () => {
    const all = await parse('--help');
    for (const { usage, about } of COMMANDS) {
      const [first = '', second = ''] = usage.split(' ');
      const words = first === 'log' ? [first, second] : [first];
      if (first !== 'log') expect(all.kind === 'text' && all.text).toContain(about);
      const help = await parse(...words, '--help');
      expect(help.kind === 'text' && help.text).toMatch(new RegExp(`^mlsd ${words.join(' ')}`));
      expect(help.kind === 'text' && help.text).toContain('MLSD_DATA');
    }
  });

  it('are understood whole, or refused with what is wrong', async () => {
    expect(await parse('log', 'tail', '-n', '5', '-f', '--json')).toMatchObject({
      command: { name: 'log tail', lines: 5, follow: true, json: true },
    });
    expect(await parse('log', 'show', '12')).toMatchObject({ command: { name: 'log show', sequence: 12 } });
    expect(await parse('export', '-', '--group', 'tea', '--data', '/x')).toMatchObject({
      command: { name: 'export', file: '-', group: 'tea' },
      flags: { data: '/x' },
    });
    expect(await parse('verify')).toMatchObject({ command: { name: 'verify' } });
    expect(await parse('verify', '-')).toMatchObject({ command: { name: 'verify', file: '-' } });
    expect(await parse('restore', 'dir', '--nothing-lost')).toMatchObject({ command: { nothingLost: true } });
    for (const wrong of [
      ['log'],
      ['log', 'show'],
      ['log', 'show', 'x'],
      ['log', 'show', '0'],
      ['log', 'tail', '-n', '-1'],
      ['backup'],
      ['export', 'a', 'b'],
      ['rebuild', '--port', '1'],
      ['dance'],
    ]) {
      expect([wrong, (await parse(...wrong)).kind]).toEqual([wrong, 'usage']);
    }
  });

  it('exit 0 when all is well, 1 with a sentence when it is not, 2 when they were used wrongly', async () => {
    expect(await run(['verify'])).toMatchObject({ code: EXIT.done, out: expect.stringMatching(/all of it holds\n$/) });
    expect(await run(['doctor'])).toMatchObject({ code: EXIT.done });
    await using work = await tempFolder();
    const missing = await run(['verify'], join(work.path, 'missing'));
    expect(missing).toMatchObject({ code: EXIT.error, err: expect.stringMatching(/--data/) });
    expect(await run(['verify', '/does/not/exist'])).toMatchObject({ code: EXIT.error });
    expect(await run(['log', 'show', '99999'])).toMatchObject({ code: EXIT.error });
    expect(await run(['export', '--group', 'nobody', join(work.path, 'x')])).toMatchObject({ code: EXIT.error });
    expect(await run(['log', 'show', 'x'])).toMatchObject({ code: EXIT.usage });
    const interrupted = await run(['verify'], seen.folder, AbortSignal.abort());
    expect(interrupted).toMatchObject({ code: EXIT.error, out: '', err: 'mlsd: interrupted (verify)\n' });
  });

  it('end with a sentence where a file cannot be written or is a folder, with nothing left running', async () => {
    await using work = await tempFolder();
    const folder = join(work.path, 'copy');
    await copyFolder(seen.folder, folder);
    const lost = mlsd('export', join(work.path, 'no', 'such', 'folder'), '--data', folder);
    expect(await lost.exited).toBe(EXIT.error);
    expect(lost.errors.join('\n')).toMatch(/no\/such\/folder\.partial: it is not there \(open\)/);
    expect(await run(['export', join(work.path, 'file')], folder)).toMatchObject({ code: EXIT.done });
    for (const [argv, says] of [
      [['verify', work.path], /is a folder: name a file in it/],
      [['backup', join(work.path, 'file')], /is a file: a backup needs a folder/],
    ] as const) {
      expect(await run(argv, folder)).toMatchObject({ code: EXIT.error, err: expect.stringMatching(says) });
    }
  });

  it('close what was still being opened when they were given up', async () => {
    await using work = await tempFolder();
    const folder = join(work.path, 'copy');
    await copyFolder(seen.folder, folder);
    const site = await openSite(siteOptions(folder));
    const opening = site.openLog();
    await site.close();
    await opening;
    expect(
      (await withSite(folder, async (again) => (await again.openLog()).report())).stream?.lastSequence,
    ).toBeGreaterThan(0);
  });

  it('go from a server to an export and back by the command line alone', async () => {
    await using work = await tempFolder();
    const [file, other] = [join(work.path, 'file'), join(work.path, 'other')];
    expect(await run(['export', file])).toMatchObject({ code: EXIT.done });
    expect(await run(['verify', file])).toMatchObject({ code: EXIT.done });
    expect(await run(['import', file, '--nothing-lost'], other)).toMatchObject({ code: EXIT.done });
    expect(await run(['import', file], other)).toMatchObject({
      code: EXIT.error,
      err: expect.stringMatching(/already/),
    });
    expect(await run(['rebuild'], other)).toMatchObject({ code: EXIT.done });
    expect(await run(['verify'], other)).toMatchObject({ code: EXIT.done });
    const piped = mlsd('export', '-', '--data', other);
    const chunks: Buffer[] = [];
    piped.child.stdout!.removeAllListeners('data').setEncoding('latin1');
    piped.child.stdout!.on('data', (text: string) => chunks.push(Buffer.from(text, 'latin1')));
    expect(await piped.exited).toBe(0);
    expect(Buffer.concat(chunks).length).toBe((await readFile(file)).length);
  });
});

describe('mlsd log', () => {
  it('shows events as lines and as JSON: types, lanes, shortened ids, sizes, times; no names, nothing from inside', async () => {
    const tail = await run(['log', 'tail', '-n', '1000']);
    expect(tail.lines.length).toBeGreaterThan(10);
    expect(tail.lines[0]).toMatch(/^ +1 {2}\d{4}-\d\d-\d\dT[\d:.]+Z {2}log-started +log {2}\d+ B/);
    expect(tail.out).toMatch(/commit-accepted +group\.[\w-]{8}…\.commit {2}\d+ B {2}epoch 1, .*commit \d+ B/);
    expect(tail.out).toMatch(/messages-sent +application\.0 .*messages 1, bytes \d+ B/);
    expect(tail.out).not.toContain(toBase64Url(seen.tea));
    const json = await run(['log', 'tail', '-n', '1000', '--json']);
    const events = json.lines.map((line) => JSON.parse(line));
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, i) => i + 1));
    expect(json.out).toContain(toBase64Url(seen.tea));
    const commit = events.find(({ type }) => type === 'commit-accepted');
    const shown = await run(['log', 'show', String(commit.sequence)]);
    expect(shown.out).toContain(`group           ${toBase64Url(seen.tea)}`);
    expect(shown.out).toMatch(/welcome +\d+ B/);
    for (const text of [tail.out, json.out, shown.out]) {
      expect(text).not.toMatch(/(?<![\w-])(alice|bob|carol)(?![\w-])|"tea"|nobody on the server/);
    }
  });

  it('follows a running server until it is stopped', async () => {
    await using folder = await tempFolder();
    await copyFolder(seen.folder, folder.path);
    await seen.on(folder.path, async () => {
      const child = mlsd('log', 'tail', '--follow', '-n', '1', '--json', '--data', folder.path);
      await child.waitForLine((line) => line.startsWith('{'), 'the last event');
      const before = child.lines.length;
      await seen.bob.send(seen.tea, 'followed');
      await child.waitForLine(
        (line) => child.lines.indexOf(line) >= before && line.includes('messages-sent'),
        'the next',
      );
      child.child.kill('SIGINT');
      expect(await child.exited).toBe(0);
    });
  });
});

describe('progress', () => {
  it('is a bar on a terminal that is wiped at the end, and plain lines now and then elsewhere', () => {
    let now = 0;
    const shown = (isTTY: boolean): string => {
      const written: string[] = [];
      const progress = createProgress({ isTTY, write: (text) => written.push(text) }, () => now);
      for (let done = 0; done <= 100; done += 1) {
        now += 50;
        progress.report('folding', done, 100);
      }
      progress.end();
      return written.join('');
    };
    const bar = shown(true);
    expect(bar).toContain(`\r\u001b[2Kfolding [${'█'.repeat(15)}${'░'.repeat(15)}] 50 % 50/100`);
    expect(bar.endsWith('\r\u001b[2K')).toBe(true);
    const plain = shown(false);
    expect(plain).toBe(
      'folding:  0 % (0 of 100)\nfolding: 40 % (40 of 100)\nfolding: 80 % (80 of 100)\nfolding:100 % (100 of 100)\n',
    );
  });
});
