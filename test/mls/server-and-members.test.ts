import fc from 'fast-check';
import { createCommit, emptyPskIndex, encodeRequiredCapabilities, type LeafNode, type Proposal } from 'ts-mls';
import { applyProposals } from 'ts-mls/clientState.js';
import { signWithLabel } from 'ts-mls/crypto/signature.js';
import { signKeyPackage } from 'ts-mls/keyPackage.js';
import { encodeLeafNodeTBS, signLeafNodeKeyPackage } from 'ts-mls/leafNode.js';
import { toLeafIndex } from 'ts-mls/treemath.js';
import { expect, test } from 'vitest';
import { createMlsConfig, LAST_RESORT_EXTENSION } from '../../src/mls/config.ts';
import { decodeMessage } from '../../src/mls/encoding/decode.ts';
import { checkDecodedKeyPackage } from '../../src/mls/key-package-check.ts';
import { reveal } from '../../src/mls/public-group/group.ts';
import { openPublicGroup } from '../../src/mls/public-group/open.ts';
import { type AppliedProposal, planProposals } from '../../src/mls/public-group/proposals.ts';
import { isRefused } from '../../src/mls/public-group/refusal.ts';
import { encodeRoles, ROLES_EXTENSION } from '../../src/mls/roles.ts';
import { createGroupInfo } from '../../src/mls/session/group-info.ts';
import { type GroupState, unwrap, wrap } from '../../src/mls/session/state.ts';
import { decodeState, encodeState } from '../../src/mls/session/state-codec.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import { toBase64 } from '../../src/wire/bytes.ts';
import { DAY, groupOf, NOW, type Person, packageOf, person, rolesWith } from './support/people.ts';

const suite = createNodeSuite();
const NAMES = ['alice', 'bob', 'carol', 'dave', 'erin'];
/** Members are asked about every leaf and every sender from outside; of these they know nothing. */
const OUTSIDER = 'outsider';
const wary = createMlsConfig({ validateCredential: (identity) => identity !== OUTSIDER });

type Add = Extract<Proposal, { proposalType: 'add' }>;
type Extensions = Extract<
  Proposal,
  { proposalType: 'group_context_extensions' }
>['groupContextExtensions']['extensions'];

/** One that is in a commit itself, or one that waits since its sender has proposed it. */
interface Candidate {
  readonly about: string;
  readonly proposal: Proposal;
  readonly proposer?: number;
}

async function packageIn(who: Person): Promise<Add['add']['keyPackage']> {
  const decoded = decodeMessage((await packageOf(suite, who)).bytes);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_key_package') throw new Error('no package');
  return decoded.message.keyPackage;
}

async function addOf(who: Person, change: Partial<LeafNode> = {}, init: Uint8Array | undefined = undefined) {
  const made = await packageIn(who);
  const { signPrivate } = who.keys;
  const leafNode = await signLeafNodeKeyPackage(
    { ...made.leafNode, ...change } as typeof made.leafNode,
    signPrivate,
    suite.signature,
  );
  const tbs = { ...made, leafNode, ...(init === undefined ? {} : { initKey: init }) };
  const keyPackage = await signKeyPackage(tbs, signPrivate, suite.signature);
  return { proposalType: 'add', add: { keyPackage } } as const satisfies Proposal;
}

const leafAt = (state: GroupState, leaf: number): LeafNode => {
  const node = unwrap(state).ratchetTree[leaf * 2];
  if (node?.nodeType !== 'leaf') throw new Error('nobody sits there');
  return node.leaf;
};
const freshKey = async () => suite.hpke.exportPublicKey((await suite.hpke.generateKeyPair()).publicKey);

async function updateOf(state: GroupState, leafIndex: number, who: Person, change: Partial<LeafNode> = {}) {
  const { capabilities, credential, extensions } = leafAt(state, leafIndex);
  const tbs = {
    ...{ capabilities, credential, extensions, signaturePublicKey: who.keys.signPublic },
    ...{ hpkePublicKey: await freshKey(), ...change },
    ...({ leafNodeSource: 'update', groupId: unwrap(state).groupContext.groupId, leafIndex } as const),
  };
  const signature = await signWithLabel(who.keys.signPrivate, 'LeafNodeTBS', encodeLeafNodeTBS(tbs), suite.signature);
  return { proposalType: 'update', update: { leafNode: { ...tbs, signature } } } as const satisfies Proposal;
}

