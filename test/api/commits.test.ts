import { describe, expect, it } from 'vitest';
import { createLeaveProposal } from '../../src/mls/session/proposal.ts';
import { epochAuthenticatorOf, membersOf } from '../../src/mls/session/state.ts';
import { toHex } from '../../src/wire/bytes.ts';
import { decodeReceipt } from '../../src/wire/receipt.ts';
import { isSignedBy, unsigned } from '../support/receipt-signatures.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { conflictEntries, pathOf, suite, type TestDevice } from '../support/test-device.ts';
import { useServer } from './support.ts';

const { server, device } = useServer();

const devices = (count: number): Promise<TestDevice[]> => Promise.all(Array.from({ length: count }, () => device()));
const propose = (by: TestDevice, group: Uint8Array, proposal: Uint8Array, idempotencyKey: string = newId()) =>
  by.http.request('POST', `${pathOf(group)}/proposals`, { body: { proposal }, idempotencyKey });
const reason = async (answered: Promise<Parameters<typeof problemOf>[0]>) => {
  const problem = problemOf(await answered);
  return problem.code === 'invalid-commit' ? problem.reason : problem.code;
};

/** A group of these devices; the first one founded it. */
async function groupOf(founder: TestDevice, ...others: TestDevice[]): Promise<Uint8Array> {
  const group = await founder.createGroup();
  if (others.length > 0) await founder.invite(group, ...others);
  for (const other of others) await other.catchUp();
  return group;
}

