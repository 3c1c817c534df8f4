import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { salvage } from '../../../src/client/repair/salvage.ts';
import { faultOfFile, isCutOff } from '../../../src/client/store/check-file.ts';
import { keys, letterOf } from '../../../src/client/store/keys.ts';
import { openLmdbFile, type Snapshot } from '../../../src/client/store/lmdb-file.ts';
import { openLmdbStore } from '../../../src/client/store/lmdb-store.ts';
import { fromUtf8, toUtf8 } from '../../../src/wire/bytes.ts';
import { tempFolder } from '../../support/nats.ts';

const PAGE = 8192;
/** Of a meta page: its header, and where in it stand the flags, the transaction and the start of the machine. */
const META = { flags: 24 + 28, txn: 24 + 128, boot: 24 + 136 };
const UNSYNCED = 0x1000;
const KEY = keys.group(toUtf8('tea'));
const COMMITS = 5;

/** A store with the last of some commits, every one of them synced. */
async function writeStore(folder: string): Promise<string> {
  const store = await openLmdbStore(folder);
  for (let i = 1; i <= COMMITS; i += 1) {
    await store.commit([{ key: KEY, value: toUtf8(`v${i}`) }]);
    await store.durable();
  }
  await store.close();
  return join(folder, 'data.mdb');
}

function metasOf(path: string): { first: Snapshot; second: Snapshot; newest: Snapshot } {
  using file = openLmdbFile(path);
  const [first, second] = [file.meta('first'), file.meta('second')];
  if (typeof first === 'string' || typeof second === 'string') throw new Error('no metas');
  return { first, second, newest: first.txn > second.txn ? first : second };
}

test('S7: where it cannot be known what was synced, an earlier state of a store is never taken for the newest', async () => {
  await using folder = await tempFolder();
  const path = await writeStore(folder.path);
  const bytes = await readFile(path);
  bytes.fill(0, PAGE / 2, PAGE);
  bytes.fill(0xff, metasOf(path).newest.main.root! * PAGE, (metasOf(path).newest.main.root! + 1) * PAGE);
  await writeFile(path, bytes);
  using file = openLmdbFile(path);
  expect(salvage(file).isProven(letterOf('group'))).toBe(false);
});

// elsewhere it cannot be known when the machine was started
describe.skipIf(!existsSync('/proc/sys/kernel/random/boot_id'))('a machine that went down between two syncs', () => {
  const snapshot = (txn: number, unsynced: boolean, boot = 1n): Snapshot => ({
    ...{ txn, unsynced, boot, lastPage: 9 },
    free: { depth: 0, rows: 0, root: undefined },
    main: { depth: 0, rows: 0, root: undefined },
  });

  test('leaves a store that opens where it was synced last, however far the two beginnings are apart', async () => {
    await using folder = await tempFolder();
    const path = await writeStore(folder.path);
    const { first, second } = metasOf(path);
    const at = first.txn < second.txn ? 0 : PAGE;
    const bytes = await readFile(path);
    const later = Math.max(first.txn, second.txn) + 3;
    bytes.writeUInt16LE(bytes.readUInt16LE(at + META.flags) | UNSYNCED, at + META.flags);
    bytes.writeBigUInt64LE(BigInt(later), at + META.txn);
    bytes.writeBigUInt64LE(1n, at + META.boot);
    await writeFile(path, bytes);
    expect(Math.abs(metasOf(path).first.txn - metasOf(path).second.txn)).toBe(3);
    expect(faultOfFile(path)).toBeUndefined();
    const store = await openLmdbStore(folder.path);
    expect(fromUtf8((await store.get(KEY))!)).toBe(`v${COMMITS}`);
    await store.close();
  });

  test('is told from a store that lost one of its beginnings', () => {
    expect(isCutOff([snapshot(6, true), snapshot(3, true), snapshot(4, false)])).toBe(true);
    expect(isCutOff([snapshot(6, false), snapshot(3, true), snapshot(4, false)])).toBe(false);
    expect(isCutOff([snapshot(6, true), snapshot(3, true), snapshot(2, false)])).toBe(false);
    expect(isCutOff([snapshot(6, true), snapshot(3, true), 'it was never synced'])).toBe(false);
  });
});
