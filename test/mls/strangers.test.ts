import { expect, test } from 'vitest';
import { createMlsConfig } from '../../src/mls/config.ts';
import { createCommit } from '../../src/mls/session/commit.ts';
import { receive } from '../../src/mls/session/receive.ts';
import { decodeState, encodeState } from '../../src/mls/session/state-codec.ts';
import { createNodeSuite } from '../../src/mls/suite-node.ts';
import { groupOf, NOW, packageOf, person } from './support/people.ts';

const suite = createNodeSuite();

test('S4: a commit that adds two strangers at once is refused, and nothing is left that nobody hears of', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const strangers = await Promise.all(['carol', 'dave'].map((name) => person(suite, name)));
  const packages = await Promise.all(strangers.map((who) => packageOf(suite, who)));
  const add = packages.map(({ bytes }) => bytes);
  const { commit } = await createCommit(suite, states[0]!, { add, inlineTree: true, groupInfoTree: false, now: NOW });

  const asked: string[] = [];
  const wary = createMlsConfig({
    validateCredential: (identity) => {
      asked.push(identity);
      return !strangers.some((who) => who.identity === identity);
    },
  });
  const unheard: unknown[] = [];
  const hear = (error: unknown): void => void unheard.push(error);
  process.on('unhandledRejection', hear);
  const bob = decodeState(encodeState(states[1]!), wary);
  expect(await receive(suite, bob, commit)).toMatchObject({ kind: 'rejected', code: 'invalid-commit' });
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', hear);
  expect(unheard).toEqual([]);
  // each of them is asked about, so that both accounts can be fetched at once
  for (const { identity } of strangers) expect(asked).toContain(identity);

  // the state is as it was, and its own judge judges on
  const trusting = decodeState(encodeState(bob), createMlsConfig({ validateCredential: () => true }));
  expect(await receive(suite, trusting, commit)).toMatchObject({ kind: 'commit' });
});
