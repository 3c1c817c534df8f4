import { beforeAll, describe, expect, test } from 'vitest';
import { type BaseImage, createBaseImage } from './base-image.ts';
import { FOUND_SEEDS } from './found-seeds.ts';
import { playHistory } from './history.ts';
import { playMany, range } from './play-many.ts';
import type { Rule } from './violation.ts';
import type { Mutations } from './world.ts';

/** A broken rule shows in one of this many histories, or the checks do not see it. */
const SEEDS_MAX = 60;

let image: BaseImage;
beforeAll(async () => {
  image = await createBaseImage();
});

/** The rules that histories break until one of them breaks this one. */
async function broken(rule: Rule, mutations: Mutations): Promise<ReadonlySet<Rule>> {
  const rules = new Set<Rule>();
  for (const seed of range(1, SEEDS_MAX)) {
    const { violations } = await playHistory(image, seed, { mutations });
    for (const violation of violations) rules.add(violation.rule);
    if (rules.has(rule)) break;
  }
  return rules;
}

describe('the simulation', () => {
  test('plays one history for one seed, step by step', async () => {
    for (const seed of [3, 5]) {
      const first = await playHistory(image, seed);
      const again = await playHistory(image, seed);
      expect(first.notes.length).toBeGreaterThan(20);
      // keys are random and decide nothing, so the same account comes from another image too
      const elsewhere = await playHistory(await createBaseImage(), seed);
      expect(again.notes).toEqual(first.notes);
      expect(elsewhere.notes).toEqual(first.notes);
      expect(elsewhere.events).toBe(first.events);
    }
  });

  test('breaks no rule in the histories that once showed a fault', async () => {
    const summary = await playMany(FOUND_SEEDS.map(({ seed }) => seed));
    expect(summary.histories).toBe(FOUND_SEEDS.length);
  });
});

describe('the checks see it when', () => {
  test.each<{ what: string; rule: Rule; mutations: () => Mutations }>([
    {
      what: 'D1: the log does not compare',
      rule: 'one commit an epoch',
      mutations: () => ({ logWithoutCompare: true }),
    },
    {
      what: 'an answer says that something was taken that was not',
      rule: 'acknowledged is kept',
      mutations: () => ({ answersWhatWasLost: true }),
    },
    { what: 'D5: a server skips an entry', rule: 'nothing is parked', mutations: () => ({ skipsEntries: true }) },
    {
      what: 'D11: a server shows to all what is for one',
      rule: 'nothing outside the window',
      mutations: () => ({ answersAs: image.personas[0]!.device }),
    },
    { what: 'a server’s cursors lead back', rule: 'cursors only grow', mutations: () => ({ cursorsGoBack: true }) },
    {
      what: 'a client forgets how far its ratchets are',
      rule: 'no generation twice',
      mutations: () => ({ ratchetsNotStored: true }),
    },
    {
      what: 'a disk says too early that it has written',
      rule: 'nothing is parked',
      mutations: () => ({ durableLies: true }),
    },
  ])('$what', async ({ rule, mutations }) => {
    expect([...(await broken(rule, mutations()))]).toContain(rule);
  });
});
