import { expect, test } from 'vitest';
import { createNodeSuite } from '../../src/mls/suite-node.ts';
import { createRandom } from './support/random.ts';
import { createServer } from './support/server.ts';
import { CHANGES, createWorld } from './support/world.ts';

/** Many small groups, and a few whose trees are deeper: [seed, members at most, changes of the membership]. */
const WORLDS = Array.from({ length: 13 }, (_, i): [number, number, number] => [
  i + 1,
  i < 11 ? 5 : 9,
  i < 11 ? 80 : 60,
]);
/** Of the draws some find no room, or nobody to go; so many in a row would be a world that stands still. */
const STEPS_PER_CHANGE_MAX = 10;

test('the worlds make a thousand changes and more', () => {
  expect(WORLDS.reduce((sum, [, , changes]) => sum + changes, 0)).toBeGreaterThanOrEqual(1_000);
});

test.each(WORLDS)(
  'random adds, removes, references, external joins and resyncs leave all members and the server agreed (seed %i, up to %i members, %i changes)',
  async (seed, maxMembers, changes) => {
    const suite = createNodeSuite();
    const { onFounded, onHandshake } = createServer(suite);
    const world = await createWorld(suite, createRandom(seed), { maxMembers, onFounded, onHandshake });
    const done = new Map<string, number>();
    let changed = 0;
    for (let step = 0; changed < changes; step += 1) {
      expect(step).toBeLessThan(changes * STEPS_PER_CHANGE_MAX);
      const what = await world.step();
      done.set(what, (done.get(what) ?? 0) + 1);
      if (what !== 'nothing' && what !== 'rotate') changed += 1;
    }
    expect(world.size()).toBeGreaterThan(0);
    expect([...done.keys()]).toEqual(expect.arrayContaining([...CHANGES]));
  },
);
