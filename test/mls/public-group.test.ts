import { encodeMlsMessage, type Proposal } from 'ts-mls';
import type { Commit } from 'ts-mls/commit.js';
import { encodeRatchetTree } from 'ts-mls/ratchetTree.js';
import { beforeAll, describe, expect, test } from 'vitest';
import { decodeMessage } from '../../src/mls/encoding/decode.ts';
import { decodePublicGroup, encodePublicGroup } from '../../src/mls/public-group/codec.ts';
import { foldCommit } from '../../src/mls/public-group/commit.ts';
import {
  type PublicGroup,
  publicEpochOf,
  publicGroupIdOf,
  publicPendingOf,
  publicRolesOf,
  publicRosterOf,
  publicTranscriptHashOf,
  publicTreeHashOf,
} from '../../src/mls/public-group/group.ts';
import { foldGroupInfo, openPublicGroup, verifyNewGroup } from '../../src/mls/public-group/open.ts';
import { foldProposal, verifyProposal } from '../../src/mls/public-group/proposal.ts';
import type { PublicGroupRefusal } from '../../src/mls/public-group/refusal.ts';
import { type CommitBundle, type CommitRules, type Verifier, verifyCommit } from '../../src/mls/public-group/verify.ts';
import { encodeRoles, type GroupRoles, ROLES_EXTENSION } from '../../src/mls/roles.ts';
import { createCommit } from '../../src/mls/session/commit.ts';
import { createGroup } from '../../src/mls/session/create.ts';
import { joinExternal } from '../../src/mls/session/external-join.ts';
import { createGroupInfo } from '../../src/mls/session/group-info.ts';
import { createLeaveProposal } from '../../src/mls/session/proposal.ts';
import { type GroupState, membersOf, rolesOf, unwrap } from '../../src/mls/session/state.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import { equalBytes, toUtf8 } from '../../src/wire/bytes.ts';
import { proposed, publicMessageIn, resigned, resignedGroupInfo, resignedLeaf } from './support/forge.ts';
import {
  founded,
  identityNamed,
  mustJoin,
  mustReceive,
  NOW,
  type Person,
  packageOf,
  person,
  rolesWith,
  trusting,
} from './support/people.ts';
import { createRandom } from './support/random.ts';
import { permissive } from './support/server.ts';

const suite = createNodeSuite();
const verifier: Verifier = { suite, sha256: nodeSha256 };
const options = { inlineTree: false, groupInfoTree: false, now: NOW };
const nothing = new Uint8Array(0);

/** alice administers, bob and carol are members; the server has followed from the first epoch on. */
let people: Record<'alice' | 'bob' | 'carol' | 'dave', Person>;
let alice: GroupState;
let bob: GroupState;
let carol: GroupState;
let server: PublicGroup;
let dave: Awaited<ReturnType<typeof packageOf>>;

async function prepared(roles: GroupRoles = { ...rolesWith('alice'), join: 'invite' }) {
  people = {
    alice: await person(suite, 'alice'),
    bob: await person(suite, 'bob'),
    carol: await person(suite, 'carol'),
    dave: await person(suite, 'dave'),
  };
  const { identity, keys } = people.alice;
  const group = { groupId: nodeSha256(toUtf8('group')), identity, keys, roles, now: NOW };
  const { state, groupInfo } = await createGroup(suite, trusting, group);
  const opened = await verifyNewGroup(verifier, groupInfo, permissive(identity));
  if (opened.kind === 'refused') throw new Error(opened.reason);
  const packages = [await packageOf(suite, people.bob), await packageOf(suite, people.carol)] as const;
  const added = await createCommit(suite, state, {
    add: packages.map((own) => own.bytes),
    ...options,
    inlineTree: true,
  });
  server = await mustAccept(opened.group, added, people.alice);
  bob = await mustJoin(suite, added.welcome!, packages[0]);
  carol = await mustJoin(suite, added.welcome!, packages[1]);
  alice = added.next;
  // bob rotates, so that there is a path in the tree
  const rotated = await createCommit(suite, bob, options);
  server = await mustAccept(server, rotated, people.bob);
  alice = (await mustReceive(suite, alice, rotated.commit, 'commit')).state;
  carol = (await mustReceive(suite, carol, rotated.commit, 'commit')).state;
  bob = rotated.next;
  dave = await packageOf(suite, people.dave);
}

