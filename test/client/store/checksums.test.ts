import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { afterAll, describe, expect, test } from 'vitest';
import { faultOfFile } from '../../../src/client/store/check-file.ts';
import { loadGroups } from '../../../src/client/store/group-rows.ts';
import { keys } from '../../../src/client/store/keys.ts';
import { openLmdbStore } from '../../../src/client/store/lmdb-store.ts';
import { createMemoryStore } from '../../../src/client/store/memory-store.ts';
import { createMlsConfig } from '../../../src/mls/config.ts';
import { equalBytes, toUtf8 } from '../../../src/wire/bytes.ts';
import { encodeCbor } from '../../../src/wire/cbor.ts';

const root = mkdtempSync(join(tmpdir(), 'checksums-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const ALL = { from: Uint8Array.of(0), to: Uint8Array.of(0xff) };
const GROUP = toUtf8('the id of a group, that is long');
const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const;
const OPTIONS = { ...BINARY, noSubdir: false, pageSize: 8192, eventTurnBatching: false } as const;

/** In a first page: its header, and what stands before the number of the last page. */
const LAST_PAGE_AT = 24 + 120;

/** Changes a store's rows behind its back, checksums and all. */
async function behind(path: string, change: (db: ReturnType<typeof open<Uint8Array, Buffer>>) => void): Promise<void> {
  mkdirSync(path, { recursive: true });
  const db = open<Uint8Array, Buffer>({ path, ...OPTIONS });
  await db.transaction(() => change(db));
  await db.flushed;
  await db.close();
}

test('a store from before there were checksums gets them when it is opened, with every row as it was', async () => {
  const path = join(root, 'before');
  const rows = Array.from({ length: 1_200 }, (_none, number) => ({
    key: keys.line(number + 1),
    value: toUtf8(`line ${number} ${'x'.repeat(number === 7 ? 20_000 : number % 300)}`),
  }));
  rows.push({ key: keys.group(GROUP), value: toUtf8('a group') });
  await behind(path, (db) => {
    for (const { key, value } of rows) db.putSync(Buffer.from(key), Buffer.from(value));
  });
  for (let time = 0; time < 2; time += 1) {
    await using store = await openLmdbStore(path);
    const found = await store.range(ALL);
    expect(found).toHaveLength(rows.length);
    const values = await store.getMany(rows.map(({ key }) => key));
    expect(values.every((value, index) => value !== undefined && equalBytes(value, rows[index]!.value))).toBe(true);
    await store.commit([{ key: keys.serverKey(), value: toUtf8('one more') }]);
    await store.commit([{ key: keys.serverKey(), value: undefined }]);
  }
});

test.each([0, 1])(
  'a count of pages that cannot be is refused before LMDB maps that much, in first page %i',
  async (page) => {
    const path = join(root, `counted-${page}`);
    await behind(path, (db) => db.putSync(Buffer.of(1), Buffer.from('row')));
    const file = join(path, 'data.mdb');
    const bytes = readFileSync(file);
    bytes[page * OPTIONS.pageSize + LAST_PAGE_AT + 5]! ^= 1 << 4;
    writeFileSync(file, bytes);
    expect(faultOfFile(file)).toBe('its beginning is damaged');
  },
);

describe('what is damaged is said with the name of the group, where that can be read:', () => {
  const record = { key: keys.group(GROUP), value: encodeCbor({ v: 1, bytes: GROUP, name: 'tea', phase: 'member' }) };

  test('rows that do not fit their checksums', async () => {
    const path = join(root, 'named');
    const ratchet = keys.ratchet(GROUP, 1, 0);
    {
      await using store = await openLmdbStore(path);
      await store.commit([record, { key: ratchet, value: toUtf8('generation 1') }]);
    }
    await behind(path, (db) => {
      const row = Buffer.from(db.get(Buffer.from(ratchet))!);
      row[0]! ^= 1;
      db.putSync(Buffer.from(ratchet), row);
    });
    const message = '#tea: the store is damaged (the keys of a group): mlschat repair recovers what it can';
    await expect(openLmdbStore(path)).rejects.toMatchObject({ code: 'storage', message });
    await behind(path, (db) => {
      db.putSync(Buffer.from(record.key), Buffer.alloc(40));
    });
    await expect(openLmdbStore(path)).rejects.toThrow(/^the store is damaged \(the record of a group\)/);
  });

  test('rows that say nothing that can be read', async () => {
    const store = createMemoryStore(new Map());
    await store.commit([record, { key: keys.pending(GROUP), value: Uint8Array.of(0xff) }]);
    const loading = loadGroups(store, createMlsConfig({ validateCredential: () => true }));
    const message = '#tea: the local store holds something that cannot be read';
    await expect(loading).rejects.toMatchObject({ code: 'storage', message });
  });
});

test('S7: keys of a group that are older than the last, sound as each row is, are not used', async () => {
  const path = join(root, 'older');
  const ratchet = keys.ratchet(GROUP, 1, 0);
  {
    await using store = await openLmdbStore(path);
    await store.commit([{ key: ratchet, value: toUtf8('generation 1') }]);
  }
  let older = Buffer.alloc(0);
  await behind(path, (db) => {
    older = Buffer.from(db.get(Buffer.from(ratchet))!);
  });
  {
    await using store = await openLmdbStore(path);
    await store.commit([{ key: ratchet, value: toUtf8('generation 2') }]);
  }
  await behind(path, (db) => db.putSync(Buffer.from(ratchet), older));
  expect(faultOfFile(join(path, 'data.mdb'))).toBeUndefined();
  await expect(openLmdbStore(path)).rejects.toMatchObject({
    code: 'storage',
    message: expect.stringContaining('older'),
  });
});

test('S7: a row of the history that is not what was written is named when it is read, and no other is kept from its reader', async () => {
  const path = join(root, 'history');
  {
    await using store = await openLmdbStore(path);
    await store.commit([1, 2].map((number) => ({ key: keys.line(number), value: toUtf8(`line ${number}`) })));
  }
  await behind(path, (db) => {
    const value = Buffer.from(db.get(Buffer.from(keys.line(1)))!);
    value[3]! ^= 1;
    db.putSync(Buffer.from(keys.line(1)), value);
  });
  await using store = await openLmdbStore(path);
  expect(await store.get(keys.line(2))).toEqual(toUtf8('line 2'));
  await expect(store.get(keys.line(1))).rejects.toMatchObject({
    code: 'storage',
    message: 'the store is damaged (a line of the history): mlschat repair recovers what it can',
  });
});
