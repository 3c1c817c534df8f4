import { expect, it } from 'vitest';
import { decodeMessage } from '../../src/mls/encoding/decode.ts';
import { encodeRoles, type GroupRoles, inheritedRoles, ROLES_EXTENSION } from '../../src/mls/roles.ts';
import { type CommitIntent, createCommit } from '../../src/mls/session/commit.ts';
import { createLeaveProposal, withOwnLeave } from '../../src/mls/session/proposal.ts';
import { receive } from '../../src/mls/session/receive.ts';
import { epochAuthenticatorOf, type GroupState, membersOf, rolesOf } from '../../src/mls/session/state.ts';
import { forgedProposal, founded, NOW, person, removalOf, suite } from './support/private.ts';

const base = { inlineTree: true, groupInfoTree: true, now: NOW, handshakes: 'private' } as const;
const commit = (state: GroupState, intent: Partial<CommitIntent> = {}) =>
  createCommit(suite, state, { ...base, ...intent });
const adminsOf = (state: GroupState) => rolesOf(state)?.admins;

async function taken(state: GroupState, bytes: Uint8Array) {
  const received = await receive(suite, state, bytes);
  if (received.kind !== 'commit' && received.kind !== 'proposal') throw new Error(JSON.stringify(received));
  return received;
}

async function quartet(handshakes?: 'public') {
  const { people, states } = await founded(['ann', 'ben', 'cem', 'dan'], handshakes);
  const accounts = people.map(({ account }) => account) as [string, string, string, string];
  return { people, accounts, states: states as [GroupState, GroupState, GroupState, GroupState] };
}

it('a private commit that takes the last administrator out makes the first member that stays one, and that is no breach', async () => {
  const { people, accounts, states } = await quartet();
  const [, , cem, dan] = states;
  const made = await commit(cem, { remove: [0] });
  const received = await taken(dan, made.commit);
  // that somebody was removed is one, that the roles changed is not
  expect(received).toMatchObject({ overreach: [{ kind: 'removes', identity: people[0]!.identity }] });
  expect([made.next, received.state].map(adminsOf)).toEqual([[accounts[1]], [accounts[1]]]);
  expect(epochAuthenticatorOf(received.state)).toEqual(epochAuthenticatorOf(made.next));
});

it('all administrators may leave in one epoch: one private commit carries it out, and names who comes after them', async () => {
  const { people, accounts, states } = await quartet();
  const roles: GroupRoles = { ...rolesOf(states[0])!, admins: accounts.slice(0, 2).sort() };
  const named = await commit(states[0], { roles });
  const told = (each: readonly GroupState[], bytes: Uint8Array) =>
    Promise.all(each.map(async (state) => (await taken(state, bytes)).state));
  const others = await told(states.slice(1), named.commit);
  const anns = await createLeaveProposal(suite, named.next, { handshakes: 'private' });
  const [ben, ...rest] = (await told(others, anns.proposal)) as [GroupState, ...GroupState[]];
  const bens = await createLeaveProposal(suite, ben, { handshakes: 'private' });
  const [ann, cem, dan] = (await told([withOwnLeave(anns.state, anns.ref), ...rest], bens.proposal)) as [
    GroupState,
    GroupState,
    GroupState,
  ];
  const made = await commit(dan);
  const received = await taken(cem, made.commit);
  expect(received).toMatchObject({
    overreach: [],
    removed: people.slice(0, 2).map(({ identity }) => ({ identity })),
  });
  expect([made.next, received.state].map(adminsOf)).toEqual([[accounts[2]], [accounts[2]]]);
  for (const gone of [ann, withOwnLeave(bens.state, bens.ref)]) {
    expect(await receive(suite, gone, made.commit)).toMatchObject({ selfRemoved: true, overreach: [] });
  }
});

it('who names somebody else, or itself out of turn, is told of', async () => {
  const { accounts, states } = await quartet();
  const [, , cem, dan] = states;
  const roles = rolesOf(cem)!;
  for (const wrong of [
    { ...roles, admins: [accounts[2]] },
    { ...roles, admins: [accounts[1], accounts[2]].sort() },
    { ...roles, admins: [accounts[1]], invite: 'members' as const },
  ]) {
    const made = await commit(cem, { remove: [0], roles: wrong });
    expect(await taken(dan, made.commit)).toMatchObject({ overreach: [{ kind: 'removes' }, { kind: 'roles' }] });
  }
  const needless = await commit(cem, { remove: [1], roles: { ...roles, admins: [accounts[2]] } });
  expect(await taken(dan, needless.commit)).toMatchObject({ overreach: [{ kind: 'removes' }, { kind: 'roles' }] });
});

