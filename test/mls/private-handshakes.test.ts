import { describe, expect, it } from 'vitest';
import { inspectMessage } from '../../src/mls/framing.ts';
import { decodeRoles, encodeRoles, type GroupRoles } from '../../src/mls/roles.ts';
import { createCommit } from '../../src/mls/session/commit.ts';
import { createLeaveProposal, withOwnLeave } from '../../src/mls/session/proposal.ts';
import { receive } from '../../src/mls/session/receive.ts';
import { epochAuthenticatorOf, type GroupState, pendingProposalsOf, unwrap } from '../../src/mls/session/state.ts';
import { decodeState, encodeState } from '../../src/mls/session/state-codec.ts';
import { founded, NOW, type Person, person, suite, trusting } from './support/private.ts';

const base = { inlineTree: true, groupInfoTree: true, now: NOW, handshakes: 'private' } as const;
async function followed(state: GroupState, bytes: Uint8Array): Promise<GroupState> {
  const received = await receive(suite, state, bytes);
  if (received.kind !== 'commit' && received.kind !== 'proposal') throw new Error(JSON.stringify(received));
  return received.state;
}
const handshakesSent = (state: GroupState): number => {
  const { secretTree, privatePath } = unwrap(state);
  return secretTree[privatePath.leafIndex * 2]!.handshake.generation;
};
const trio = async (): Promise<{ people: Person[]; states: GroupState[] }> => founded(['ann', 'ben', 'cem']);

describe('private handshakes', () => {
  it('show nothing of a commit but group and epoch, and lead all members to the same epoch', async () => {
    const { states } = await trio();
    const [ann, ben, cem] = states as [GroupState, GroupState, GroupState];
    const made = await createCommit(suite, ann, base);
    expect(inspectMessage(made.commit)).toMatchObject({ kind: 'private', contentType: 'commit', epoch: 1 });
    const after = [made.next, await followed(ben, made.commit), await followed(cem, made.commit)];
    expect(new Set(after.map((state) => epochAuthenticatorOf(state).join())).size).toBe(1);
  });

  it('use a key once, also when the commit they were made for is given up', async () => {
    const { states } = await trio();
    const [ann, ben] = states as [GroupState, GroupState];
    const first = await createCommit(suite, ann, base);
    expect(handshakesSent(first.current)).toBe(handshakesSent(ann) + 1);
    const stored = decodeState(encodeState(first.current), trusting);
    const second = await createCommit(suite, stored, base);
    expect(handshakesSent(second.current)).toBe(handshakesSent(ann) + 2);
    expect(epochAuthenticatorOf(await followed(ben, second.commit))).toEqual(epochAuthenticatorOf(second.next));
  });

  it('carry a leave, which its sender enters itself because nobody can decrypt what it sent', async () => {
    const { states } = await trio();
    const [ann, ben, cem] = states as [GroupState, GroupState, GroupState];
    const leave = await createLeaveProposal(suite, ben, { handshakes: 'private' });
    expect(pendingProposalsOf(leave.state)).toEqual([]);
    expect(await receive(suite, leave.state, leave.proposal)).toMatchObject({ code: 'own-message' });
    const waiting = withOwnLeave(leave.state, leave.ref);
    const told = await Promise.all([ann, cem].map((state) => followed(state, leave.proposal)));
    expect(pendingProposalsOf(waiting)).toEqual(pendingProposalsOf(told[0]!));
    const made = await createCommit(suite, told[0]!, base);
    expect(await receive(suite, waiting, made.commit)).toMatchObject({
      kind: 'commit',
      selfRemoved: true,
      overreach: [],
    });
    expect(epochAuthenticatorOf(await followed(told[1]!, made.commit))).toEqual(epochAuthenticatorOf(made.next));
  });

  it('tell who is removed so, also when somebody else is put on the same leaf at once', async () => {
    const { states } = await trio();
    const [ann, ben] = states as [GroupState, GroupState];
    const dan = await person('dan');
    for (const add of [[], [dan.keyPackage.bytes]]) {
      const made = await createCommit(suite, ann, { ...base, remove: [1], add });
      expect(await receive(suite, ben, made.commit)).toMatchObject({
        kind: 'commit',
        selfRemoved: true,
        committer: { leaf: 0 },
      });
    }
  });

  it('hide a breach of roles from the server, and not from members', async () => {
    const { people, states } = await trio();
    const [ann, ben, cem] = states as [GroupState, GroupState, GroupState];
    const removal = await createCommit(suite, ben, { ...base, remove: [2] });
    expect(await receive(suite, ann, removal.commit)).toMatchObject({
      overreach: [{ kind: 'removes', identity: people[2]!.identity }],
    });
    const roles: GroupRoles = {
      admins: [people[1]!.account],
      invite: 'members',
      join: 'invite',
      handshakes: 'private',
    };
    const coup = await createCommit(suite, ben, { ...base, roles });
    expect(await receive(suite, ann, coup.commit)).toMatchObject({ overreach: [{ kind: 'roles' }] });
    const dan = await person('dan');
    const smuggle = await createCommit(suite, cem, { ...base, add: [dan.keyPackage.bytes] });
    expect(await receive(suite, ann, smuggle.commit)).toMatchObject({
      overreach: [{ kind: 'adds', identity: dan.identity }],
    });
    const fair = await createCommit(suite, ann, { ...base, remove: [2], add: [dan.keyPackage.bytes] });
    expect(await receive(suite, ben, fair.commit)).toMatchObject({ kind: 'commit', overreach: [] });
  });

  it('are stated in the roles, in one encoding; groups without keep the bytes they had', () => {
    const plain: GroupRoles = { admins: ['a'.repeat(32)], invite: 'admins', join: 'invite' };
    expect(decodeRoles(encodeRoles(plain))).toEqual(plain);
    expect(decodeRoles(encodeRoles({ ...plain, handshakes: 'private' }))).toEqual({ ...plain, handshakes: 'private' });
    expect(encodeRoles({ ...plain, handshakes: 'private' }).length).toBeGreaterThan(encodeRoles(plain).length);
  });
});
