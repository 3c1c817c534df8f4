import { describe, expect, test } from 'vitest';
import {
  AFTER_JOIN_MS,
  freshLeaf,
  packageLeaf,
  ROTATION,
  renewalDue,
  usedOnce,
} from '../../src/client/engine/rotation.ts';
import type { Group } from '../../src/client/engine/types.ts';
import { emptyGroup } from '../../src/client/engine/welcome.ts';
import { together, useChatters, WAIT_MS } from '../support/chatters.ts';
import { createFakeServer } from '../support/fake-server.ts';
import { until } from '../support/until.ts';

const open = useChatters();

describe('when keys are due', () => {
  const member = (more: Partial<Group>): Group => ({
    ...emptyGroup(new Uint8Array(32), 'tea'),
    phase: 'member',
    ...more,
  });

  test('some minutes after a join, after so many messages, or after so much time, whatever is first', () => {
    expect(renewalDue(member({ leafUse: packageLeaf(1000) }), ROTATION)).toBe(1000 + AFTER_JOIN_MS);
    expect(renewalDue(member({ leafUse: freshLeaf(1000) }), ROTATION)).toBe(1000 + ROTATION.afterMs);
    let use = freshLeaf(1000);
    for (let sent = 0; sent < ROTATION.afterMessages; sent += 1) use = usedOnce(use);
    expect(renewalDue(member({ leafUse: use }), ROTATION)).toBe(1000);
    const never = { afterMessages: Number.POSITIVE_INFINITY, afterMs: Number.POSITIVE_INFINITY };
    expect(renewalDue(member({ leafUse: use }), never)).toBe(Number.POSITIVE_INFINITY);
  });

  test('never while a commit is under way, one leaves, or nothing can be committed', () => {
    const leafUse = packageLeaf(0);
    const rotate = { kind: 'rotate', id: 'r', attempts: 0, refusals: 0, settled: [] } as const;
    expect(renewalDue(member({ leafUse, intentions: [rotate] }), ROTATION)).toBeUndefined();
    expect(renewalDue(member({ leafUse, phase: 'parked' }), ROTATION)).toBeUndefined();
    const leaving = { id: 'l' as never, epoch: 1, accepted: false };
    expect(renewalDue(member({ leafUse, leaving }), ROTATION)).toBeUndefined();
  });
});

test('keys that were used often are renewed by themselves, once, and everybody agrees about the new epoch', async () => {
  const server = createFakeServer();
  const rotation = { afterMessages: 3, afterMs: Number.POSITIVE_INFINITY };
  // no spread: the first draw is the turn
  const alice = await open(server, 'alice', { rotation, random: () => 0 });
  const bob = await open(server, 'bob');
  const group = await together([alice, bob]);
  for (const text of ['one', 'two', 'three']) await alice.chat.send(group, text);
  expect(await alice.chat.flushed(WAIT_MS)).toBe(0);
  await alice.chat.caughtUp(WAIT_MS);
  // what is due is seen at the next look; a start is one
  await alice.restart();
  const renewals = async () =>
    (await bob.lines(group)).filter((line) => line.kind === 'membership' && line.rotated && line.by.name === 'alice');
  await until(async () => (await renewals()).length === 1);
  await alice.chat.caughtUp(WAIT_MS);
  await alice.chat.send(group, 'four');
  await bob.waitForText(group, 'four');
  await alice.chat.caughtUp(WAIT_MS);
  expect(await alice.epochAuthenticator(group)).toBe(await bob.epochAuthenticator(group));
  expect(await renewals()).toHaveLength(1);
});
