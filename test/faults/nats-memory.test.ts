import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findNatsServer } from '../../src/log/nats-server/find.ts';
import type { LogEntry } from '../../src/log/reader.ts';
import { openTestLog, tempFolder } from '../support/nats.ts';
import { seeded } from '../support/seeded.ts';
import { judgeMemory, type MemorySample } from './memory.ts';
import { heldMore, type NatsHeld, openNatsWatch } from './nats-memory.ts';

const LOOKS = 3;
const HEAP_GROWTH_MAX = { share: 0.05, mib: 3 };
/** As measured. */
const CONSUMER_MIB = 0.024;
const BLOCK_MIB = 8;
const BLOCK_SECONDS = 53;

/** Of 25 minutes: a block that fills and is let go, and so many consumers a minute that nobody deletes. */
function heapOf(consumersAMinute: number, seed: number): MemorySample[] {
  const random = seeded(seed);
  return Array.from({ length: 300 }, (_, i) => {
    const seconds = i * 5;
    const block = (BLOCK_MIB * (seconds % BLOCK_SECONDS)) / BLOCK_SECONDS;
    const noise = random.below(100) / 100;
    return { at: seconds * 1000, mib: 2 + block + noise + (CONSUMER_MIB * consumersAMinute * seconds) / 60 };
  });
}

const flat: NatsHeld = { consumers: 1, connections: 1, subscriptions: 80 };

describe('the memory of nats-server', () => {
  it('is flat while blocks of the log come and go, and grows with consumers that are made and never deleted', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      expect(judgeMemory(heapOf(0, seed), HEAP_GROWTH_MAX).isFlat).toBe(true);
      expect(judgeMemory(heapOf(20, seed), HEAP_GROWTH_MAX).isFlat).toBe(false);
    }
  });

  it('is told of a single consumer too many, and not of one that is there beside its successor for a while', () => {
    const held = Array.from({ length: 30 }, () => flat);
    const twice = { ...flat, consumers: 2 };
    expect(heldMore(held.map((each, i) => (i % 5 === 0 ? twice : each)))).toEqual([]);
    expect(heldMore(held.map((each, i) => (i >= 20 ? twice : each)))).toEqual([
      'nats-server had 1 consumers, and 2 in the end',
    ]);
  });

  it('is looked at from beside: readers of a log that are never ended are counted, and looking adds nothing', async () => {
    await using folder = await tempFolder();
    const nats = join(folder.path, 'nats');
    const watch = await openNatsWatch(join(folder.path, 'watch'), join(nats, 'ports'));
    const { version } = await findNatsServer();
    await using test = await openTestLog({ place: { folder: nats, binary: { path: watch.program, version } } });
    const look = async (): Promise<void> => {
      for (let i = 0; i < LOOKS; i += 1) await watch.look();
    };
    await look();
    await look();
    await look();
    expect(heldMore(watch.held)).toEqual([]);
    expect(watch.heap.at(-1)!.mib).toBeGreaterThan(0);
    const reading: AsyncIterator<readonly LogEntry[]>[] = [];
    for (let i = 0; i < 2; i += 1) {
      const reader = (await test.log.read())[Symbol.asyncIterator]();
      await reader.next();
      reading.push(reader);
    }
    await look();
    for (const reader of reading) await reader.return?.();
    expect(heldMore(watch.held.slice(LOOKS))).toContain('nats-server had 0 consumers, and 2 in the end');
  });
});
