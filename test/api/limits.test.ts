import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createReplaySet } from '../../src/api/auth/replay-set.ts';
import { createTokenBuckets } from '../../src/api/auth/token-buckets.ts';
import { createStreamRegistry } from '../../src/api/sync/stream-registry.ts';
import type { DeviceId } from '../../src/wire/ids.ts';

describe('token buckets', () => {
  it('never give more than the burst and what flowed in since', () => {
    const steps = fc.array(fc.record({ wait: fc.nat(2_000), cost: fc.integer({ min: 1, max: 5 }) }), {
      maxLength: 100,
    });
    fc.assert(
      fc.property(steps, (takes) => {
        const buckets = createTokenBuckets({ perSecond: 10, burst: 20 });
        let now = 1_000;
        const start = now;
        let given = 0;
        for (const { wait, cost } of takes) {
          now += wait;
          if (buckets.take('a', now, cost) === 0) given += cost;
          expect(given).toBeLessThanOrEqual(20 + ((now - start) / 1000) * 10 + 1e-6);
        }
      }),
    );
  });

  it('say after how many seconds to come again, and are right', () => {
    const buckets = createTokenBuckets({ perSecond: 2, burst: 4 });
    expect(buckets.take('a', 0, 4)).toBe(0);
    expect(buckets.take('a', 0, 4)).toBe(2);
    expect(buckets.take('a', 2_000, 4)).toBe(0);
  });

  it('waiting takes nothing, a charge goes into debt, a refund never over the brim', () => {
    const buckets = createTokenBuckets({ perSecond: 1, burst: 2 });
    expect([buckets.wait('a', 0, 2), buckets.wait('a', 0, 2)]).toEqual([0, 0]);
    buckets.charge('a', 0, 5);
    expect(buckets.wait('a', 0)).toBe(4);
    buckets.refund('a', 0, 100);
    expect([buckets.take('a', 0, 2), buckets.take('a', 0)]).toEqual([0, 1]);
  });

  it('keep callers apart', () => {
    const buckets = createTokenBuckets({ perSecond: 1, burst: 1 });
    expect([buckets.take('a', 0), buckets.take('b', 0), buckets.take('a', 0)]).toEqual([0, 0, 1]);
  });
});

describe('the replay set', () => {
  it('remembers every signature for at least one period, whatever the times', () => {
    const PERIOD = 120_000;
    const gaps = fc.array(fc.nat(150_000), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(gaps, (waits) => {
        const set = createReplaySet(PERIOD, 0);
        const added: { signature: Uint8Array; at: number }[] = [];
        let now = 0;
        for (const [index, wait] of waits.entries()) {
          now += wait;
          for (const { signature, at } of added) if (now - at <= PERIOD) expect(set.has(signature, now)).toBe(true);
          const signature = Uint8Array.of(index, 1, 2, 3, 4, 255 - index);
          expect(set.add(signature, now)).toBe(true);
          added.push({ signature, at: now });
        }
      }),
    );
  });
});

describe('the stream registry', () => {
  const [a, b, c] = ['a', 'b', 'c'] as DeviceId[] as [DeviceId, DeviceId, DeviceId];

  it('D13: gives each device its places, and a place back only once', () => {
    const registry = createStreamRegistry({ streamsPerDevice: 2, streamsPerAddress: 100 });
    const first = registry.enter(a, '::1');
    registry.enter(a, '::1');
    expect(registry.enter(a, '::1')).toBeUndefined();
    expect(registry.enter(b, '::1')).toBeDefined();
    first?.leave();
    first?.leave();
    expect(registry.open).toBe(2);
    expect(registry.enter(a, '::1')).toBeDefined();
    expect(registry.enter(a, '::1')).toBeUndefined();
  });

  it('D13: gives each address its places, whatever devices are behind it', () => {
    const registry = createStreamRegistry({ streamsPerDevice: 2, streamsPerAddress: 2 });
    const first = registry.enter(a, '::1');
    registry.enter(b, '::1');
    expect(registry.enter(c, '::1')).toBeUndefined();
    expect(registry.enter(c, '::2')).toBeDefined();
    first?.leave();
    expect(registry.enter(c, '::1')).toBeDefined();
  });
});