it('an administrator that stays, or nobody, leaves the roles as they are', async () => {
  const { people, accounts } = await quartet();
  const identities = people.map(({ identity }) => identity);
  const roles: GroupRoles = { admins: [accounts[2]], invite: 'admins', join: 'invite' };
  expect(inheritedRoles(roles, identities)).toBeUndefined();
  expect(inheritedRoles(roles, [])).toBeUndefined();
  expect(inheritedRoles(roles, [identities[3]!, identities[0]!])).toEqual({ ...roles, admins: [accounts[3]] });
});

it('a removal or roles that were not for a member to propose are left out of a private commit, whoever makes it', async () => {
  const { accounts, states } = await quartet();
  const [ann, ben, cem] = states;
  const usurped = encodeRoles({ ...rolesOf(ben)!, admins: [accounts[1]] });
  const extensions = [{ extensionType: ROLES_EXTENSION, extensionData: usurped }];
  for (const [wish, of] of [
    [removalOf(0), cem],
    [removalOf(0), ann],
    [{ proposalType: 'group_context_extensions', groupContextExtensions: { extensions } }, cem],
  ] as const) {
    const { state, proposal } = await forgedProposal(ben, wish);
    const made = await commit((await taken(of, proposal)).state);
    expect(made.dropped).toHaveLength(1);
    expect([membersOf(made.next).length, adminsOf(made.next)]).toEqual([4, [accounts[0]]]);
    expect(await taken(state, made.commit)).toMatchObject({ overreach: [], selfRemoved: false });
  }
});

it('nobody is added to an opaque group by whom its roles do not let add, and nobody is blamed for it', async () => {
  const { people, states } = await quartet();
  const [ann, ben, cem, dan] = states;
  const eve = await person('eve');
  const decoded = decodeMessage(eve.keyPackage.bytes);
  if (!('message' in decoded) || decoded.message.wireformat !== 'mls_key_package') throw new Error('no key package');
  const { keyPackage } = decoded.message;
  const forged = await forgedProposal(ben, { proposalType: 'add', add: { keyPackage } });
  for (const of of [cem, ann]) {
    const made = await commit((await taken(of, forged.proposal)).state);
    expect(made.dropped).toHaveLength(1);
    expect(membersOf(made.next).map(({ identity }) => identity)).toEqual(people.map(({ identity }) => identity));
    expect(await taken((await taken(dan, forged.proposal)).state, made.commit)).toMatchObject({ overreach: [] });
  }
  // an administrator's is carried out, whoever commits
  const wanted = await forgedProposal(ann, { proposalType: 'add', add: { keyPackage } });
  const made = await commit((await taken(cem, wanted.proposal)).state);
  expect([made.dropped, membersOf(made.next).length]).toEqual([[], 5]);
});

it('what an administrator proposes, or the device itself, is in a private commit', async () => {
  const { accounts, states } = await quartet();
  const [ann, ben, cem, dan] = states;
  const [byAnn, byDan] = [await forgedProposal(ann, removalOf(1)), await forgedProposal(dan, removalOf(3))];
  const heard = await taken((await taken(cem, byAnn.proposal)).state, byDan.proposal);
  const made = await commit(heard.state);
  expect([membersOf(made.next).map(({ leaf }) => leaf), adminsOf(made.next)]).toEqual([[0, 2], [accounts[0]]]);
  const ours = (await taken(ben, byAnn.proposal)).state;
  await expect(commit(ours)).rejects.toMatchObject({ code: 'own-leave-pending' });
});

it('in a group that the server reads nobody inherits: who takes the last administrator’s place is told of', async () => {
  const { accounts, states } = await quartet('public');
  const [, ben, cem] = states;
  const roles = { ...rolesOf(ben)!, admins: [accounts[1]] };
  const { handshakes: _private, ...open } = base;
  const made = await createCommit(suite, ben, { ...open, remove: [0], roles });
  expect(await taken(cem, made.commit)).toMatchObject({ overreach: [{ kind: 'removes' }, { kind: 'roles' }] });
});