function extensionSets(): [string, Extensions][] {
  const roles = rolesOfAlice();
  const raw = (extensionType: Extensions[number]['extensionType'], ...bytes: number[]) => ({
    extensionType,
    extensionData: Uint8Array.from(bytes),
  });
  const outsider = [...new TextEncoder().encode(OUTSIDER)];
  const sender = raw('external_senders', 1, 7, 0, 1, outsider.length, ...outsider);
  return [
    ['roles', [roles]],
    ['roles with what all have', [roles, required([ROLES_EXTENSION])]],
    ['roles with what nobody has', [roles, required([0xf0a9])]],
    ['roles with a proposal that nobody has', [roles, required([], [0xf200])]],
    ['required capabilities cut off', [roles, raw('required_capabilities', 9)]],
    ['no required capabilities at all', [roles, raw('required_capabilities')]],
    ['a sender from outside', [roles, sender]],
    ['a sender that cannot be read', [roles, raw('external_senders', 9)]],
    ['an extension that nobody has', [roles, raw(0xf0a9, 1)]],
    ['roles twice', [roles, roles]],
    ['no roles', []],
  ];
}

const rolesOfAlice = () => ({ extensionType: ROLES_EXTENSION, extensionData: encodeRoles(rolesWith('alice')) });
const required = (extensionTypes: number[], proposalTypes: number[] = []) => ({
  extensionType: 'required_capabilities' as const,
  extensionData: encodeRequiredCapabilities({ extensionTypes, proposalTypes, credentialTypes: ['basic'] }),
});

/** After a commit by which the group asks something of its members, and there is a path in its tree. */
async function withRequirement(state: GroupState): Promise<GroupState> {
  const extensions = [rolesOfAlice(), required([LAST_RESORT_EXTENSION])];
  const { newState } = await createCommit(
    { state: unwrap(state), cipherSuite: suite },
    {
      wireAsPublicMessage: true,
      extraProposals: [{ proposalType: 'group_context_extensions', groupContextExtensions: { extensions } }],
      ratchetTreeExtension: false,
    },
  );
  return wrap(newState);
}

async function candidates(state: GroupState, people: readonly Person[]): Promise<Candidate[]> {
  const [, bob, carol, dave] = people as [Person, Person, Person, Person];
  const [frank, grace] = [await person(suite, 'frank'), await person(suite, 'grace')];
  const twin = { ...grace, keys: bob.keys };
  const { capabilities } = leafAt(state, 1);
  const modest = { ...capabilities, extensions: [ROLES_EXTENSION] };
  const rekeyed = { ...carol, keys: (await person(suite, 'carol')).keys };
  const adds: [string, Proposal][] = [
    ['frank', await addOf(frank)],
    ['frank again', await addOf(frank)],
    ['grace', await addOf(grace)],
    ['bob, who is there', await addOf({ ...bob, keys: (await person(suite, 'bob')).keys })],
    ['grace with the key of bob', await addOf(twin)],
    ['frank, who can nothing', await addOf(frank, { capabilities: { ...capabilities, extensions: [] } })],
    ['frank, who cannot do what is required', await addOf(frank, { capabilities: modest })],
    ['frank without a usable key', await addOf(frank, { hpkePublicKey: new Uint8Array(32) })],
    ['frank without a usable init key', await addOf(frank, {}, new Uint8Array(32))],
    ['grace with the encryption key of dave', await addOf(grace, { hpkePublicKey: leafAt(state, 3).hpkePublicKey })],
  ];
  const carols = async (change: Partial<LeafNode> = {}) => updateOf(state, 2, carol, change);
  const updates: [string, Proposal, number][] = [
    ['bob', await updateOf(state, 1, bob), 1],
    ['bob, with another signature key', await updateOf(state, 1, { ...bob, keys: frank.keys }), 1],
    ['carol', await carols(), 2],
    ['carol once more', await updateOf(state, 2, rekeyed), 2],
    ['carol, under the key of dave', await carols({ hpkePublicKey: leafAt(state, 3).hpkePublicKey }), 2],
    ['carol, who can nothing any more', await carols({ capabilities: { ...capabilities, extensions: [] } }), 2],
    ['carol, who cannot do any more what is required', await carols({ capabilities: modest }), 2],
    ['carol, as dave', await carols({ credential: leafAt(state, 3).credential }), 2],
    ['the committer', await updateOf(state, 0, people[0]!), 0],
    ['dave', await updateOf(state, 3, dave), 3],
  ];
  const removes = [0, 1, 2, 4, 5, 9, 0x7fffffff];
  const others: Proposal[] = [
    { proposalType: 0xf200, proposalData: new Uint8Array(0) },
    { proposalType: 'external_init', externalInit: { kemOutput: await freshKey() } },
    {
      proposalType: 'reinit',
      reinit: { groupId: new Uint8Array(16), version: 'mls10', cipherSuite: suite.name, extensions: [] },
    },
  ];
  return [
    ...adds.map(([who, proposal]) => ({ about: `adds ${who}`, proposal })),
    ...updates.map(([who, proposal, proposer]) => ({ about: `updates ${who}`, proposal, proposer })),
    ...removes.map(
      (removed): Candidate => ({
        about: `removes ${removed}`,
        proposal: { proposalType: 'remove', remove: { removed } },
      }),
    ),
    ...extensionSets().map(
      ([about, extensions]): Candidate => ({
        about: `sets ${about}`,
        proposal: { proposalType: 'group_context_extensions', groupContextExtensions: { extensions } },
      }),
    ),
    ...others.map((proposal): Candidate => ({ about: `a proposal of type ${proposal.proposalType}`, proposal })),
  ];
}

