import { expect } from 'vitest';
import { createBaseImage } from './base-image.ts';
import { playHistory } from './history.ts';
import { createSummary, type Summary } from './summary.ts';
import { nameTheme, PLAIN, type Theme } from './theme.ts';

/** Plays histories, one after the other; fails with the account of the first that shows a violation. */
export async function playMany(
  histories: Iterable<{ readonly seed: number; readonly theme: Theme }>,
): Promise<Summary> {
  const image = await createBaseImage();
  const summary = createSummary();
  for (const { seed, theme } of histories) {
    const result = await playHistory(image, seed, { theme });
    summary.add(result);
    expect(
      result.violations,
      `npm run simulate -- --seed ${seed} --theme ${nameTheme(theme)} --verbose\n${result.notes.slice(-80).join('\n')}`,
    ).toEqual([]);
  }
  return summary;
}

/** `count` numbers from `first` on. */
export function* range(first: number, count: number): Generator<number> {
  for (let next = first; next < first + count; next += 1) yield next;
}

/** How many of a thousand histories are of which theme. */
const THOUSAND: readonly (readonly [theme: Theme, count: number])[] = [
  [PLAIN, 600],
  [{ ...PLAIN, restored: true }, 30],
  [{ ...PLAIN, accounts: true }, 150],
  [{ ...PLAIN, compaction: true }, 80],
  [{ ...PLAIN, opaque: true }, 30],
  [{ ...PLAIN, changes: true }, 40],
  [{ ...PLAIN, accounts: true, compaction: true, opaque: true }, 40],
  [{ ...PLAIN, accounts: true, compaction: true, opaque: true, changes: true }, 30],
];

/** One of the thousands of histories that are played with the tests, counted from 0; no seed comes twice with the same theme. */
export function* thousand(number: number): Generator<{ readonly seed: number; readonly theme: Theme }> {
  for (const [theme, count] of THOUSAND) {
    for (const seed of range(number * count + 1, count)) yield { seed, theme };
  }
}
