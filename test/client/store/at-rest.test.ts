import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { changePassphrase, encryptFolder } from '../../../src/client/open-at-rest.ts';
import { keys, rangeOf } from '../../../src/client/store/keys.ts';
import { createMemoryStore } from '../../../src/client/store/memory-store.ts';
import { encryptStore, openStore } from '../../../src/client/store/open-store.ts';
import { createSealedStore } from '../../../src/client/store/sealed-store.ts';
import { type AskSecret, changeStoreSecret, keptStoreAt, unlockStore } from '../../../src/client/store/store-folder.ts';
import { toHex, toUtf8 } from '../../../src/wire/bytes.ts';
import type { AccountId, Cursor } from '../../../src/wire/ids.ts';

const root = mkdtempSync(join(tmpdir(), 'at-rest-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const GROUP = toUtf8('the id of a secret group');
const ACCOUNT = 'account-of-a-friend-0123456789ab' as AccountId;
const LINE = toUtf8('{"text":"the kettle is on"}');
const ROWS = [
  { key: keys.identity(), value: toUtf8('all the private keys') },
  { key: keys.group(GROUP), value: toUtf8('the name of the group') },
  { key: keys.account(ACCOUNT), value: toUtf8('a friend') },
  { key: keys.line(1), value: LINE },
  { key: keys.groupLine(GROUP, 1), value: new Uint8Array(0) },
];
const PLAIN_TEXTS = ['the id of a secret', 'account-of-a-friend', 'kettle', 'private keys'];
const secret =
  (text: string): AskSecret =>
  async () =>
    toUtf8(text);
const never: AskSecret = () => Promise.reject(new Error('nobody should have been asked'));

/** A folder of a client with some rows, encrypted or not. */
async function folderWithRows(name: string, options: Parameters<typeof unlockStore>[1] = {}): Promise<string> {
  const dir = join(root, name);
  mkdirSync(dir);
  await using store = await openStore(dir, await unlockStore(dir, options));
  await store.commit(ROWS);
  await store.durable();
  return dir;
}

async function rowsOf(dir: string, ask: AskSecret): Promise<number> {
  await using store = await openStore(dir, await unlockStore(dir, { ask }));
  const values = await store.getMany(ROWS.map(({ key }) => key));
  expect(values.map((value) => value && toHex(value))).toEqual(ROWS.map(({ value }) => toHex(value)));
  return (await store.range({ from: Uint8Array.of(0), to: Uint8Array.of(0xff) })).length;
}

/** Every byte of every file below a folder. */
function bytesBelow(dir: string): Buffer {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Buffer.concat(files.map((entry) => readFileSync(join(entry.parentPath, entry.name))));
}

test('S7: an encrypted store shows neither values nor groups nor accounts in its file, and is for its owner alone', async () => {
  const plain = await folderWithRows('plain');
  expect(PLAIN_TEXTS.map((text) => bytesBelow(plain).includes(text))).toEqual(PLAIN_TEXTS.map(() => true));
  const dir = await folderWithRows('sealed', { encrypt: true, ask: secret('open sesame') });
  expect(PLAIN_TEXTS.map((text) => bytesBelow(dir).includes(text))).toEqual(PLAIN_TEXTS.map(() => false));
  expect(statSync(join(dir, 'store')).mode & 0o777).toBe(0o700);
  for (const file of readdirSync(join(dir, 'store')))
    expect(statSync(join(dir, 'store', file)).mode & 0o777).toBe(0o600);
  expect(await rowsOf(dir, secret('open sesame'))).toBe(ROWS.length);
});

test('S7: a wrong passphrase is refused, and so is none; a changed one opens the store from then on, the old one no more', async () => {
  const dir = await folderWithRows('passphrases', { encrypt: true, ask: secret('old') });
  await expect(unlockStore(dir, { ask: secret('guess') })).rejects.toMatchObject({ code: 'passphrase' });
  await expect(unlockStore(dir, {})).rejects.toMatchObject({ code: 'passphrase' });
  await expect(openStore(dir, undefined)).rejects.toMatchObject({ code: 'passphrase' });
  await changeStoreSecret(dir, async (which) => toUtf8(which === 'known' ? 'old' : 'new'));
  await expect(unlockStore(dir, { ask: secret('old') })).rejects.toMatchObject({ code: 'passphrase' });
  expect(await rowsOf(dir, secret('new'))).toBe(ROWS.length);
});

test('a plain store is opened without asking, is not begun anew as an encrypted one, and has no passphrase to change', async () => {
  const dir = await folderWithRows('stays-plain');
  expect(await rowsOf(dir, never)).toBe(ROWS.length);
  await expect(unlockStore(dir, { encrypt: true, ask: never })).rejects.toMatchObject({ code: 'refused' });
  await expect(changeStoreSecret(dir, never)).rejects.toMatchObject({ code: 'refused' });
});

test('S7: encrypting a plain folder keeps every row, and leaves nothing of the plain store', async () => {
  const dir = await folderWithRows('converted');
  expect(await encryptStore(dir, secret('x'))).toEqual({ rows: ROWS.length });
  expect(readdirSync(dir)).toEqual(['store']);
  expect(PLAIN_TEXTS.map((text) => bytesBelow(dir).includes(text))).toEqual(PLAIN_TEXTS.map(() => false));
  expect(await rowsOf(dir, secret('x'))).toBe(ROWS.length);
  await expect(encryptStore(dir, never)).rejects.toMatchObject({ code: 'refused' });
});

test('S7: what a repair kept is named by whether it is encrypted, and left alone by encrypting and by a new passphrase', async () => {
  const dir = await folderWithRows('repaired');
  const [plain, sealed] = [keptStoreAt(dir, 0), keptStoreAt(dir, 1)];
  const other = await folderWithRows('repaired-sealed', { encrypt: true, ask: secret('old') });
  cpSync(join(dir, 'store'), plain, { recursive: true });
  cpSync(join(other, 'store'), sealed, { recursive: true });
  const before = [plain, sealed].map(bytesBelow);
  expect(await encryptFolder(dir, secret('x'))).toEqual({ rows: ROWS.length, plain: [plain] });
  expect(await changePassphrase(dir, secret('x'))).toEqual({ unchanged: [sealed] });
  expect([plain, sealed].map(bytesBelow)).toEqual(before);
  rmSync(plain, { recursive: true });
  expect(PLAIN_TEXTS.map((text) => bytesBelow(dir).includes(text))).toEqual(PLAIN_TEXTS.map(() => false));
});

test('D8: a conversion that was interrupted anywhere leaves the plain or the encrypted store, whole, and no other', async () => {
  const plain = await folderWithRows('before');
  const done = join(root, 'after');
  cpSync(plain, done, { recursive: true });
  await encryptStore(done, secret('x'));
  const scene = (name: string, folders: Readonly<Record<string, string>>): string => {
    const dir = join(root, name);
    for (const [folder, from] of Object.entries(folders)) {
      cpSync(join(from, 'store'), join(dir, folder), { recursive: true });
    }
    return dir;
  };
  const copying = scene('copying', { store: plain, 'store.new': done });
  rmSync(join(copying, 'store.new/data.mdb'));
  expect(await rowsOf(copying, never)).toBe(ROWS.length);
  for (const [name, folders] of [
    ['moved away', { 'store.old': plain, 'store.new': done }],
    ['in its place', { 'store.old': plain, store: done }],
  ] as const) {
    expect(await rowsOf(scene(name, folders), secret('x')), name).toBe(ROWS.length);
  }
  for (const dir of ['copying', 'moved away', 'in its place']) expect(readdirSync(join(root, dir))).toEqual(['store']);
});

test('S7: a row that was changed, or put in the place of another one, is an error and no other value', async () => {
  const rows = new Map<string, Uint8Array>();
  const store = createSealedStore(createMemoryStore(rows), new Uint8Array(32).fill(7));
  await store.commit(ROWS);
  const [first, second] = [...rows.keys()] as [string, string];
  const [one, two] = [rows.get(first)!, rows.get(second)!];
  rows.set(first, two).set(second, one);
  await expect(store.get(keys.identity())).rejects.toMatchObject({ code: 'storage' });
  for (const damaged of [one.with(one.length - 1, one.at(-1)! ^ 1), one.with(20, one[20]! ^ 1), one.slice(0, 5)]) {
    rows.set(first, damaged);
    await expect(store.get(keys.identity())).rejects.toMatchObject({ code: 'storage' });
  }
  const other = createSealedStore(createMemoryStore(rows), new Uint8Array(32).fill(8));
  await expect(other.range(rangeOf('line'))).rejects.toMatchObject({ code: 'storage' });
});

test('an encrypted store answers as a plain one, whatever is written and asked', async () => {
  const group = fc.constantFrom(toUtf8('tea'), toUtf8('teapot'), toUtf8('te'), new Uint8Array(31).fill(0xff));
  const number = fc.nat(5);
  const anyKey = fc.oneof(
    group.map(keys.group),
    fc.tuple(group, number, number).map(([of, epoch, leaf]) => keys.ratchet(of, epoch, leaf)),
    fc.tuple(group, number).map(([of, ordinal]) => keys.groupLine(of, ordinal)),
    number.map(keys.line),
    fc.constantFrom('a', 'b', 'c').map((account) => keys.account(account as AccountId)),
    fc.constantFrom('ca', 'cb').map((cursor) => keys.cursor(cursor as Cursor)),
    fc.uint8Array({ min: 31, max: 31, minLength: 32, maxLength: 32 }).map(keys.keyPackage),
    fc.constant(keys.identity()),
  );
  const batch = fc.array(
    fc.record({ key: anyKey, value: fc.option(fc.uint8Array({ maxLength: 5 }), { nil: undefined }) }),
  );
  const bounds = fc.oneof(
    fc.tuple(anyKey, anyKey).map(([from, to]) => ({ from, to })),
    fc.tuple(group, anyKey).map(([of, to]) => ({ from: rangeOf('groupLine', of).from, to })),
    fc.tuple(group, number).map(([of, n]) => ({ from: keys.groupLine(of, n), to: rangeOf('groupLine', of).to })),
    fc.tuple(group, number).map(([of, n]) => ({ from: rangeOf('groupLine', of).from, to: keys.groupLine(of, n) })),
    group.map((of) => rangeOf('ratchet', of)),
    fc.constantFrom('group', 'account', 'line', 'cursor', 'keyPackage').map((table) => rangeOf(table as 'line')),
    fc.constant({ from: Uint8Array.of(0), to: Uint8Array.of(0xff) }),
  );
  const limit = fc.option(
    fc.nat(3).map((n) => n + 1),
    { nil: undefined },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(batch), fc.array(fc.tuple(bounds, limit, fc.boolean())), async (batches, asked) => {
      const plain = createMemoryStore();
      const sealed = createSealedStore(createMemoryStore(), new Uint8Array(32).fill(1));
      for (const writes of batches) await Promise.all([plain.commit(writes), sealed.commit(writes)]);
      for (const [range, most, reverse] of asked) {
        const options = { ...range, reverse, ...(most === undefined ? {} : { limit: most }) };
        const [expected, given] = await Promise.all([plain.range(options), sealed.range(options)]);
        const readable = (rows: typeof given) => rows.map(([key, value]) => [toHex(key), toHex(value)]);
        expect(readable(given)).toEqual(readable(expected));
      }
    }),
    { numRuns: 100 },
  );
});
