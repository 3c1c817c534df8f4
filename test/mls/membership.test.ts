import { expect, test } from 'vitest';
import { createNodeSuite } from '../../src/mls/suite-node.ts';
import { createRandom } from './support/random.ts';
import { createServer } from './support/server.ts';
import { createWorld } from './support/world.ts';

/** Many small groups, and a few whose trees are deeper; 1,020 changes in all: [seed, members at most, changes]. */
const WORLDS = Array.from({ length: 13 }, (_, i): [number, number, number] => [
  i + 1,
  i < 10 ? 5 : 9,
  i < 10 ? 84 : 60,
]);

test.each(WORLDS)(
  'random adds, removes, references, external joins and resyncs leave all members and the server agreed (seed %i, up to %i members, %i changes)',
  async (seed, maxMembers, changes) => {
    const suite = createNodeSuite();
    const { onFounded, onHandshake } = createServer(suite);
    const world = await createWorld(suite, createRandom(seed), { maxMembers, onFounded, onHandshake });
    const done = new Map<string, number>();
    for (let step = 0; step < changes; step += 1) {
      const what = await world.step();
      done.set(what, (done.get(what) ?? 0) + 1);
    }
    expect(world.size()).toBeGreaterThan(0);
    expect(done.size).toBeGreaterThanOrEqual(7);
  },
  120_000,
);
