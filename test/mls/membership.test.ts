import { expect, test } from 'vitest';
import { createNodeSuite } from '../../src/mls/suite-node.ts';
import { createRandom } from './support/random.ts';
import { createWorld } from './support/world.ts';

const STEPS_PER_SEED = 90;
const SEEDS = Array.from({ length: 12 }, (_, i) => i + 1);

test.each(SEEDS)(
  'random adds, removes, references, external joins and resyncs leave all members agreed and reading (seed %i)',
  async (seed) => {
    const random = createRandom(seed);
    const world = await createWorld(createNodeSuite(), random, { maxMembers: 7 });
    const done = new Map<string, number>();
    for (let step = 0; step < STEPS_PER_SEED; step += 1) {
      const what = await world.step();
      done.set(what, (done.get(what) ?? 0) + 1);
    }
    expect(world.size()).toBeGreaterThan(0);
    expect(done.size).toBeGreaterThanOrEqual(7);
  },
  60_000,
);
