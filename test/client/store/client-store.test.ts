import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { ClientStore, Write } from '../../../src/client/store/client-store.ts';
import { openLmdbStore } from '../../../src/client/store/lmdb-store.ts';
import { createMemoryStore } from '../../../src/client/store/memory-store.ts';
import { createSealedStore } from '../../../src/client/store/sealed-store.ts';
import { toHex, toUtf8 } from '../../../src/wire/bytes.ts';

const folder = mkdtempSync(join(tmpdir(), 'client-store-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let number = 0;
/** Of 512 or 1,024 bytes, as the shell has it: room for a few of the commits of `fill-disk.ts`. */
const FILE_MAX_BLOCKS = 3_000;

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const END = bytes(0xff, 0xff);

/** Opens a store anew over what an earlier one of the same place left. */
type Opener = () => Promise<{ open: () => Promise<ClientStore> }>;
const KINDS: readonly (readonly [string, Opener])[] = [
  [
    'memory',
    async () => {
      const rows = new Map<string, Uint8Array>();
      return { open: async () => createMemoryStore(rows) };
    },
  ],
  [
    'memory, encrypted',
    async () => {
      const rows = new Map<string, Uint8Array>();
      const dataKey = new Uint8Array(randomBytes(32));
      return { open: async () => createSealedStore(createMemoryStore(rows), dataKey) };
    },
  ],
  [
    'LMDB, encrypted',
    async () => {
      number += 1;
      const path = join(folder, String(number));
      const dataKey = new Uint8Array(randomBytes(32));
      return { open: async () => createSealedStore(await openLmdbStore(path), dataKey) };
    },
  ],
  [
    'LMDB',
    async () => {
      number += 1;
      const path = join(folder, String(number));
      return { open: () => openLmdbStore(path) };
    },
  ],
];

describe.each(KINDS)('a client store in %s', (_kind, opener) => {
  const opened: ClientStore[] = [];
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
  });
  const openOne = async (place: Awaited<ReturnType<Opener>>): Promise<ClientStore> => {
    const store = await place.open();
    opened.push(store);
    return store;
  };

  test('what was committed is read, replaced, removed, and there again after it is opened anew', async () => {
    const place = await opener();
    const store = await openOne(place);
    await store.commit([
      { key: bytes(1), value: bytes(10) },
      { key: bytes(2), value: new Uint8Array(0) },
    ]);
    await store.commit([
      { key: bytes(1), value: bytes(11) },
      { key: bytes(3), value: bytes(30) },
      { key: bytes(2), value: undefined },
      { key: bytes(9), value: undefined },
    ]);
    await store.durable();
    expect(await store.get(bytes(1))).toEqual(bytes(11));
    expect(await store.getMany([bytes(3), bytes(2)])).toEqual([bytes(30), undefined]);
    await store.close();
    const again = await openOne(place);
    expect(await again.range({ from: bytes(0), to: END })).toEqual([
      [bytes(1), bytes(11)],
      [bytes(3), bytes(30)],
    ]);
  });

  test('an empty value is a value', async () => {
    const store = await openOne(await opener());
    await store.commit([{ key: bytes(5), value: new Uint8Array(0) }]);
    expect(await store.get(bytes(5))).toEqual(new Uint8Array(0));
    expect(await store.range({ from: bytes(0), to: END })).toHaveLength(1);
  });

  test('ranges are half open, in the order of the bytes, both ways, and bounded', async () => {
    const store = await openOne(await opener());
    const names = [bytes(1), bytes(1, 0), bytes(1, 0xff), bytes(2), bytes(2, 1), bytes(0x80), bytes(0xfe)];
    await store.commit([...names].reverse().map((key) => ({ key, value: key })));
    const read = async (options: Parameters<ClientStore['range']>[0]) =>
      (await store.range(options)).map(([key]) => toHex(key));
    expect(await read({ from: bytes(1, 0), to: bytes(2, 1) })).toEqual(['0100', '01ff', '02']);
    expect(await read({ from: bytes(1, 0), to: bytes(2, 1), reverse: true })).toEqual(['02', '01ff', '0100']);
    expect(await read({ from: bytes(1), to: END, limit: 2 })).toEqual(['01', '0100']);
    expect(await read({ from: bytes(1), to: END, limit: 2, reverse: true })).toEqual(['fe', '80']);
    expect(await read({ from: bytes(3), to: bytes(4) })).toEqual([]);
  });

  test('any sequence of commits leaves what a map would hold', async () => {
    const key = fc.uint8Array({ minLength: 1, maxLength: 3, max: 3 });
    const write = fc.record({ key, value: fc.option(fc.uint8Array({ maxLength: 4 }), { nil: undefined }) });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(write, { maxLength: 6 }), { maxLength: 6 }), async (batches) => {
        const store = await (await opener()).open();
        const model = new Map<string, Uint8Array>();
        for (const batch of batches) {
          await store.commit(batch as Write[]);
          for (const { key: name, value } of batch) {
            if (value === undefined) model.delete(toHex(name));
            else model.set(toHex(name), value);
          }
        }
        const rows = await store.range({ from: bytes(0), to: END });
        expect(rows.map(([name, value]) => [toHex(name), toHex(value)])).toEqual(
          [...model].map(([name, value]) => [name, toHex(value)]).sort(([a], [b]) => (a! < b! ? -1 : 1)),
        );
        await store.close();
      }),
      { numRuns: 30 },
    );
  });

  test('commits that were started together apply in the order they were started', async () => {
    const store = await openOne(await opener());
    await Promise.all(Array.from({ length: 50 }, (_, i) => store.commit([{ key: bytes(7), value: bytes(i) }])));
    expect(await store.get(bytes(7))).toEqual(bytes(49));
  });
});

