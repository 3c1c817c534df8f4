import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { type Log, openLog } from '../../src/log/open-log.ts';
import type { DeviceId, GroupId } from '../../src/wire/ids.ts';
import { TEST_DOMAIN } from '../support/nats.ts';
import { openNatsCluster } from '../support/nats-cluster.ts';

const DEVICE = 'd'.repeat(32) as DeviceId;
const GROUP = 'g'.repeat(22) as GroupId;
const DAY_MS = 24 * 60 * 60 * 1000;

test('blobs put on one server of a cluster are on the others at once, also when all of them make room for blobs at the same moment', async () => {
  await using cluster = await openNatsCluster();
  const logs: Log[] = [];
  try {
    for (const { url } of cluster.servers) {
      const place = { servers: [url], token: cluster.token };
      logs.push(await openLog({ place, domain: TEST_DOMAIN, tablesEmpty: true, replicas: 3 }));
    }
    const stores = await Promise.all(logs.map((log) => log.openBlobs({ retentionMs: DAY_MS, replicas: 3 })));
    for (let i = 0; i < 12; i += 1) {
      const bytes = new Uint8Array(randomBytes(i === 0 ? 8 * 1024 * 1024 : 100_000));
      await stores[i % 3]!.put(DEVICE, { group: GROUP, hash: `hash-${i}` }, bytes);
      for (const store of stores) {
        const found = await store.get(GROUP, `hash-${i}`);
        expect(found !== undefined && Buffer.compare(found, bytes) === 0).toBe(true);
      }
    }
    expect(await stores[2]!.heldBy(DEVICE)).toHaveLength(12);
    expect(await stores[1]!.get(GROUP, 'hash-of-nothing')).toBeUndefined();
  } finally {
    for (const log of logs) await log.close();
  }
});
