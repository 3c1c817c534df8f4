import { createProposal, encodeMlsMessage, type Proposal } from 'ts-mls';
import { expect, test } from 'vitest';
import { createMlsConfig } from '../../src/mls/config.ts';
import { decodeMessage } from '../../src/mls/encoding/decode.ts';
import { inspectMessage } from '../../src/mls/framing.ts';
import { summarizeCommit, summarizeProposal } from '../../src/mls/handshake.ts';
import { foldRoster, rosterOfGroupInfo } from '../../src/mls/roster.ts';
import { createCommit } from '../../src/mls/session/commit.ts';
import { createGroup } from '../../src/mls/session/create.ts';
import { joinExternal } from '../../src/mls/session/external-join.ts';
import { createGroupInfo } from '../../src/mls/session/group-info.ts';
import { joinFromWelcome, openWelcome, welcomeRefs } from '../../src/mls/session/join.ts';
import { receive } from '../../src/mls/session/receive.ts';
import {
  epochAuthenticatorOf,
  epochOf,
  type GroupState,
  groupIdOf,
  membersOf,
  ownIdentityOf,
  pendingProposalsOf,
  ratchetTreeBytesOf,
  rolesOf,
  unwrap,
  wrap,
} from '../../src/mls/session/state.ts';
import { decodeState, encodeState } from '../../src/mls/session/state-codec.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import { fromUtf8, toHex, toUtf8 } from '../../src/wire/bytes.ts';
import {
  founded,
  groupOf,
  mustJoin,
  mustReceive,
  NOW,
  packageOf,
  person,
  rolesWith,
  trusting,
} from './support/people.ts';

const suite = createNodeSuite();
const options = { inlineTree: true, groupInfoTree: false, now: NOW };

async function propose(state: GroupState, proposal: Proposal): Promise<{ state: GroupState; bytes: Uint8Array }> {
  const { newState, message } = await createProposal(unwrap(state), true, proposal, suite);
  return { state: wrap(newState), bytes: encodeMlsMessage(message) };
}

async function addOf(name: string): Promise<Proposal> {
  const { bytes } = await packageOf(suite, await person(suite, name));
  const decoded = decodeMessage(bytes);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_key_package') throw new Error('no key package');
  return { proposalType: 'add', add: { keyPackage: decoded.message.keyPackage } };
}

test('a new group states its roles, its founder and how to join it from outside', async () => {
  const alice = await person(suite, 'alice');
  const { state, groupInfo } = await founded(suite, alice);
  expect(epochOf(state)).toBe(0);
  expect(ownIdentityOf(state)).toBe(alice.identity);
  expect(membersOf(state)).toEqual([{ leaf: 0, identity: alice.identity, signatureKey: alice.keys.signPublic }]);
  expect(rolesOf(state)).toEqual(rolesWith('alice'));
  expect(inspectMessage(groupInfo)).toMatchObject({
    kind: 'group-info',
    epoch: 0,
    groupId: groupIdOf(state),
    hasTree: true,
    hasExternalPub: true,
    roles: rolesWith('alice'),
    signer: 0,
  });
  expect(rosterOfGroupInfo(groupInfo)).toEqual([{ identity: alice.identity, signatureKey: alice.keys.signPublic }]);
});

