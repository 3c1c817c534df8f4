import { expect } from 'vitest';
import { createBaseImage } from './base-image.ts';
import { playHistory } from './history.ts';
import { createSummary, type Summary } from './summary.ts';

/** Plays the histories of these seeds, one after the other; fails with the account of the first that shows a violation. */
export async function playMany(seeds: Iterable<number>): Promise<Summary> {
  const image = await createBaseImage();
  const summary = createSummary();
  for (const seed of seeds) {
    const result = await playHistory(image, seed);
    summary.add(result);
    expect(
      result.violations,
      `seed ${seed}; npm run simulate -- --seed ${seed} --verbose\n${result.notes.slice(-80).join('\n')}`,
    ).toEqual([]);
  }
  return summary;
}

/** `count` numbers from `first` on. */
export function* range(first: number, count: number): Generator<number> {
  for (let next = first; next < first + count; next += 1) yield next;
}