async function mustAccept(group: PublicGroup, bundle: CommitBundle, by: Person): Promise<PublicGroup> {
  const valid = await verifyCommit(verifier, group, bundle, permissive(by.identity));
  if (valid.kind === 'refused') throw new Error(`${valid.reason}: ${valid.detail}`);
  return valid.group;
}

async function reasonFor(bundle: CommitBundle, by: Person, change: Partial<CommitRules> = {}) {
  const before = encodePublicGroup(server);
  const valid = await verifyCommit(verifier, server, bundle, { ...permissive(by.identity), ...change });
  expect(encodePublicGroup(server)).toEqual(before);
  return valid.kind === 'refused' ? valid.reason : valid.kind;
}

function bundleOf({ commit, groupInfo, welcome }: CommitBundle, change: Partial<CommitBundle> = {}): CommitBundle {
  return { commit, groupInfo, ...(welcome === undefined ? {} : { welcome }), ...change };
}

async function addProposal(own: { bytes: Uint8Array }): Promise<Proposal> {
  const decoded = decodeMessage(own.bytes);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_key_package') throw new Error('no key package');
  return { proposalType: 'add', add: { keyPackage: decoded.message.keyPackage } };
}

const inline = (proposal: Proposal) => ({ proposalOrRefType: 'proposal', proposal }) as const;
const rolesProposal = (bytes: Uint8Array): Proposal => ({
  proposalType: 'group_context_extensions',
  groupContextExtensions: { extensions: [{ extensionType: ROLES_EXTENSION, extensionData: bytes }] },
});
const flipped = (bytes: Uint8Array, at = 0): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));

beforeAll(() => prepared());

