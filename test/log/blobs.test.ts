import { randomBytes } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { LogError } from '../../src/log/errors.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import type { DeviceId, GroupId } from '../../src/wire/ids.ts';
import { killServer, openTestLog, tempFolder } from '../support/nats.ts';

const MIB = 1024 * 1024;
const DEVICE = 'd'.repeat(32) as DeviceId;
const GROUP = 'g'.repeat(22) as GroupId;
const DAY_MS = 24 * 60 * 60 * 1000;
const blobOf = (size: number) => {
  const bytes = new Uint8Array(randomBytes(size));
  return { bytes, group: GROUP, hash: toBase64Url(nodeSha256(bytes)) };
};

describe('blobs', () => {
  test('are there whole or not at all when the server dies while it takes them', async () => {
    await using opened = await openTestLog();
    const { log } = opened;
    const blobs = await log.openBlobs({ retentionMs: DAY_MS, replicas: 1 });
    const safe = blobOf(8 * MIB);
    await blobs.put(DEVICE, safe, safe.bytes);
    const all = Array.from({ length: 6 }, () => blobOf(4 * MIB));
    const put = all.map(({ bytes, ...blob }) => blobs.put(DEVICE, blob, bytes).then(...[() => true, () => false]));
    await killServer(log);
    const taken = await Promise.all(put);
    expect(Buffer.compare((await blobs.get(GROUP, safe.hash))!, safe.bytes)).toBe(0);
    for (const [index, { hash, bytes }] of all.entries()) {
      const found = await blobs.get(GROUP, hash);
      if (taken[index] === true) expect(found).toBeDefined();
      if (found !== undefined) expect(Buffer.compare(found, bytes)).toBe(0);
    }
    const held = await blobs.heldBy(DEVICE);
    expect(held).toContainEqual({ group: GROUP, hash: safe.hash, size: 8 * MIB });
    expect(await blobs.heldBy('e'.repeat(32) as DeviceId)).toEqual([]);
  });

  test('are storage-full when there is no room, readable by the owner of the folder alone, and kept as long as is said last', async () => {
    await using folder = await tempFolder();
    await using opened = await openTestLog({ place: { folder: folder.path, maxStoreBytes: 6 * MIB } });
    const { log } = opened;
    const blobs = await log.openBlobs({ retentionMs: DAY_MS, replicas: 1 });
    const [first, second] = [blobOf(8 * MIB), blobOf(4 * MIB)];
    await blobs.put(DEVICE, first, first.bytes);
    const refused = await blobs.put(DEVICE, second, second.bytes).catch((error: LogError) => error.code);
    expect(refused).toBe('storage-full');
    expect(await blobs.get(GROUP, second.hash)).toBeUndefined();
    await expect(blobs.put(DEVICE, first, new Uint8Array(9 * MIB))).rejects.toMatchObject({ code: 'too-large' });
    const files = await readdir(folder.path, { recursive: true });
    const block = files.find((file) => file.includes('MLS_BLOBS') && file.endsWith('.blk'))!;
    expect((await stat(join(folder.path, block))).mode & 0o777).toBe(0o600);
    expect((await log.openBlobs({ retentionMs: 2 * DAY_MS, replicas: 1 })).maxBytes).toBeGreaterThan(8 * MIB);
  });
});
