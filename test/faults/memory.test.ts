import { describe, expect, it } from 'vitest';
import { seeded } from '../support/seeded.ts';
import { judgeMemory, type MemorySample } from './memory.ts';

const MINUTE_MS = 60_000;
const GROWTH_MAX = { share: 0.1, mib: 8 };

/** Half an hour of a process that grows by so much an hour, under garbage that comes and goes, after a steep beginning. */
function half(mibPerHour: number, seed: number): MemorySample[] {
  const random = seeded(seed);
  return Array.from({ length: 360 }, (_, i) => {
    const at = (i * MINUTE_MS) / 12;
    const warmUp = 40 * Math.min(1, at / (8 * MINUTE_MS));
    return { at, mib: 60 + warmUp + (mibPerHour * at) / (60 * MINUTE_MS) + random.below(40) };
  });
}

describe('memory', () => {
  it.each([1, 2, 3, 4, 5])('that is flat under garbage is called so (seed %i)', (seed) => {
    const trend = judgeMemory(half(0, seed), GROWTH_MAX);
    expect(trend.isFlat).toBe(true);
    expect(Math.abs(trend.mibPerHour)).toBeLessThan(20);
  });

  it.each([1, 2, 3, 4, 5])('that grows without end is told, and by how much (seed %i)', (seed) => {
    const trend = judgeMemory(half(60, seed), GROWTH_MAX);
    expect(trend.isFlat).toBe(false);
    expect(Math.abs(trend.mibPerHour - 60)).toBeLessThan(20);
    expect(trend.toMib).toBeGreaterThan(trend.fromMib + 10);
  });
});