test('D6: whatever proposals a member puts into its commit, the server takes none that members would refuse', async () => {
  const { people, states } = await groupOf(suite, NAMES);
  const state = await withRequirement(states[0]!);
  const groupInfo = await createGroupInfo(suite, state, { tree: true });
  const opened = await openPublicGroup({ suite, sha256: nodeSha256 }, { groupInfo });
  if (opened.kind === 'refused') throw new Error(opened.reason);
  const all = await candidates(state, people);
  const references = all.map((_, index) => Uint8Array.of(index));
  const waiting = all.flatMap(({ proposal, proposer }, index) =>
    proposer === undefined
      ? []
      : [[toBase64(references[index]!), { proposal, senderLeafIndex: toLeafIndex(proposer) }] as const],
  );
  const member = { ...unwrap(decodeState(encodeState(state), wary)), unappliedProposals: Object.fromEntries(waiting) };

  const serverTakes = async (chosen: readonly number[]): Promise<boolean> => {
    const applied = chosen.map((index): AppliedProposal => {
      const { proposal, proposer } = all[index]!;
      const isReferenced = proposer !== undefined;
      return { proposal, sender: { kind: 'member', leaf: proposer ?? 0 }, isReferenced };
    });
    const plan = planProposals(reveal(opened.group), applied, { kind: 'member', leaf: 0 });
    if (isRefused(plan)) return false;
    const expectations = { now: NOW, maxLifetimeMs: 90 * DAY };
    const checks = await Promise.all(plan.adds.map((added) => checkDecodedKeyPackage(suite, added, expectations)));
    return checks.every(({ kind }) => kind === 'ok');
  };
  const membersTake = async (chosen: readonly number[]): Promise<boolean> => {
    const proposals = chosen.map((index) => {
      const { proposal, proposer } = all[index]!;
      return proposer === undefined
        ? ({ proposalOrRefType: 'proposal', proposal } as const)
        : ({ proposalOrRefType: 'reference', reference: references[index]! } as const);
    });
    try {
      await applyProposals(member, proposals, toLeafIndex(0), emptyPskIndex, false, suite);
      return true;
    } catch {
      return false;
    }
  };

  const verdicts = { taken: 0, refused: 0 };
  const judge = async (chosen: readonly number[]): Promise<void> => {
    const isTaken = await serverTakes(chosen);
    verdicts[isTaken ? 'taken' : 'refused'] += 1;
    const said = chosen.map((index) => all[index]!.about);
    if (isTaken) expect([said, await membersTake(chosen)]).toEqual([said, true]);
  };
  for (const index of all.keys()) await judge([index]);
  for (const index of all.keys()) for (let other = 0; other < index; other += 1) await judge([other, index]);
  const some = fc.uniqueArray(fc.nat(all.length - 1), { minLength: 3, maxLength: 4 });
  await fc.assert(fc.asyncProperty(some, judge), { numRuns: 300 });
  expect(verdicts.taken).toBeGreaterThan(50);
  expect(verdicts.refused).toBeGreaterThan(300);
});