test('a Welcome names its packages, tells its group and epoch, and needs the tree when it carries none', async () => {
  const [alice, bob, carol] = [await person(suite, 'alice'), await person(suite, 'bob'), await person(suite, 'carol')];
  const { state } = await founded(suite, alice);
  const [ofBob, ofCarol] = [await packageOf(suite, bob), await packageOf(suite, carol)];
  const { next, welcome } = await createCommit(suite, state, { add: [ofBob.bytes], ...options, inlineTree: false });
  expect(welcomeRefs(welcome!)).toEqual([ofBob.ref]);
  const opened = await openWelcome(suite, { welcome: welcome!, keyPackage: ofBob });
  expect(opened).toEqual({ kind: 'opened', groupId: groupIdOf(next), epoch: 1, hasTree: false });
  const join = (keyPackage: typeof ofBob, tree?: Uint8Array) =>
    joinFromWelcome(suite, trusting, { welcome: welcome!, keyPackage, ...(tree === undefined ? {} : { tree }) });
  expect(await join(ofBob)).toMatchObject({ kind: 'refused', code: 'tree-missing' });
  expect(await join(ofCarol)).toMatchObject({ kind: 'refused', code: 'not-for-us' });
  expect(await join(ofBob, ratchetTreeBytesOf(state))).toMatchObject({ kind: 'refused', code: 'invalid-group' });
  expect(await join(ofBob, toUtf8('nonsense'))).toMatchObject({ kind: 'refused', code: 'invalid-group' });
  expect(await join(ofBob, ratchetTreeBytesOf(next))).toMatchObject({ kind: 'joined' });
});

test('a credential check that refuses everybody refuses creating, joining, adding, external joining and rotating', async () => {
  const nobody = createMlsConfig({ validateCredential: () => false });
  const [alice, bob] = [await person(suite, 'alice'), await person(suite, 'bob')];
  const { identity, keys } = alice;
  const group = { groupId: nodeSha256(toUtf8('g')), identity, keys, roles: rolesWith('alice'), now: NOW };
  await expect(createGroup(suite, nobody, group)).rejects.toMatchObject({ code: 'invalid-argument' });

  const { state } = await createGroup(suite, trusting, group);
  const own = await packageOf(suite, bob);
  const distrusting = decodeState(encodeState(state), nobody);
  await expect(createCommit(suite, distrusting, { add: [own.bytes], ...options })).rejects.toMatchObject({
    code: 'library',
  });
  const { next, welcome } = await createCommit(suite, state, { add: [own.bytes], ...options });
  const refused = { kind: 'refused', code: 'invalid-group' };
  expect(await joinFromWelcome(suite, nobody, { welcome: welcome!, keyPackage: own })).toMatchObject(refused);
  const groupInfo = await createGroupInfo(suite, next, { tree: true });
  const carol = await person(suite, 'carol');
  const outside = {
    groupInfo,
    identity: carol.identity,
    keys: carol.keys,
    resync: false,
    groupInfoTree: false,
    now: NOW,
  };
  expect(await joinExternal(suite, nobody, outside)).toMatchObject(refused);

  const joined = await joinExternal(suite, trusting, outside);
  if (joined.kind === 'refused') throw new Error(joined.code);
  const rotated = await createCommit(suite, await mustJoin(suite, welcome!, own), options);
  const distrustingNext = decodeState(encodeState(next), nobody);
  for (const commit of [joined.commit, rotated.commit]) {
    expect(await receive(suite, distrustingNext, commit)).toMatchObject({ kind: 'rejected', code: 'invalid-commit' });
  }
});

test('a commit that changes roles tells everybody the new ones, and authenticated data travels with it', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const roles = rolesWith('alice', 'bob');
  const authenticatedData = toUtf8('reason');
  const committed = await createCommit(suite, states[0]!, { roles, authenticatedData, ...options });
  const seen = await mustReceive(suite, states[1]!, committed.commit, 'commit');
  expect(seen.roles).toEqual(roles);
  expect(rolesOf(seen.state)).toEqual(roles);
  expect(fromUtf8(seen.authenticatedData)).toBe('reason');
  expect(summarizeCommit(committed.commit, [], nodeSha256)).toMatchObject({ rolesChanged: true, roles, hasPath: true });
  const rotated = await createCommit(suite, seen.state, options);
  expect((await mustReceive(suite, committed.next, rotated.commit, 'commit')).roles).toBeUndefined();
});