describe('a valid bundle with one thing changed is refused with the reason for it (D6)', () => {
  type Forgery = [
    what: string,
    reason: PublicGroupRefusal,
    forge: () => Promise<[CommitBundle, Person, Partial<CommitRules>?]>,
  ];

  /** alice adds dave and removes nobody, then signs something else. */
  const adding = () => createCommit(suite, alice, { add: [dave.bytes], ...options });
  const rotating = () => createCommit(suite, alice, options);
  const recommitted = async (
    made: CommitBundle,
    change: (commit: Commit) => Commit,
  ): Promise<[CommitBundle, Person]> => [
    bundleOf(made, { commit: await resigned(suite, alice, made.commit, change) }),
    people.alice,
  ];
  const withProposals = async (...proposals: Proposal[]) =>
    recommitted(await rotating(), (commit) => ({
      ...commit,
      proposals: [...proposals.map(inline), ...commit.proposals],
    }));
  const withLeaf = async (change: Parameters<typeof resignedLeaf>[3]): Promise<[CommitBundle, Person]> => {
    const made = await rotating();
    const content = publicMessageIn(made.commit).content;
    if (content.contentType !== 'commit') throw new Error('not a commit');
    const changed = await resignedLeaf(suite, alice, content.commit, change);
    return recommitted(made, () => changed);
  };
  const withGroupInfo = async (change: Parameters<typeof resignedGroupInfo>[3]): Promise<[CommitBundle, Person]> => {
    const made = await rotating();
    return [
      bundleOf(made, { groupInfo: await resignedGroupInfo(suite, made.next, made.groupInfo, change) }),
      people.alice,
    ];
  };

  const forgeries: Forgery[] = [
    [
      'bytes cut off',
      'malformed',
      async () => {
        const made = await rotating();
        return [bundleOf(made, { commit: made.commit.slice(0, -1) }), people.alice];
      },
    ],
    [
      'a proposal for a commit',
      'not-a-commit',
      async () => {
        const made = await rotating();
        return [bundleOf(made, { commit: (await createLeaveProposal(suite, bob)).proposal }), people.alice];
      },
    ],
    [
      'another group',
      'wrong-group',
      async () => {
        const { state } = await founded(suite, people.alice);
        return [await createCommit(suite, state, options), people.alice];
      },
    ],
    [
      'the next epoch',
      'wrong-epoch',
      async () => [await createCommit(suite, (await rotating()).next, options), people.alice],
    ],
    ['sent by another device (D11)', 'wrong-sender', async () => [await rotating(), people.bob]],
    [
      'a sender that is not there',
      'unknown-sender',
      async () => {
        const made = await rotating();
        const commit = await resigned(suite, alice, made.commit, (same) => same, {
          senderType: 'member',
          leafIndex: 9,
        });
        return [bundleOf(made, { commit }), people.alice];
      },
    ],
    [
      'a sender that signed nothing',
      'bad-signature',
      async () => {
        const made = await createCommit(suite, bob, options);
        const commit = await resigned(suite, alice, made.commit, (same) => same);
        return [bundleOf(made, { commit }), people.bob];
      },
    ],
    [
      'a reference to nothing (D3)',
      'unknown-proposal',
      async () =>
        recommitted(await rotating(), (commit) => ({
          ...commit,
          proposals: [{ proposalOrRefType: 'reference', reference: new Uint8Array(32) }],
        })),
    ],
    [
      'a proposal nobody supports',
      'unsupported-proposal',
      () => withProposals({ proposalType: 0xf200, proposalData: nothing }),
    ],
    [
      'the committer removed',
      'removes-committer',
      () => withProposals({ proposalType: 'remove', remove: { removed: 0 } }),
    ],
    ['a remove of nobody', 'unknown-leaf', () => withProposals({ proposalType: 'remove', remove: { removed: 3 } })],
    [
      'a remove far outside',
      'unknown-leaf',
      () => withProposals({ proposalType: 'remove', remove: { removed: 0x7fffffff } }),
    ],
    [
      'more proposals than are looked at (D13)',
      'too-many-proposals',
      () => {
        const removal: Proposal = { proposalType: 'remove', remove: { removed: 1 } };
        return withProposals(...Array.from({ length: 4001 }, () => removal));
      },
    ],
    [
      'the same remove twice',
      'conflicting-proposals',
      () =>
        withProposals(
          { proposalType: 'remove', remove: { removed: 1 } },
          { proposalType: 'remove', remove: { removed: 1 } },
        ),
    ],
    [
      'extensions twice',
      'conflicting-proposals',
      () => {
        const roles = encodeRoles(rolesWith('alice'));
        return withProposals(rolesProposal(roles), rolesProposal(roles));
      },
    ],
    [
      'an external init of a member',
      'external-init',
      () => withProposals({ proposalType: 'external_init', externalInit: { kemOutput: new Uint8Array(32) } }),
    ],
    [
      'a member added again (D10)',
      'already-member',
      async () => withProposals(await addProposal(await packageOf(suite, people.bob))),
    ],
    [
      'somebody added twice (D10)',
      'already-member',
      async () => withProposals(await addProposal(dave), await addProposal(await packageOf(suite, people.dave))),
    ],
    ['roles that cannot be read', 'bad-roles', () => withProposals(rolesProposal(toUtf8('all to me')))],
    [
      'no path where one is needed',
      'path-missing',
      async () => recommitted(await rotating(), (commit) => ({ ...commit, path: undefined })),
    ],
    [
      'a path too short',
      'bad-path',
      async () =>
        recommitted(await rotating(), (commit) => ({
          ...commit,
          path: { ...commit.path!, nodes: commit.path!.nodes.slice(1) },
        })),
    ],
    [
      'a path without a ciphertext',
      'bad-path',
      async () =>
        recommitted(await rotating(), (commit) => ({
          ...commit,
          path: {
            ...commit.path!,
            nodes: commit.path!.nodes.map((node, i) => (i === 0 ? { ...node, encryptedPathSecret: [] } : node)),
          },
        })),
    ],
    [
      'a path to other keys',
      'bad-parent-hash',
      async () =>
        recommitted(await rotating(), (commit) => ({
          ...commit,
          path: {
            ...commit.path!,
            nodes: commit.path!.nodes.map((node) => ({ ...node, hpkePublicKey: flipped(node.hpkePublicKey) })),
          },
        })),
    ],
    [
      'a leaf that is not signed',
      'bad-leaf-signature',
      async () =>
        recommitted(await rotating(), (commit) => ({
          ...commit,
          path: { ...commit.path!, leafNode: { ...commit.path!.leafNode, signature: new Uint8Array(64) } },
        })),
    ],
    [
      'a leaf of somebody else',
      'identity-changed',
      () =>
        withLeaf((leaf) => ({
          ...leaf,
          credential: { credentialType: 'basic', identity: toUtf8(identityNamed('eve')) },
        })),
    ],
    [
      'a leaf that cannot do what the group does',
      'unsupported-extension',
      () => withLeaf((leaf) => ({ ...leaf, capabilities: { ...leaf.capabilities, extensions: [] } })),
    ],
    [
      'a leaf without its suite',
      'bad-leaf',
      () => withLeaf((leaf) => ({ ...leaf, capabilities: { ...leaf.capabilities, ciphersuites: [] } })),
    ],
    [
      'a leaf under an old encryption key',
      'key-not-new',
      () => {
        const node = unwrap(alice).ratchetTree[0];
        if (node?.nodeType !== 'leaf') throw new Error('no leaf');
        return withLeaf((leaf) => ({ ...leaf, hpkePublicKey: node.leaf.hpkePublicKey }));
      },
    ],
    [
      'the encryption key of another member (D10)',
      'duplicate-key',
      () => {
        const node = unwrap(alice).ratchetTree[2];
        if (node?.nodeType !== 'leaf') throw new Error('no leaf');
        return withLeaf((leaf) => ({ ...leaf, hpkePublicKey: node.leaf.hpkePublicKey }));
      },
    ],
    [
      'a signature key that is not registered',
      'unknown-signature-key',
      async () => [await rotating(), people.alice, { isSignatureKeyOf: () => false }],
    ],
    [
      'a package that was not claimed for this group',
      'unclaimed-key-package',
      async () => [await adding(), people.alice, { isClaimed: (ref) => !equalBytes(ref, dave.ref) }],
    ],
    [
      'a package that has run out',
      'bad-key-package',
      async () => [await adding(), people.alice, { now: dave.notAfter + 1000 }],
    ],
    [
      'a package whose signature is wrong',
      'bad-key-package',
      async () => {
        const forged = await addProposal(dave);
        if (forged.proposalType !== 'add') throw new Error('not an add');
        const { keyPackage } = (forged as Extract<Proposal, { proposalType: 'add' }>).add;
        const add = { keyPackage: { ...keyPackage, signature: new Uint8Array(64) } };
        return recommitted(await adding(), (commit) => ({
          ...commit,
          proposals: [inline({ proposalType: 'add', add })],
        }));
      },
    ],
    [
      'more members than allowed (D13)',
      'too-many-members',
      async () => [await adding(), people.alice, { maxMembers: 3 }],
    ],
    [
      'an add by somebody who may not',
      'forbidden',
      async () => [await createCommit(suite, bob, { add: [dave.bytes], ...options }), people.bob],
    ],
    [
      'a remove by somebody who may not',
      'forbidden',
      async () => [await createCommit(suite, bob, { remove: [2], ...options }), people.bob],
    ],
    [
      'roles by somebody who may not',
      'forbidden',
      async () => [await createCommit(suite, bob, { roles: rolesWith('bob'), ...options }), people.bob],
    ],
    [
      'nobody left to administer',
      'no-administrator',
      async () => [await createCommit(suite, alice, { roles: rolesWith('dave'), ...options }), people.alice],
    ],
    [
      'a GroupInfo that is none',
      'bad-group-info',
      async () => [bundleOf(await rotating(), { groupInfo: dave.bytes }), people.alice],
    ],
    [
      'the GroupInfo of the epoch before (D7)',
      'bad-group-info',
      async () => [
        bundleOf(await rotating(), { groupInfo: await createGroupInfo(suite, alice, { tree: false }) }),
        people.alice,
      ],
    ],
    [
      'a GroupInfo with another tree hash (D7)',
      'wrong-tree-hash',
      () =>
        withGroupInfo((info) => ({
          ...info,
          groupContext: { ...info.groupContext, treeHash: flipped(info.groupContext.treeHash) },
        })),
    ],
    [
      'a GroupInfo with another tree inside (D7)',
      'wrong-tree-hash',
      () =>
        withGroupInfo((info) => ({
          ...info,
          extensions: [
            ...info.extensions,
            { extensionType: 'ratchet_tree', extensionData: encodeRatchetTree(unwrap(alice).ratchetTree) },
          ],
        })),
    ],
    [
      'a GroupInfo with another transcript',
      'wrong-transcript-hash',
      () =>
        withGroupInfo((info) => ({
          ...info,
          groupContext: {
            ...info.groupContext,
            confirmedTranscriptHash: flipped(info.groupContext.confirmedTranscriptHash),
          },
        })),
    ],
    [
      'a GroupInfo with other extensions',
      'wrong-extensions',
      () => withGroupInfo((info) => ({ ...info, groupContext: { ...info.groupContext, extensions: [] } })),
    ],
    [
      'a GroupInfo with another confirmation tag',
      'wrong-confirmation-tag',
      () => withGroupInfo((info) => ({ ...info, confirmationTag: flipped(info.confirmationTag) })),
    ],
    ['a GroupInfo of another signer (D7)', 'wrong-signer', () => withGroupInfo((info) => ({ ...info, signer: 1 }))],
    [
      'a GroupInfo that nobody signed (D7)',
      'bad-group-info-signature',
      async () => {
        const made = await rotating();
        return [bundleOf(made, { groupInfo: flipped(made.groupInfo, made.groupInfo.length - 1) }), people.alice];
      },
    ],
    [
      'a GroupInfo that lets nobody in',
      'external-pub-missing',
      () => withGroupInfo((info) => ({ ...info, extensions: [] })),
    ],
    [
      'no Welcome for who is added (D2)',
      'welcome-missing',
      async () => {
        const { commit, groupInfo } = await adding();
        return [{ commit, groupInfo }, people.alice];
      },
    ],
    [
      'a Welcome for nobody',
      'welcome-unexpected',
      async () => {
        const { welcome } = await adding();
        return [bundleOf(await rotating(), { welcome: welcome! }), people.alice];
      },
    ],
    [
      'a Welcome that names a package twice',
      'welcome-mismatch',
      async () => {
        const made = await adding();
        const decoded = decodeMessage(made.welcome!);
        if ('malformed' in decoded || decoded.message.wireformat !== 'mls_welcome') throw new Error('no Welcome');
        const { message } = decoded;
        const { secrets } = message.welcome;
        const twice = { ...message, welcome: { ...message.welcome, secrets: [...secrets, ...secrets] } };
        return [bundleOf(made, { welcome: encodeMlsMessage(twice) }), people.alice];
      },
    ],
    [
      'a Welcome for somebody else',
      'welcome-mismatch',
      async () => {
        const other = await packageOf(suite, await person(suite, 'erin'));
        const { welcome } = await createCommit(suite, alice, { add: [other.bytes], ...options });
        return [bundleOf(await adding(), { welcome: welcome! }), people.alice];
      },
    ],
  ];

  test.each(forgeries)('%s: %s', async (_, reason, forge) => {
    const [bundle, by, change] = await forge();
    expect(await reasonFor(bundle, by, change)).toBe(reason);
  });

  test('no single changed byte of a valid bundle is taken, but in what only members can check', async () => {
    const made = await adding();
    const bundle = bundleOf(made);
    expect(await reasonFor(bundle, people.alice)).toBe('valid');
    const random = createRandom(3);
    const tagBytes = 33; // the membership tag, with its length: made with a key that no server has
    for (let i = 0; i < 150; i += 1) {
      const commit = made.commit.slice();
      commit[random.below(commit.length - tagBytes)]! ^= 1 + random.below(255);
      expect(await reasonFor(bundleOf(made, { commit }), people.alice)).not.toBe('valid');
      const groupInfo = made.groupInfo.slice();
      groupInfo[random.below(groupInfo.length)]! ^= 1 + random.below(255);
      expect(await reasonFor(bundleOf(made, { groupInfo }), people.alice)).not.toBe('valid');
    }
  });
});

