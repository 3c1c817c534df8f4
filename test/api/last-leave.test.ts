import { expect, it } from 'vitest';
import { createLeaveProposal } from '../../src/mls/session/proposal.ts';
import { membersOf } from '../../src/mls/session/state.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { pathOf, suite, type TestDevice } from '../support/test-device.ts';
import { useServer } from './support.ts';

const { device } = useServer();

/** A group of which all these devices are administrators and have asked to leave, each in the order given. */
async function allLeaving(...all: readonly TestDevice[]): Promise<Uint8Array> {
  const [founder, ...others] = all as [TestDevice, ...TestDevice[]];
  const group = await founder.createGroup();
  await founder.invite(group, ...others);
  const admins = all.map(({ account }) => account).sort();
  await founder.commit(group, { roles: { admins, invite: 'admins', join: 'invite' } });
  for (const other of others) await other.catchUp();
  await leaving(group, all, all);
  return group;
}

/** These leave; those hear of it. */
async function leaving(group: Uint8Array, who: readonly TestDevice[], hearers: readonly TestDevice[]): Promise<void> {
  for (const leaver of who) {
    const { proposal } = await createLeaveProposal(suite, leaver.state(group));
    const body = { proposal };
    okValue(await leaver.http.request('POST', `${pathOf(group)}/proposals`, { body, idempotencyKey: newId() }));
    for (const hearer of hearers) await hearer.process(group, proposal);
  }
}

it('D3: who asked to leave as everybody else commits the leaves of the others, and is left with the group', async () => {
  const [alice, bob, carol] = [await device(), await device(), await device()];
  const group = await allLeaving(alice, bob, carol);
  await expect(bob.prepareCommit(group)).rejects.toMatchObject({ code: 'own-leave-pending' });
  await bob.commit(group, { leavesLast: true });
  expect(membersOf(bob.state(group))).toHaveLength(1);
  const detail = okValue(await bob.http.request('GET', pathOf(group)));
  expect(detail.members).toMatchObject([{ name: bob.name, role: 'admin' }]);
});

it('D3: while somebody stays, who asked to leave commits nothing', async () => {
  const [alice, bob, carol] = [await device(), await device(), await device()];
  const group = await alice.createGroup();
  await alice.invite(group, bob, carol);
  for (const other of [bob, carol]) await other.catchUp();
  await leaving(group, [bob], [alice, bob, carol]);
  const made = await bob.prepareCommit(group, { leavesLast: true });
  expect(problemOf(await bob.postCommit(group, made))).toMatchObject({
    code: 'invalid-commit',
    reason: 'uncovered-proposal',
  });
  await leaving(group, [carol], [alice, bob]);
  const alone = await bob.prepareCommit(group, { leavesLast: true });
  expect(problemOf(await bob.postCommit(group, alone))).toMatchObject({ reason: 'uncovered-proposal' });
  await alice.commit(group);
  expect(membersOf(alice.state(group))).toHaveLength(1);
});

it('D3: an administrator who asked to leave cannot end the group by taking out those who stay', async () => {
  const [alice, bob, carol] = [await device(), await device(), await device()];
  const group = await alice.createGroup();
  await alice.invite(group, bob, carol);
  await alice.commit(group, {
    roles: { admins: [alice.account, bob.account].sort(), invite: 'admins', join: 'invite' },
  });
  for (const other of [bob, carol]) await other.catchUp();
  await leaving(group, [bob], [alice, bob, carol]);
  const made = await bob.prepareCommit(group, { leavesLast: true, remove: [0, 2] });
  expect(problemOf(await bob.postCommit(group, made))).toMatchObject({
    code: 'invalid-commit',
    reason: 'uncovered-proposal',
  });
  await alice.commit(group);
  expect(membersOf(alice.state(group))).toHaveLength(2);
});
