import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runMlschatRepair } from '../../src/bin/mlschat-repair.ts';
import { openClientFolder } from '../../src/client/runner/folder.ts';
import { openStore } from '../../src/client/store/open-store.ts';
import { playScene } from '../client/repair/scene.ts';
import { createFakeServer } from '../support/fake-server.ts';

const PAGE = 8192;
const root = mkdtempSync(join(tmpdir(), 'mlschat-repair-'));
const good = join(root, 'good');
beforeAll(async () => {
  const { alice } = await playScene(createFakeServer(), good, 'plain');
  await alice.stop();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Runs the command over a folder; `answer`: of a person at a terminal. */
async function repair(config: string, { yes = false, answer }: { yes?: boolean; answer?: string } = {}) {
  const stdin = new PassThrough();
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const said = { out: '', err: '' };
  stdout.on('data', (chunk: Buffer) => {
    said.out += chunk.toString();
    if (answer !== undefined && said.out.endsWith('[y/N] ')) stdin.write(`${answer}\n`);
  });
  stderr.on('data', (chunk: Buffer) => {
    said.err += chunk.toString();
  });
  const io = { stdin: Object.assign(stdin, { isTTY: answer !== undefined }), stdout, stderr };
  const code = await runMlschatRepair(
    { kind: 'repair', config, yes },
    io,
    () => import('../../src/client/open-at-rest.ts'),
  );
  return { code, ...said };
}

/** A copy of the good folder whose file was changed. */
function folderWith(name: string, change: (bytes: Buffer) => Buffer): string {
  const dir = join(root, name);
  mkdirSync(join(dir, 'store'), { recursive: true });
  copyFileSync(join(good, 'store', 'data.mdb'), join(dir, 'store', 'data.mdb'));
  const path = join(dir, 'store', 'data.mdb');
  writeFileSync(path, change(readFileSync(path)));
  return dir;
}

/** The newest of the two beginnings is gone. */
function withoutBeginning(bytes: Buffer): Buffer {
  const [first, second] = [bytes.readBigUInt64LE(24 + 128), bytes.readBigUInt64LE(PAGE + 24 + 128)];
  return first > second ? bytes.fill(0, 0, PAGE / 2) : bytes.fill(0, PAGE, 2 * PAGE);
}

test('a store that is as it was written is left alone, and a folder without one is no client', async () => {
  const dir = folderWith('intact', (bytes) => bytes);
  const before = readFileSync(join(dir, 'store', 'data.mdb'));
  expect(await repair(dir, { yes: true })).toMatchObject({
    code: 0,
    out: expect.stringContaining('nothing was changed'),
  });
  expect(readFileSync(join(dir, 'store', 'data.mdb')).equals(before)).toBe(true);
  expect(readdirSync(dir).sort()).toEqual(['lock', 'store']);
  expect(await repair(join(root, 'nobody'))).toMatchObject({
    code: 1,
    err: expect.stringContaining('there is no client'),
  });
});

test('S7: a damaged store is refused with the way out, said what becomes of, repaired when that is agreed to, and kept beside', async () => {
  const dir = folderWith('damaged', withoutBeginning);
  const path = join(dir, 'store', 'data.mdb');
  const damaged = readFileSync(path);
  await expect(openStore(dir, undefined)).rejects.toMatchObject({
    code: 'storage',
    message: expect.stringMatching(/is damaged \(.+\): mlschat repair/),
  });
  for (const how of [{}, { answer: 'n' }]) {
    const declined = await repair(dir, how);
    expect(declined.code).toBe(1);
    expect(declined.out).toMatch(/#coffee: as it was/);
    expect(readFileSync(path).equals(damaged)).toBe(true);
  }
  const done = await repair(dir, { answer: 'y' });
  expect(done).toMatchObject({ code: 0, out: expect.stringContaining('Repaired') });
  const kept = readdirSync(dir).find((name) => name.startsWith('store.damaged-'));
  expect(readFileSync(join(dir, kept!, 'data.mdb')).equals(damaged)).toBe(true);
  expect(statSync(join(dir, kept!)).mode & 0o777).toBe(0o700);
  for (const file of readdirSync(join(dir, 'store')))
    expect(statSync(join(dir, 'store', file)).mode & 0o777).toBe(0o600);
  await using store = await openStore(dir, undefined);
  expect((await store.range({ from: Uint8Array.of(0x6c), to: Uint8Array.of(0x6d) })).length).toBeGreaterThan(100);
  await store.close();
  expect(await repair(dir, { yes: true })).toMatchObject({
    code: 0,
    out: expect.stringContaining('nothing was changed'),
  });
});

test('what holds no keys of this device is left as it is, and the recovery code is named', async () => {
  const nothings = [
    () => Buffer.alloc(0),
    () => Buffer.from('rubbish'),
    (bytes: Buffer) => bytes.subarray(0, 2 * PAGE),
  ];
  for (const [index, nothing] of nothings.entries()) {
    const dir = folderWith(`lost ${index}`, nothing);
    const lost = await repair(dir, { yes: true });
    expect(lost.code).toBe(1);
    expect(lost.out).toContain('mlschat recover');
    expect(readdirSync(dir).sort()).toEqual(['lock', 'store']);
  }
  const unbegun = folderWith('unbegun', () => Buffer.alloc(0));
  writeFileSync(join(unbegun, 'store', 'lock.mdb'), '');
  expect(await repair(unbegun)).toMatchObject({ code: 1, err: expect.stringContaining('there is no store') });
  const dir = join(root, 'a folder');
  mkdirSync(join(dir, 'store', 'data.mdb'), { recursive: true });
  expect(await repair(dir, { yes: true })).toMatchObject({ code: 1, out: expect.stringContaining('it is no file') });
});

test('a folder that a chat uses is not repaired under it', async () => {
  const dir = folderWith('in use', withoutBeginning);
  const folder = openClientFolder(dir);
  expect(await repair(dir, { yes: true })).toMatchObject({
    code: 1,
    err: expect.stringContaining('is used by another'),
  });
  folder.close();
});