describe('external commits', () => {
  const external = async (who: Person, resync: boolean) => {
    const groupInfo = await createGroupInfo(suite, alice, { tree: true });
    const joined = await joinExternal(suite, trusting, {
      groupInfo,
      identity: who.identity,
      keys: who.keys,
      resync,
      groupInfoTree: false,
      now: NOW,
    });
    if (joined.kind === 'refused') throw new Error(joined.code);
    return joined;
  };

  test('a device replaces its own old leaf, whatever the join policy (D18)', async () => {
    expect(await reasonFor(await external(people.bob, true), people.bob)).toBe('valid');
  });

  test('a stranger gets into a group by invitation only (D11)', async () => {
    expect(await reasonFor(await external(people.dave, false), people.dave)).toBe('join-closed');
  });

  test('nobody replaces the leaf of somebody else, brings proposals of others, or joins twice (D18)', async () => {
    const rejoined = await external(people.bob, true);
    const change = (alter: (commit: Commit) => Commit) => async () => {
      const commit = await resigned(suite, rejoined.state, rejoined.commit, alter);
      return reasonFor(bundleOf(rejoined, { commit }), people.bob);
    };
    const signed = async (alter: (commit: Commit) => Commit) => {
      // an external commit is signed in the context of the epoch it ends, which the joiner’s own state has left
      const state = { ...unwrap(rejoined.state), groupContext: unwrap(alice).groupContext } as unknown as GroupState;
      const commit = await resigned(suite, state, rejoined.commit, alter);
      return reasonFor(bundleOf(rejoined, { commit }), people.bob);
    };
    expect(await change((commit) => commit)()).toBe('wrong-epoch');
    const remove = (leaf: number) => inline({ proposalType: 'remove', remove: { removed: leaf } });
    const inits = (commit: Commit) =>
      commit.proposals.filter(
        (item) => item.proposalOrRefType === 'proposal' && item.proposal.proposalType === 'external_init',
      );
    expect(await signed((commit) => ({ ...commit, proposals: [remove(1), remove(2), ...inits(commit)] }))).toBe(
      'external-remove',
    );
    expect(await signed((commit) => ({ ...commit, proposals: [remove(2), ...inits(commit)] }))).toBe('external-remove');
    expect(await signed((commit) => ({ ...commit, proposals: inits(commit) }))).not.toBe('valid');
    expect(await signed((commit) => ({ ...commit, proposals: [remove(1)] }))).toBe('external-init');
    expect(await signed((commit) => ({ ...commit, proposals: [...commit.proposals, ...inits(commit)] }))).toBe(
      'external-init',
    );
    const beside = [rolesProposal(encodeRoles(rolesWith('bob'))), await addProposal(dave)].map(inline);
    for (const other of beside) {
      expect(await signed((commit) => ({ ...commit, proposals: [...commit.proposals, other] }))).toBe(
        'unsupported-proposal',
      );
    }
    expect(
      await signed((commit) => ({
        ...commit,
        proposals: [...commit.proposals, { proposalOrRefType: 'reference', reference: new Uint8Array(32) }],
      })),
    ).toBe('external-reference');
  });
});