describe('commits', () => {
  it('are answered with position, epoch and a receipt that the server’s key signed', async () => {
    const [alice, bob] = (await devices(2)) as [TestDevice, TestDevice];
    const group = await alice.createGroup();
    const accepted = await alice.invite(group, bob);
    expect(accepted).toMatchObject({ position: 2, epoch: 1 });
    const { serverKey } = okValue(await alice.http.request('GET', '/.well-known/mlsd', { unsigned: true }));
    expect(isSignedBy(serverKey, accepted.receipt)).toBe(true);
    const { group: id, position, head, time } = decodeReceipt(accepted.receipt.receipt);
    expect({ id, position, head, time }).toEqual({ id: group, position: 2, head: accepted.head, time: accepted.time });
  });

  it('D1: of 20 concurrent commits for one epoch exactly one is taken, and 19 get the winner with the conflict', async () => {
    const members = await devices(20);
    const [founder, ...others] = members as [TestDevice, ...TestDevice[]];
    const group = await groupOf(founder, ...others);
    for (let round = 1; round <= 3; round += 1) {
      const made = await Promise.all(members.map((member) => member.prepareCommit(group)));
      const answers = await Promise.all(members.map((member, i) => member.postCommit(group, made[i]!)));
      const winners = answers.flatMap((answered, i) => (answered.status === 201 ? [i] : []));
      expect(winners).toHaveLength(1);
      const winner = winners[0]!;
      for (const [i, answered] of answers.entries()) {
        if (i === winner) continue;
        const problem = problemOf(answered);
        expect(problem).toMatchObject({ code: 'epoch-conflict', currentEpoch: 1 + round, more: false });
        const entries = conflictEntries(problem.entries ?? []);
        expect(entries.at(-1)).toMatchObject({ kind: 'commit', payload: made[winner]!.commit });
        expect(await members[i]!.process(group, made[winner]!.commit)).toMatchObject({ kind: 'commit' });
      }
      members[winner]!.setState(group, made[winner]!.next);
      const authenticators = members.map((member) => toHex(epochAuthenticatorOf(member.state(group))));
      expect(new Set(authenticators).size).toBe(1);
    }
  });

  it('D2: the Welcome of a losing commit is never delivered, that of the winner only with its commit in the log', async () => {
    const [alice, bob, carol] = (await devices(3)) as [TestDevice, TestDevice, TestDevice];
    const group = await alice.createGroup(undefined, { invite: 'members' });
    await alice.invite(group, bob);
    await bob.catchUp();
    const [first, second] = await Promise.all(
      [alice, bob].map(async (by) => {
        const { results } = okValue(await by.claim(group, [carol.account]));
        return await by.prepareCommit(group, { add: [results[0].keyPackage] });
      }),
    );
    expect((await carol.syncAll()).filter(({ kind }) => kind === 'welcome')).toEqual([]);
    const answers = await Promise.all([alice.postCommit(group, first!), bob.postCommit(group, second!)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
    const winner = answers[0]!.status === 201 ? first! : second!;
    const entries = await carol.syncAll();
    const welcomes = entries.filter((entry) => entry.kind === 'welcome');
    expect(welcomes).toHaveLength(1);
    expect(welcomes[0]).toMatchObject({ payload: { welcome: winner.welcome, epoch: 2 } });
  });

  it('D16: the same commit again gives the same answer, also after a restart; another body with its key does not', async () => {
    const [alice, bob] = (await devices(2)) as [TestDevice, TestDevice];
    const group = await groupOf(alice, bob);
    const made = await alice.prepareCommit(group);
    const key = newId();
    const [first, second] = await Promise.all([alice.postCommit(group, made, key), alice.postCommit(group, made, key)]);
    expect(first.status).toBe(201);
    const plain = ({ value }: typeof first) => ({ ...value, receipt: toHex(value.receipt.receipt) });
    expect(plain(second)).toEqual(plain(first));
    alice.setState(group, made.next);
    await alice.commit(group);
    await server().restart();
    expect(plain(await alice.postCommit(group, made, key))).toEqual(plain(first));
    const other = await alice.prepareCommit(group);
    expect(problemOf(await alice.postCommit(group, other, key)).code).toBe('idempotency-conflict');
    const elsewhere = await alice.createGroup();
    expect(problemOf(await alice.postCommit(elsewhere, made, key)).code).toBe('idempotency-conflict');
    expect(okValue(await alice.http.request('GET', pathOf(group))).epoch).toBe(3);
  });

  it('D6: what is not a commit of this caller for this group and epoch is refused with its reason', async () => {
    const [alice, bob] = (await devices(2)) as [TestDevice, TestDevice];
    const group = await groupOf(alice, bob);
    const other = await alice.createGroup();
    const good = await alice.prepareCommit(group);
    expect(await reason(alice.postCommit(group, { ...good, commit: good.commit.slice(0, -1) }))).toBe('malformed');
    expect(await reason(alice.postCommit(group, { ...good, commit: good.groupInfo }))).toBe('not-a-commit');
    expect(await reason(alice.postCommit(other, good))).toBe('wrong-group');
    expect(await reason(bob.postCommit(group, good))).toBe('wrong-sender');
    const { groupInfo: old } = okValue(await alice.http.request('GET', `${pathOf(group)}/group-info`));
    expect(await reason(alice.postCommit(group, { ...good, groupInfo: old }))).toBe('bad-group-info');
    expect(await reason(alice.postCommit(group, { ...good, groupInfo: good.commit }))).toBe('bad-group-info');
    const treeless = await alice.prepareCommit(group, { groupInfoTree: false });
    expect(await reason(alice.postCommit(group, treeless))).toBe('bad-tree');
    const { groupInfo: foreign } = await alice.prepareCommit(other);
    expect(await reason(alice.postCommit(group, { ...good, groupInfo: foreign }))).toBe('bad-group-info');
    const bobs = await bob.prepareCommit(group);
    expect(await reason(alice.postCommit(group, { ...good, groupInfo: bobs.groupInfo }))).toBe('wrong-tree-hash');
    expect((await alice.postCommit(group, good)).status).toBe(201);
  });

  it('D8, D9: members are added by packages that were claimed for the group, with a Welcome for just these', async () => {
    const [alice, bob, carol] = (await devices(3)) as [TestDevice, TestDevice, TestDevice];
    const group = await alice.createGroup();
    const stolen = (await bob.makePackage()).bytes;
    expect(await reason(alice.postCommit(group, await alice.prepareCommit(group, { add: [stolen] })))).toBe(
      'unclaimed-key-package',
    );
    const elsewhere = await alice.createGroup();
    const [forOther] = okValue(await alice.claim(elsewhere, [bob.account])).results;
    const misused = await alice.prepareCommit(group, { add: [forOther.keyPackage] });
    expect(await reason(alice.postCommit(group, misused))).toBe('unclaimed-key-package');

    const { results } = okValue(await alice.claim(group, [bob.account, carol.account]));
    const [forBob, forCarol] = results.map(({ keyPackage }: { keyPackage: Uint8Array }) => keyPackage);
    const good = await alice.prepareCommit(group, { add: [forBob] });
    const { welcome, ...withoutWelcome } = good;
    const both = await alice.prepareCommit(group, { add: [forBob, forCarol] });
    const rotation = await alice.prepareCommit(group);
    expect(await reason(alice.postCommit(group, withoutWelcome))).toBe('welcome-missing');
    expect(await reason(alice.postCommit(group, { ...good, welcome: both.welcome! }))).toBe('welcome-mismatch');
    expect(await reason(alice.postCommit(group, { ...rotation, welcome: welcome! }))).toBe('welcome-unexpected');
    expect(await reason(alice.postCommit(group, { ...good, welcome: good.commit }))).toBe('welcome-mismatch');
    expect((await alice.postCommit(group, good)).status).toBe(201);
  });

  it('D10: nobody gets into a group twice', async () => {
    const [alice, bob] = (await devices(2)) as [TestDevice, TestDevice];
    const group = await alice.createGroup();
    const first = okValue(await alice.claim(group, [bob.account])).results[0].keyPackage;
    const second = okValue(await alice.claim(group, [bob.account])).results[0].keyPackage;
    await alice.commit(group, { add: [first] });
    const { results } = okValue(await alice.claim(group, [bob.account]));
    expect(results).toEqual([{ account: bob.account, device: bob.id }]);
    try {
      const twice = await alice.prepareCommit(group, { add: [second] });
      expect(await reason(alice.postCommit(group, twice))).toBe('already-member');
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid-key-package' }); // our own client refuses to make such a commit
    }
  });

  it('roles: only administrators add, remove others and change roles; the last one stays', async () => {
    const [alice, bob, carol] = (await devices(3)) as [TestDevice, TestDevice, TestDevice];
    const group = await groupOf(alice, bob, carol);
    const removal = await bob.prepareCommit(group, { remove: [bob.leafOf(group, carol)] });
    expect(await reason(bob.postCommit(group, removal))).toBe('forbidden');
    const roles = { admins: [bob.account], invite: 'admins', join: 'invite' } as const;
    expect(await reason(bob.postCommit(group, await bob.prepareCommit(group, { roles })))).toBe('forbidden');
    const stranger = { ...roles, admins: ['b'.repeat(32)] };
    expect(await reason(alice.postCommit(group, await alice.prepareCommit(group, { roles: stranger })))).toBe(
      'no-administrator',
    );

    const beside = { ...roles, admins: [alice.account, 'b'.repeat(32)].sort() };
    expect(await reason(alice.postCommit(group, await alice.prepareCommit(group, { roles: beside })))).toBe(
      'bad-roles',
    );

    await alice.commit(group, { roles });
    await bob.catchUp();
    await carol.catchUp();
    expect(
      await reason(alice.postCommit(group, await alice.prepareCommit(group, { remove: [alice.leafOf(group, carol)] }))),
    ).toBe('forbidden');
    await bob.remove(group, alice);
    const detail = okValue(await bob.http.request('GET', pathOf(group)));
    expect(detail.members).toMatchObject([
      { name: bob.name, role: 'admin' },
      { name: carol.name, role: 'member' },
    ]);
  });
});

describe('proposals', () => {
  it('D3: a leave waits until a commit covers it; one that leaves it out, or names an unknown one, is refused', async () => {
    const [alice, bob, carol] = (await devices(3)) as [TestDevice, TestDevice, TestDevice];
    const group = await groupOf(alice, bob, carol);
    const ignorant = await carol.prepareCommit(group);
    const leave = await createLeaveProposal(suite, bob.state(group));

    await alice.process(group, leave.proposal);
    const early = await alice.prepareCommit(group);
    expect(await reason(alice.postCommit(group, early))).toBe('unknown-proposal');

    expect(okValue(await propose(bob, group, leave.proposal))).toMatchObject({ epoch: 1, position: 3 });
    expect(await reason(carol.postCommit(group, ignorant))).toBe('uncovered-proposal');
    expect((await alice.postCommit(group, early)).status).toBe(201);

    const entries = await carol.syncAll();
    const kinds = entries.flatMap((entry) => ('position' in entry ? [[entry.position, entry.kind]] : []));
    expect(kinds.slice(-2)).toEqual([
      [3, 'proposal'],
      [4, 'commit'],
    ]);
    const detail = okValue(await alice.http.request('GET', pathOf(group)));
    expect(detail.members.map(({ name }: { name: string }) => name)).toEqual([alice.name, carol.name]);
  });

  it('D16: the same proposal with the same key is stored once', async () => {
    const [alice, bob] = (await devices(2)) as [TestDevice, TestDevice];
    const group = await groupOf(alice, bob);
    const { proposal } = await createLeaveProposal(suite, bob.state(group));
    const key = newId();
    const [first, second] = await Promise.all([propose(bob, group, proposal, key), propose(bob, group, proposal, key)]);
    expect(unsigned(okValue(second))).toEqual(unsigned(okValue(first)));
    expect((await alice.syncAll()).filter(({ kind }) => kind === 'proposal')).toHaveLength(1);
  });

  it('concern the own leaf only, and the last administrator does not leave others behind', async () => {
    const [alice, bob] = (await devices(2)) as [TestDevice, TestDevice];
    const group = await groupOf(alice, bob);
    const alices = await createLeaveProposal(suite, alice.state(group));
    expect(await reason(propose(bob, group, alices.proposal))).toBe('wrong-sender');
    expect(await reason(propose(alice, group, alices.proposal))).toBe('no-administrator');
    expect(await reason(propose(alice, group, Uint8Array.of(1, 2)))).toBe('malformed');
    await alice.commit(group);
    const stale = await createLeaveProposal(suite, bob.state(group));
    expect(problemOf(await propose(bob, group, stale.proposal))).toMatchObject({
      code: 'epoch-conflict',
      currentEpoch: 2,
    });
  });
});

describe('external commits', () => {
  it('D18: a device that lost its state rejoins, replacing its own leaf, and cannot remove another’s', async () => {
    const [alice, bob] = (await devices(2)) as [TestDevice, TestDevice];
    const group = await groupOf(alice, bob);
    const rejoined = await bob.prepareExternal(group, true);
    expect((await bob.postCommit(group, rejoined)).status).toBe(201);
    bob.setState(group, rejoined.state);
    await alice.catchUp();
    expect(toHex(epochAuthenticatorOf(alice.state(group)))).toBe(toHex(epochAuthenticatorOf(bob.state(group))));
    expect(membersOf(alice.state(group))).toHaveLength(2);
    const theft = await bob.prepareExternal(group, true);
    expect(await reason(alice.postCommit(group, theft))).toBe('wrong-sender');
  });

  it('D11: a stranger joins an open group from outside, and learns nothing of any other', async () => {
    const [alice, eve] = (await devices(2)) as [TestDevice, TestDevice];
    const open = await alice.createGroup(undefined, { join: 'open' });
    const closed = await alice.createGroup();
    expect(problemOf(await eve.http.request('GET', `${pathOf(closed)}/group-info`)).code).toBe('not-found');
    const joined = await eve.prepareExternal(open, false);
    expect(await reason(eve.postCommit(closed, joined))).toBe('not-found');
    expect((await eve.postCommit(open, joined)).status).toBe(201);
    eve.setState(open, joined.state);
    await alice.catchUp();
    await alice.send(open, 'welcome, eve');
    expect(await eve.catchUp()).toEqual(['welcome, eve']);
  });

  it('D7: the GroupInfo handed out is the one of the accepted epoch', async () => {
    const [alice, bob] = (await devices(2)) as [TestDevice, TestDevice];
    const group = await groupOf(alice, bob);
    const made = await alice.prepareCommit(group);
    okValue(await alice.postCommit(group, made));
    const lost = await bob.prepareCommit(group);
    await bob.postCommit(group, lost);
    const info = okValue(await bob.http.request('GET', `${pathOf(group)}/group-info`));
    expect(info).toMatchObject({ epoch: 2, groupInfo: made.groupInfo, position: 3 });
  });
});