test('of pending proposals that exclude each other the first ones are committed and the others named', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob', 'carol']);
  let [alice, bob, carol] = states as [GroupState, GroupState, GroupState];
  const remove: Proposal = { proposalType: 'remove', remove: { removed: 2 } };
  const add = await addOf('dave');
  const sent: Uint8Array[] = [];
  for (const [sender, proposal] of [
    ['bob', remove],
    ['bob', add],
    ['alice', remove],
    ['alice', add],
  ] as const) {
    const made = await propose(sender === 'bob' ? bob : alice, proposal);
    if (sender === 'bob') {
      bob = made.state;
      alice = (await mustReceive(suite, alice, made.bytes, 'proposal')).state;
    } else {
      alice = made.state;
      bob = (await mustReceive(suite, bob, made.bytes, 'proposal')).state;
    }
    carol = (await mustReceive(suite, carol, made.bytes, 'proposal')).state;
    sent.push(made.bytes);
  }
  expect(pendingProposalsOf(alice)).toHaveLength(4);
  const committed = await createCommit(suite, alice, { remove: [2], ...options });
  expect(committed.dropped).toHaveLength(2);
  const seen = await mustReceive(suite, bob, committed.commit, 'commit');
  expect(toHex(epochAuthenticatorOf(seen.state))).toBe(toHex(epochAuthenticatorOf(committed.next)));
  expect(seen.removed.map(({ leaf }) => leaf)).toEqual([2]);
  expect((await mustReceive(suite, carol, committed.commit, 'commit')).selfRemoved).toBe(true);

  const known = sent.map((bytes) => {
    const summary = summarizeProposal(bytes, nodeSha256);
    if (summary.kind === 'malformed') throw new Error(summary.reason);
    return summary;
  });
  const summary = summarizeCommit(committed.commit, known, nodeSha256);
  expect(summary).toMatchObject({ kind: 'commit', unknownRefs: [], removes: [2] });
  expect(summarizeCommit(committed.commit, [], nodeSha256)).toMatchObject({ removes: [] });
  const blind = summarizeCommit(committed.commit, [], nodeSha256);
  expect(blind.kind === 'commit' && blind.unknownRefs.length).toBe(2);
});

test('proposals that our clients do not do are refused, alone and inside a commit', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const [alice, bob] = states as [GroupState, GroupState];
  const custom: Proposal = { proposalType: 0xf200, proposalData: toUtf8('x') };
  const alone = await propose(alice, custom);
  expect(await receive(suite, bob, alone.bytes)).toMatchObject({ kind: 'rejected', code: 'unsupported-proposal' });
  const { createCommit: libraryCommit } = await import('ts-mls');
  const inside = await libraryCommit(
    { state: unwrap(alice), cipherSuite: suite },
    { wireAsPublicMessage: true, extraProposals: [custom] },
  );
  const commit = encodeMlsMessage(inside.commit);
  expect(await receive(suite, bob, commit)).toMatchObject({ kind: 'rejected', code: 'unsupported-proposal' });
  expect(summarizeCommit(commit, [], nodeSha256)).toMatchObject({ unsupported: [0xf200] });
});

test('a commit that cannot be of this group is impossible for the roster (D6)', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const { commit } = await createCommit(suite, states[0]!, { remove: [1], ...options });
  const summary = summarizeCommit(commit, [], nodeSha256);
  if (summary.kind === 'malformed') throw new Error(summary.reason);
  const [alice, bob] = membersOf(states[0]!);
  expect(foldRoster([alice!, bob!], summary)).toMatchObject({ kind: 'folded', committer: 0, removed: [{ leaf: 1 }] });
  expect(foldRoster([alice!], summary)).toMatchObject({ kind: 'impossible' });
  expect(foldRoster([null, bob!], summary)).toMatchObject({ kind: 'impossible' });
});

test('a commit of nobody’s leaf, of our own leaf or of an unknown leaf is refused with a code', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const commit = (remove: number[]) => createCommit(suite, states[0]!, { remove, ...options });
  await expect(commit([7])).rejects.toMatchObject({ code: 'unknown-leaf' });
  await expect(commit([0])).rejects.toMatchObject({ code: 'invalid-argument' });
});
