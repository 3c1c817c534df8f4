import { encodeMlsMessage, joinGroupExternal } from 'ts-mls';
import { expect, test } from 'vitest';
import { identityOfCredential, libraryConfig } from '../../src/mls/config.ts';
import { decodeMessage } from '../../src/mls/encoding/decode.ts';
import { inspectMessage } from '../../src/mls/framing.ts';
import { createCommit } from '../../src/mls/session/commit.ts';
import { joinExternal } from '../../src/mls/session/external-join.ts';
import { createGroupInfo } from '../../src/mls/session/group-info.ts';
import { generatePackage, type SignatureKeys } from '../../src/mls/session/key-package.ts';
import { encrypt } from '../../src/mls/session/message.ts';
import { createLeaveProposal, withOwnLeave } from '../../src/mls/session/proposal.ts';
import { receive } from '../../src/mls/session/receive.ts';
import { type GroupState, isActive, ownLeafOf, unwrap, wrap } from '../../src/mls/session/state.ts';
import { createNodeSuite } from '../../src/mls/suite-node.ts';
import { toUtf8 } from '../../src/wire/bytes.ts';
import { DAY, groupOf, identityNamed, mustReceive, NOW, packageOf, person, trusting } from './support/people.ts';

const suite = createNodeSuite();
const options = { inlineTree: true, groupInfoTree: false, now: NOW };
const nothing = new Uint8Array(0);

/** Everything a removed member could try with what it had: its last state, told that it is in the new epoch. */
async function canRead(last: GroupState, message: Uint8Array): Promise<boolean> {
  const library = unwrap(last);
  const pretended = wrap({
    ...library,
    groupActiveState: { kind: 'active' },
    groupContext: { ...library.groupContext, epoch: library.groupContext.epoch + 1n },
  });
  const results = [await receive(suite, last, message), await receive(suite, pretended, message)];
  return results.some((result) => result.kind === 'message');
}

test('a removed member cannot read the next message (D11: a commit with one Remove and nothing else)', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob', 'carol']);
  const [alice, bob, carol] = states as [GroupState, GroupState, GroupState];
  const committed = await createCommit(suite, alice, { remove: [ownLeafOf(carol)], ...options });
  expect(inspectMessage(committed.commit)).toMatchObject({ kind: 'commit', hasPath: true });
  const out = await mustReceive(suite, carol, committed.commit, 'commit');
  expect(out.selfRemoved).toBe(true);
  expect(isActive(out.state)).toBe(false);
  expect((await mustReceive(suite, bob, committed.commit, 'commit')).selfRemoved).toBe(false);
  const { message } = await encrypt(suite, committed.next, toUtf8('without carol'), nothing);
  expect(await canRead(carol, message)).toBe(false);
  expect(await canRead(out.state, message)).toBe(false);
  expect(await receive(suite, out.state, message)).toMatchObject({ kind: 'rejected', code: 'not-active' });
});

test('a removed member whose leaf is taken again in the same commit notices and cannot read', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob', 'carol']);
  const [alice, bob, carol] = states as [GroupState, GroupState, GroupState];
  const dave = await packageOf(suite, await person(suite, 'dave'));
  const committed = await createCommit(suite, alice, { remove: [ownLeafOf(bob)], add: [dave.bytes], ...options });
  const out = await mustReceive(suite, bob, committed.commit, 'commit');
  expect(out).toMatchObject({ selfRemoved: true, removed: [{ leaf: ownLeafOf(bob) }] });
  const seen = await mustReceive(suite, carol, committed.commit, 'commit');
  expect(seen.added.map(({ leaf }) => leaf)).toEqual([ownLeafOf(bob)]);
  const { message } = await encrypt(suite, committed.next, toUtf8('without bob'), nothing);
  expect(await canRead(bob, message)).toBe(false);
  expect(await receive(suite, seen.state, message)).toMatchObject({ kind: 'message' });
});

test('whoever asked to leave is out with the next commit, and cannot commit it itself', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob', 'carol']);
  const [alice, bob, carol] = states as [GroupState, GroupState, GroupState];
  const leave = await createLeaveProposal(suite, bob);
  const waiting = withOwnLeave(leave.state, leave.ref);
  await expect(createCommit(suite, waiting, options)).rejects.toMatchObject({ code: 'own-leave-pending' });
  const pending = await mustReceive(suite, alice, leave.proposal, 'proposal');
  expect(pending.proposal).toEqual({ kind: 'remove', leaf: ownLeafOf(bob) });
  await expect(encrypt(suite, pending.state, toUtf8('too early'), nothing)).rejects.toMatchObject({
    code: 'pending-proposals',
  });
  const committed = await createCommit(suite, pending.state, options);
  expect((await mustReceive(suite, waiting, committed.commit, 'commit')).selfRemoved).toBe(true);
  const carolPending = await mustReceive(suite, carol, leave.proposal, 'proposal');
  const seen = await mustReceive(suite, carolPending.state, committed.commit, 'commit');
  expect(seen.removed.map(({ leaf }) => leaf)).toEqual([ownLeafOf(bob)]);
  const { message } = await encrypt(suite, committed.next, toUtf8('without bob'), nothing);
  expect(await canRead(bob, message)).toBe(false);
});