describe('standalone proposals', () => {
  const reason = async (bytes: Uint8Array, by: Person, change: Partial<CommitRules> = {}) => {
    const accepted = await verifyProposal(verifier, server, bytes, { ...permissive(by.identity), ...change });
    return accepted.kind === 'refused' ? accepted.reason : accepted.kind;
  };

  test('everybody may ask to leave, but the last administrator may not go', async () => {
    expect(await reason((await createLeaveProposal(suite, bob)).proposal, people.bob)).toBe('accepted');
    expect(await reason((await createLeaveProposal(suite, alice)).proposal, people.alice)).toBe('no-administrator');
  });

  test('a proposal is refused for who sends it, what it wants and how it is signed', async () => {
    const remove = (leaf: number): Proposal => ({ proposalType: 'remove', remove: { removed: leaf } });
    expect(await reason(await proposed(suite, bob, remove(2)), people.bob)).toBe('forbidden');
    expect(await reason(await proposed(suite, alice, remove(2)), people.bob)).toBe('wrong-sender');
    expect(await reason(await proposed(suite, alice, remove(7)), people.alice)).toBe('unknown-leaf');
    const add = await addProposal(dave);
    expect(await reason(await proposed(suite, alice, add), people.alice)).toBe('accepted');
    expect(await reason(await proposed(suite, bob, add), people.bob)).toBe('forbidden');
    expect(await reason(await proposed(suite, alice, add), people.alice, { isClaimed: () => false })).toBe(
      'unclaimed-key-package',
    );
    expect(
      await reason(await proposed(suite, alice, { proposalType: 0xf200, proposalData: nothing }), people.alice),
    ).toBe('unsupported-proposal');
    const message = publicMessageIn((await createLeaveProposal(suite, bob)).proposal);
    const unsigned = { ...message, auth: { ...message.auth, signature: new Uint8Array(64) } };
    const bytes = encodeMlsMessage({ version: 'mls10', wireformat: 'mls_public_message', publicMessage: unsigned });
    expect(await reason(bytes, people.bob)).toBe('bad-signature');
    expect(await reason((await createCommit(suite, alice, options)).commit, people.alice)).toBe('not-a-proposal');
  });

  test('a commit that leaves out a valid pending proposal is refused, and one that covers it is taken (D3)', async () => {
    const { proposal } = await createLeaveProposal(suite, bob);
    const folded = foldProposal(server, proposal, nodeSha256);
    if (folded.kind === 'refused') throw new Error(folded.reason);
    expect(publicPendingOf(folded.group)).toHaveLength(1);
    const reopened = decodePublicGroup(encodePublicGroup(folded.group), nodeSha256);
    expect(publicPendingOf(reopened)).toEqual(publicPendingOf(folded.group));
    const verdict = async (bundle: CommitBundle, by: Person) => {
      const valid = await verifyCommit(verifier, reopened, bundle, permissive(by.identity));
      return valid.kind === 'refused' ? valid.reason : valid.kind;
    };
    expect(await verdict(await createCommit(suite, alice, options), people.alice)).toBe('uncovered-proposal');
    const seen = await mustReceive(suite, alice, proposal, 'proposal');
    const covering = await createCommit(suite, seen.state, options);
    expect(await verdict(covering, people.alice)).toBe('valid');
    const twice = await resigned(suite, alice, covering.commit, (commit) => ({
      ...commit,
      proposals: [...commit.proposals, ...commit.proposals],
    }));
    expect(await verdict(bundleOf(covering, { commit: twice }), people.alice)).toBe('duplicate-proposal');
    expect(await verdict(await createCommit(suite, alice, { remove: [1], ...options }), people.alice)).toBe('valid');
    const seenByCarol = await mustReceive(suite, carol, proposal, 'proposal');
    expect(await verdict(await createCommit(suite, seenByCarol.state, options), people.carol)).toBe('valid');
    // who wants to leave cannot go on as if nothing were
    expect(await verdict(await createCommit(suite, bob, options), people.bob)).toBe('uncovered-proposal');
  });
});

