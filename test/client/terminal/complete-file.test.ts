import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { completeFile, pathBefore } from '../../../src/client/terminal/complete-file.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mlschat-files-'));
  await mkdir(join(folder, 'papers'));
  await mkdir(join(folder, 'many'));
  for (const name of ['plan.txt', 'plan two.txt', 'picture.png', '.hidden', 'bad\u001bname', 'two  spaces']) {
    await writeFile(join(folder, name), '');
  }
  await symlink(join(folder, 'papers'), join(folder, 'link'));
  await Promise.all(Array.from({ length: 150 }, (_, n) => writeFile(join(folder, 'many', `n${n}`), '')));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What the line is after Tab, and what was offered. */
async function tab(line: string): Promise<{ line: string; candidates: readonly string[] } | undefined> {
  const path = pathBefore(line.replace('DIR', folder));
  const found = path === undefined ? undefined : await completeFile(path);
  if (found === undefined) return undefined;
  const whole = line.replace('DIR', folder).slice(0, found.from) + found.text;
  return { line: whole.replace(folder, 'DIR'), candidates: found.candidates };
}

test('a path is completed where a command is told a file: folders with a slash, names with spaces too', async () => {
  expect(await tab('/send DIR/pa')).toEqual({ line: '/send DIR/papers/', candidates: [] });
  expect(await tab('/export DIR/pi')).toEqual({ line: '/export DIR/picture.png ', candidates: [] });
  expect(await tab('/pack DIR/l')).toEqual({ line: '/pack DIR/link/', candidates: [] });
  expect(await tab('/unpack DIR/plan t')).toEqual({ line: '/unpack DIR/plan two.txt ', candidates: [] });
  expect(await tab('/save 7 DIR/plan.')).toEqual({ line: '/save 7 DIR/plan.txt ', candidates: [] });
  expect(await tab('/send DIR/pl')).toEqual({ line: '/send DIR/plan', candidates: ['plan two.txt', 'plan.txt'] });
  expect(await tab('/send DIR/.h')).toEqual({ line: '/send DIR/.hidden ', candidates: [] });
});

test('what is hidden is not offered unasked, what cannot be typed never, and not more than fits a screen', async () => {
  const all = await tab('/send DIR/');
  expect(all?.candidates).toEqual(['link/', 'many/', 'papers/', 'picture.png', 'plan two.txt', 'plan.txt']);
  const many = await tab('/send DIR/many/');
  expect(many?.line).toBe('/send DIR/many/n');
  expect(many?.candidates).toHaveLength(101);
});

test('nothing is completed where there is nothing, or no file is meant', async () => {
  for (const line of [
    '/send DIR/x',
    '/send DIR/nowhere/',
    '/send DIR/plan.txt/',
    '/save DIR',
    '/save 7',
    '/send',
    '/invite DIR/p',
    'DIR/p',
  ]) {
    expect([line, await tab(line)]).toEqual([line, undefined]);
  }
});
