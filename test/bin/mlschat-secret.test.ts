import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, expect, test } from 'vitest';
import { runMlschatAtRest } from '../../src/bin/mlschat-at-rest.ts';
import { secretFrom, storeOptions } from '../../src/bin/mlschat-secret.ts';
import { ClientError } from '../../src/client/client-error.ts';
import type { AskSecret } from '../../src/client/store/store-folder.ts';
import { until } from '../support/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'mlschat-secret-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const NO_FILES = { known: undefined, new: undefined };

/** A person at a terminal, who answers each prompt with the next of these. */
function terminal(answers: readonly string[]) {
  const raw: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => void raw.push(on) });
  const left = [...answers];
  let shown = '';
  const stderr = new PassThrough();
  stderr.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
    if (shown.endsWith(': ')) stdin.write(left.shift() ?? '');
  });
  return { io: { stdin, stderr, stdout: new PassThrough() }, raw, shown: () => shown };
}
const text = (secret: Uint8Array): string => Buffer.from(secret).toString();

test('a passphrase is read without being shown, with backspace, and what follows it stays to be read', async () => {
  const { io, raw, shown } = terminal(['op\u007fpen sésame\rhello\r']);
  expect(text(await secretFrom(NO_FILES, io)('known'))).toBe('open sésame');
  await until(() => shown() === 'Passphrase: \n');
  expect(raw).toEqual([true, false]);
  expect(String(io.stdin.read())).toBe('hello\r');
});

test('a new passphrase is asked for twice, until both are the same and not empty', async () => {
  const { io, shown } = terminal(['\r', 'one\r', 'two\r', 'three\r', 'three\r']);
  expect(text(await secretFrom(NO_FILES, io)('new'))).toBe('three');
  expect(shown()).not.toContain('three');
  const stubborn = terminal(['a\r', 'b\r', 'a\r', 'b\r', 'a\r', 'b\r']);
  await expect(secretFrom(NO_FILES, stubborn.io)('new')).rejects.toMatchObject({ code: 'passphrase' });
});

test('Ctrl-C at the prompt ends it, and gives the terminal back', async () => {
  const { io, raw } = terminal(['half\u0003']);
  await expect(secretFrom(NO_FILES, io)('known')).rejects.toMatchObject({ code: 'passphrase' });
  expect(raw).toEqual([true, false]);
});

test('a key file stands for the passphrase with all its bytes; an empty or missing one is refused, and so is a pipe', async () => {
  const path = join(folder, 'key');
  writeFileSync(path, Uint8Array.of(0, 255, 10));
  const { io } = terminal([]);
  expect(await secretFrom({ known: path, new: undefined }, io)('known')).toEqual(Uint8Array.of(0, 255, 10));
  writeFileSync(path, '');
  await expect(secretFrom({ known: path, new: path }, io)('new')).rejects.toThrow('is empty');
  await expect(secretFrom({ known: join(folder, 'no'), new: path }, io)('known')).rejects.toThrow('cannot be read');
  const piped = { stdin: new PassThrough(), stderr: io.stderr };
  await expect(secretFrom(NO_FILES, piped)('known')).rejects.toThrow('--key-file');
});

test('S7: whoever names a key file never gets a plain store in the place of an encrypted one', () => {
  const { io } = terminal([]);
  expect(storeOptions({ keyFile: '/k' }, io)).toMatchObject({ encrypt: true });
  expect(storeOptions({ encrypt: true }, io)).toMatchObject({ encrypt: true });
  expect(storeOptions({}, io)).not.toHaveProperty('encrypt');
});

test('S7: encrypt and passwd name what they left as it was, and how to remove it', async () => {
  const { io } = terminal([]);
  const kept = ["/c's/store.damaged-1", '/c/store.damaged-2'];
  const load = async () => ({
    encryptFolder: async () => ({ rows: 12, plain: kept }),
    changePassphrase: async () => ({ unchanged: kept }),
  });
  for (const kind of ['encrypt', 'passwd'] as const) {
    expect(await runMlschatAtRest({ kind, config: '/c' }, io, load)).toBe(0);
    const said = String(io.stdout.read()).split('\n');
    expect(said.slice(-3)).toEqual(["  rm -r '/c'\\''s/store.damaged-1'", "  rm -r '/c/store.damaged-2'", '']);
    expect(said.at(-4)).toMatch(kind === 'encrypt' ? /NOT encrypted/ : /the passphrase of their time/);
  }
});

test('encrypt and passwd of a folder that is none say so and make none', async () => {
  const { io, shown } = terminal([]);
  const config = join(folder, 'nobody');
  const load = () => import('../../src/client/open-at-rest.ts');
  for (const kind of ['encrypt', 'passwd'] as const) {
    expect(await runMlschatAtRest({ kind, config }, io, load)).toBe(1);
  }
  await until(() => shown() === `mlschat: there is no client in ${config}\n`.repeat(2));
  expect(existsSync(config)).toBe(false);
});

test('encrypt and passwd say what they did, and end with 1 and a sentence when they could not', async () => {
  const { io, shown } = terminal([]);
  const load = async () => ({
    encryptFolder: async () => ({ rows: 12, plain: [] }),
    changePassphrase: async (_dir: string, _ask: AskSecret) => {
      throw new ClientError('passphrase', 'the passphrase or key file does not open this store');
    },
  });
  expect(await runMlschatAtRest({ kind: 'encrypt', config: '/c' }, io, load)).toBe(0);
  expect(String(io.stdout.read())).toMatch(/^\/c is encrypted now \(12 rows\)\.[^\n]*\n$/);
  expect(await runMlschatAtRest({ kind: 'passwd', config: '/c' }, io, load)).toBe(1);
  await until(() => shown() === 'mlschat: the passphrase or key file does not open this store\n');
});