describe('pending proposals never stop a group', () => {
  const pendingAt = async (...proposals: Uint8Array[]) => {
    let group = server;
    let [byAlice, byBob] = [alice, bob];
    for (const bytes of proposals) {
      const folded = foldProposal(group, bytes, nodeSha256);
      if (folded.kind === 'refused') throw new Error(folded.reason);
      group = folded.group;
      byAlice = (await mustReceive(suite, byAlice, bytes, 'proposal')).state;
      byBob = (await mustReceive(suite, byBob, bytes, 'proposal')).state;
    }
    return { group, byAlice, byBob };
  };
  const verdict = async (group: PublicGroup, bundle: CommitBundle, by: Person, change: Partial<CommitRules> = {}) => {
    const valid = await verifyCommit(verifier, group, bundle, { ...permissive(by.identity), ...change });
    return valid.kind === 'refused' ? valid.reason : valid.kind;
  };

  test('of two that exclude each other one is enough, whichever the committer took', async () => {
    const again = await addProposal(await packageOf(suite, people.dave));
    const both = [await proposed(suite, alice, await addProposal(dave)), await proposed(suite, alice, again)];
    const { group, byBob } = await pendingAt(...both);
    const committed = await createCommit(suite, byBob, options);
    expect(committed.dropped).toHaveLength(1);
    expect(await verdict(group, committed, people.bob)).toBe('valid');
    expect(await verdict(group, await createCommit(suite, bob, options), people.bob)).toBe('uncovered-proposal');
  });

  test('a device that was revoked while it waited may be left out, and may not be put in', async () => {
    const { group, byBob } = await pendingAt(await proposed(suite, alice, await addProposal(dave)));
    const revoked = { isSignatureKeyOf: (identity: string) => identity !== people.dave.identity };
    const withDave = await createCommit(suite, byBob, options);
    expect(await verdict(group, withDave, people.bob, revoked)).toBe('unknown-signature-key');
    expect(await verdict(group, withDave, people.bob)).toBe('valid');
    expect(await verdict(group, await createCommit(suite, bob, options), people.bob, revoked)).toBe('valid');
  });

  test('the last administrator stays although two of them asked to go at once', async () => {
    const promoted = await createCommit(suite, alice, { roles: rolesWith('alice', 'bob'), ...options });
    const group = await mustAccept(server, promoted, people.alice);
    const states = await Promise.all(
      [bob, carol].map(async (state) => (await mustReceive(suite, state, promoted.commit, 'commit')).state),
    );
    let waiting = group;
    let [, byCarol] = states as [GroupState, GroupState];
    for (const leaver of [promoted.next, states[0]!]) {
      const { proposal } = await createLeaveProposal(suite, leaver);
      const folded = foldProposal(waiting, proposal, nodeSha256);
      if (folded.kind === 'refused') throw new Error(folded.reason);
      waiting = folded.group;
      byCarol = (await mustReceive(suite, byCarol, proposal, 'proposal')).state;
    }
    const committed = await createCommit(suite, byCarol, options);
    expect(committed.dropped).toHaveLength(1);
    expect(await verdict(waiting, committed, people.carol)).toBe('valid');
  });
});