test('a store whose beginning was interrupted is begun; one that lost what it held is refused', async () => {
  const path = join(folder, 'interrupted');
  const [file, key] = [join(path, 'data.mdb'), bytes(1)];
  await using begun = await openLmdbStore(path);
  await begun.close();
  truncateSync(file);
  await using again = await openLmdbStore(path);
  await again.commit([{ key, value: bytes(1) }]);
  await again.close();
  truncateSync(file);
  await expect(openLmdbStore(path)).rejects.toMatchObject({ code: 'storage' });
  rmSync(join(path, 'lock.mdb')); // a copy of the file alone says nothing of what it held
  await expect(openLmdbStore(path)).rejects.toMatchObject({ code: 'storage' });
  writeFileSync(join(path, 'lock.mdb'), ''); // as far as it had come
  await using last = await openLmdbStore(path);
  expect(await last.get(key)).toBeUndefined();
});

test('S7: the store’s files are for their owner alone', async () => {
  const path = join(folder, 'modes');
  const store = await openLmdbStore(path);
  await store.commit([{ key: bytes(1), value: bytes(1) }]);
  await store.durable();
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(statSync(join(path, 'data.mdb')).mode & 0o777).toBe(0o600);
  expect(statSync(join(path, 'lock.mdb')).mode & 0o777).toBe(0o600);
  await store.close();
});

test('S7: a secret that was removed or replaced is nowhere in the file after a few more commits', async () => {
  const path = join(folder, 'spent');
  const store = await openLmdbStore(path);
  const file = () => readFileSync(join(path, 'data.mdb'));
  const key = (i: number) => toUtf8(`row ${String(i).padStart(5, '0')}`);
  const row = () => new Uint8Array(randomBytes(76));
  const keys = ['row 00300 removed', 'row 00400 longer', 'row 00450 shorter', 'row 00500 equal'].map(toUtf8);
  const secrets = keys.map(row);
  const large = new Uint8Array(randomBytes(30_000));
  await store.commit(Array.from({ length: 600 }, (_, i) => ({ key: key(i), value: row() })));
  await store.commit(keys.map((name, i) => ({ key: name, value: secrets[i]! })));
  await store.commit([{ key: toUtf8('large'), value: large }]);
  await store.durable();
  const known = [...secrets, large.subarray(10_000, 10_060)];
  const found = () => known.map((secret) => file().includes(Buffer.from(secret)));
  expect(found()).toEqual(known.map(() => true));
  await store.commit([
    { key: keys[0]!, value: undefined },
    { key: keys[1]!, value: new Uint8Array(115), secret: true },
    { key: keys[2]!, value: new Uint8Array(38), secret: true },
    { key: keys[3]!, value: new Uint8Array(76), secret: true },
    { key: toUtf8('large'), value: new Uint8Array(29_000), secret: true },
  ]);
  // other rows, in other pages: what is reused is what became free
  for (let i = 0; i < 12; i += 1) {
    await store.commit([
      { key: key(i * 7), value: row() },
      { key: toUtf8('large'), value: new Uint8Array(29_000 + i), secret: true },
    ]);
  }
  await store.durable();
  expect(found()).toEqual(known.map(() => false));
  await store.close();
});

test('a full disk is an error of the commit: the process lives, reads go on, nobody waits for durability, closing ends', {
  timeout: 60_000,
}, async () => {
  const program = join(import.meta.dirname, 'fill-disk.ts');
  const limited = `ulimit -f ${FILE_MAX_BLOCKS}; exec "$0" --import tsx "$1" "$2"`;
  const args = ['-c', limited, process.execPath, program, join(folder, 'full')];
  const { stdout } = await promisify(execFile)('/bin/sh', args);
  expect(JSON.parse(stdout)).toEqual({
    failures: ['storage', 'storage'],
    rows: 'readable',
    durable: 'storage',
    closed: true,
  });
});