test('a device that rejoins replaces its own leaf, and its old state notices (D18)', async () => {
  const { people, states } = await groupOf(suite, ['alice', 'bob']);
  const [alice, bob] = states as [GroupState, GroupState];
  const groupInfo = await createGroupInfo(suite, alice, { tree: true });
  const { identity } = people[1]!;
  const fresh = await person(suite, 'bob');
  const own = { groupInfo, keys: fresh.keys, now: NOW, groupInfoTree: false };
  const rejoined = await joinExternal(suite, trusting, { ...own, identity, resync: true });
  if (rejoined.kind === 'refused') throw new Error(rejoined.code);
  const seen = await mustReceive(suite, alice, rejoined.commit, 'commit');
  expect(seen).toMatchObject({ committer: { identity, external: true }, selfRemoved: false });
  expect(seen.removed.map((member) => member.identity)).toEqual([identity]);
  expect((await mustReceive(suite, bob, rejoined.commit, 'commit')).selfRemoved).toBe(true);
});

test('an external join says why it cannot be, and never hangs', async () => {
  const { people, states } = await groupOf(suite, ['alice', 'bob']);
  const groupInfo = await createGroupInfo(suite, states[0]!, { tree: true });
  const stranger = await person(suite, 'stranger');
  const about = { groupInfo, now: NOW, groupInfoTree: false };
  const join = (who: typeof stranger, resync: boolean, change = {}) =>
    joinExternal(suite, trusting, { ...about, identity: who.identity, keys: who.keys, resync, ...change });
  expect(await join(stranger, true)).toMatchObject({ code: 'no-former-leaf' });
  expect(await join(people[1]!, false)).toMatchObject({ code: 'already-member' });
  expect(await join(stranger, false, { groupInfo: toUtf8('nonsense') })).toMatchObject({ code: 'malformed' });
  const alone = await groupOf(suite, ['zoe']);
  const ofAlone = await createGroupInfo(suite, alone.states[0]!, { tree: true });
  expect(await join(alone.people[0]!, true, { groupInfo: ofAlone })).toMatchObject({ code: 'only-member' });
  const treeless = await createGroupInfo(suite, states[0]!, { tree: false });
  expect(await join(stranger, false, { groupInfo: treeless })).toMatchObject({ code: 'tree-missing' });
});

test('nobody can remove somebody else by an external commit (D18)', async () => {
  const { people, states } = await groupOf(suite, ['alice', 'bob', 'carol']);
  const [alice] = states as [GroupState];
  const mallory = await person(suite, 'mallory');
  // mallory claims carol's identity to replace her leaf, under a credential check that does not know her key
  const groupInfo = await createGroupInfo(suite, alice, { tree: true });
  const identity = people[2]!.identity;
  const forged = await joinExternal(suite, trusting, {
    groupInfo,
    identity,
    keys: mallory.keys,
    resync: true,
    groupInfoTree: false,
    now: NOW,
  });
  if (forged.kind === 'refused') throw new Error(forged.code);
  const strict = wrap({
    ...unwrap(alice),
    clientConfig: {
      ...unwrap(alice).clientConfig,
      authService: { validateCredential: async (_, key) => people.some((who) => equal(who.keys.signPublic, key)) },
    },
  });
  expect(await receive(suite, strict, forged.commit)).toMatchObject({ kind: 'rejected', code: 'invalid-commit' });
});

test('nobody can make a member believe that it was removed by an external commit: not with its name, not with another', async () => {
  const { people, states } = await groupOf(suite, ['alice', 'bob']);
  const [alice, bob] = states as [GroupState, GroupState];
  const groupInfo = await createGroupInfo(suite, alice, { tree: true });
  const { keys } = await person(suite, 'mallory');
  const about = { groupInfo, keys, groupInfoTree: false, now: NOW };
  const strict = wrap({
    ...unwrap(bob),
    clientConfig: {
      ...unwrap(bob).clientConfig,
      authService: { validateCredential: async (_, key) => people.some((who) => equal(who.keys.signPublic, key)) },
    },
  });
  const asBob = await joinExternal(suite, trusting, { ...about, identity: people[1]!.identity, resync: true });
  if (asBob.kind === 'refused') throw new Error(asBob.code);
  expect(await receive(suite, strict, asBob.commit)).toMatchObject({ kind: 'rejected', code: 'invalid-commit' });
  const asMallory = await replacing(groupInfo, identityNamed('mallory'), keys, people[1]!.identity);
  expect(await receive(suite, bob, asMallory)).toMatchObject({ kind: 'rejected', code: 'invalid-commit' });
  expect(isActive(strict) && isActive(bob)).toBe(true);
});

/** An external commit of one identity that takes the leaf of another, which `joinExternal` does not make. */
async function replacing(groupInfo: Uint8Array, identity: string, keys: SignatureKeys, victim: string) {
  const decoded = decodeMessage(groupInfo);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_group_info') throw new Error('no GroupInfo');
  const own = await generatePackage(suite, { identity, keys, now: NOW, lifetimeMs: DAY, lastResort: false });
  const config = libraryConfig(trusting);
  const { publicMessage } = await joinGroupExternal(
    decoded.message.groupInfo,
    own.publicPackage,
    own.privatePackage,
    true,
    suite,
    undefined,
    {
      ...config,
      keyPackageEqualityConfig: {
        ...config.keyPackageEqualityConfig,
        compareKeyPackageToLeafNode: (_, leaf) => identityOfCredential(leaf.credential) === victim,
      },
    },
  );
  return encodeMlsMessage({ version: 'mls10', wireformat: 'mls_public_message', publicMessage });
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