test('what a commit costs the server grows with the depth of the tree, not with the number of members', async () => {
  const hashesFor = async (members: number) => {
    const { state } = await founded(suite, people.alice);
    const packages = await Promise.all(
      Array.from({ length: members - 1 }, async (_, i) => packageOf(suite, await person(suite, `member ${i}`))),
    );
    const added = await createCommit(suite, state, {
      add: packages.map((own) => own.bytes),
      ...options,
      groupInfoTree: true,
    });
    const opened = await openPublicGroup(verifier, { groupInfo: added.groupInfo });
    if (opened.kind === 'refused') throw new Error(opened.reason);
    const rotated = await createCommit(suite, added.next, options);
    let hashes = 0;
    const counting = (bytes: Uint8Array) => {
      hashes += 1;
      return nodeSha256(bytes);
    };
    expect(foldCommit(opened.group, rotated.commit, counting).kind).toBe('folded');
    return hashes;
  };
  const [small, large] = [await hashesFor(32), await hashesFor(128)];
  expect(small).toBeLessThanOrEqual(2 * 5 + 4);
  expect(large).toBeLessThanOrEqual(2 * 7 + 4);
});

describe('a new group', () => {
  test('is refused when it is not the caller’s own, has no roles or more than one member', async () => {
    const verdict = async (groupInfo: Uint8Array, by: Person) => {
      const opened = await verifyNewGroup(verifier, groupInfo, permissive(by.identity));
      return opened.kind === 'refused' ? opened.reason : opened.kind;
    };
    const { state, groupInfo } = await founded(suite, people.alice);
    expect(await verdict(groupInfo, people.alice)).toBe('opened');
    expect(await verdict(groupInfo, people.bob)).toBe('wrong-sender');
    expect(await verdict(flipped(groupInfo, groupInfo.length - 1), people.alice)).toBe('bad-group-info-signature');
    expect(await verdict(await createGroupInfo(suite, state, { tree: false }), people.alice)).toBe('bad-tree');
    const foreign = await founded(suite, people.alice, nodeSha256(toUtf8('g')), rolesWith('bob'));
    expect(await verdict(foreign.groupInfo, people.alice)).toBe('no-administrator');
    const { groupInfo: later } = await createCommit(suite, state, { ...options, groupInfoTree: true });
    expect(await verdict(later, people.alice)).toBe('wrong-epoch');
  });

  test('is opened from a GroupInfo and its tree at any epoch, and from no other tree', async () => {
    const groupInfo = await createGroupInfo(suite, alice, { tree: false });
    const tree = encodeRatchetTree(unwrap(alice).ratchetTree);
    const opened = await openPublicGroup(verifier, { groupInfo, tree });
    if (opened.kind === 'refused') throw new Error(opened.reason);
    expect(publicEpochOf(opened.group)).toBe(2);
    const { groupContext } = unwrap(alice);
    for (const group of [opened.group, server]) {
      expect(publicGroupIdOf(group)).toEqual(groupContext.groupId);
      expect(publicTreeHashOf(group)).toEqual(groupContext.treeHash);
      expect(publicTranscriptHashOf(group)).toEqual(groupContext.confirmedTranscriptHash);
      expect(publicRolesOf(group)).toEqual(rolesOf(alice));
      const members = membersOf(alice).map(({ identity, signatureKey }) => ({ identity, signatureKey }));
      expect(publicRosterOf(group)).toEqual(members);
    }
    expect(foldGroupInfo({ groupInfo, tree }, nodeSha256)).toMatchObject({ kind: 'opened' });
    const { state } = await founded(suite, people.alice);
    const other = encodeRatchetTree(unwrap(state).ratchetTree);
    expect(await openPublicGroup(verifier, { groupInfo, tree: other })).toMatchObject({ reason: 'wrong-tree-hash' });
  });
});
