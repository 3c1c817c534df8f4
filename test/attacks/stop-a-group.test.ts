import { encodeMlsMessage, type LeafNode, type Proposal } from 'ts-mls';
import type { Commit } from 'ts-mls/commit.js';
import { signWithLabel } from 'ts-mls/crypto/signature.js';
import { signKeyPackage } from 'ts-mls/keyPackage.js';
import { encodeLeafNodeTBS, signLeafNodeKeyPackage } from 'ts-mls/leafNode.js';
import { calculateParentHash } from 'ts-mls/parentHash.js';
import { toNodeIndex } from 'ts-mls/treemath.js';
import { describe, expect, it } from 'vitest';
import { decodeMessage } from '../../src/mls/encoding/decode.ts';
import { encodeRoles, ROLES_EXTENSION } from '../../src/mls/roles.ts';
import { generateSignatureKeys } from '../../src/mls/session/key-package.ts';
import { unwrap } from '../../src/mls/session/state.ts';
import { useServer } from '../api/support.ts';
import { proposed, publicMessageIn, resigned, resignedGroupInfo, resignedLeaf } from '../mls/support/forge.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { pathOf, suite, type TestDevice } from '../support/test-device.ts';

const { device } = useServer();

/** Whoever agrees on a secret with these gets zeros, which HPKE refuses (RFC 7748 §6.1, RFC 9180 §7.1.4). */
const SMALL_ORDER = [
  new Uint8Array(32),
  Uint8Array.from(Buffer.from('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880', 'hex')),
];

type Bundle = Parameters<TestDevice['postCommit']>[1];
type ContextExtensions = Extract<
  Proposal,
  { proposalType: 'group_context_extensions' }
>['groupContextExtensions']['extensions'];

async function verdict(answered: ReturnType<TestDevice['postCommit']>): Promise<string | undefined> {
  const response = await answered;
  if (response.status < 300) return 'taken';
  const { code, reason } = problemOf(response);
  return code === 'invalid-commit' ? reason : code;
}

/** Alice administers; Mallory, a member like Bob, has committed, so that there are parent nodes with keys of hers. */
async function scene() {
  const [alice, bob, mallory] = [await device(), await device(), await device()];
  const group = await alice.createGroup();
  await alice.invite(group, bob, mallory);
  await Promise.all([bob.catchUp(), mallory.catchUp()]);
  await mallory.commit(group);
  await Promise.all([alice.catchUp(), bob.catchUp()]);
  return { alice, bob, mallory, group };
}

function commitIn(bytes: Uint8Array): Commit {
  const { content } = publicMessageIn(bytes);
  if (content.contentType !== 'commit') throw new Error('not a commit');
  return content.commit;
}

function leafOf(by: TestDevice, group: Uint8Array): LeafNode {
  const { ratchetTree, privatePath } = unwrap(by.state(group));
  const node = ratchetTree[privatePath.leafIndex * 2];
  if (node?.nodeType !== 'leaf') throw new Error('nobody sits there');
  return node.leaf;
}

/** The group is where it was, and everybody in it commits and follows. */
async function goesOn(group: Uint8Array, ...members: TestDevice[]): Promise<void> {
  for (const by of members) {
    await by.commit(group);
    for (const other of members) if (other !== by) await other.catchUp();
  }
  expect(new Set(members.map((member) => member.epoch(group))).size).toBe(1);
}

describe('D6: a group is not stopped', () => {
  it('by a member’s commit whose keys nobody can seal to, or that brings back a key which it replaces, or a leaf of a megabyte', async () => {
    const { alice, bob, mallory, group } = await scene();
    const state = mallory.state(group);
    const made = await mallory.prepareCommit(group);
    const signed = async (commit: Commit): Promise<Bundle> => ({
      ...made,
      commit: await resigned(suite, state, made.commit, () => commit),
    });
    const withLeaf = async (change: Parameters<typeof resignedLeaf>[3]) =>
      signed(await resignedLeaf(suite, state, commitIn(made.commit), change));
    for (const hpkePublicKey of SMALL_ORDER) {
      expect(await verdict(mallory.postCommit(group, await withLeaf((leaf) => ({ ...leaf, hpkePublicKey }))))).toBe(
        'bad-leaf',
      );
      const path = await withPathKeys(mallory, group, made, (keys) => [...keys.slice(0, -1), hpkePublicKey]);
      expect(await verdict(mallory.postCommit(group, path))).toBe('bad-path');
      const kem = mapPath(commitIn(made.commit), (node) => ({
        ...node,
        encryptedPathSecret: node.encryptedPathSecret.map((sealed) => ({ ...sealed, kemOutput: hpkePublicKey })),
      }));
      expect(await verdict(mallory.postCommit(group, await signed(kem)))).toBe('bad-path');
    }
    const root = unwrap(state).ratchetTree[3];
    if (root?.nodeType !== 'parent') throw new Error('no root');
    const again = await withPathKeys(mallory, group, made, (keys) => [...keys.slice(0, -1), root.parent.hpkePublicKey]);
    expect(await verdict(mallory.postCommit(group, again))).toBe('duplicate-key');
    const large = { extensionType: 'application_id', extensionData: new Uint8Array(1_000_000) } as const;
    const swollen = await withLeaf((leaf) => ({ ...leaf, extensions: [...leaf.extensions, large] }));
    expect(await verdict(mallory.postCommit(group, swollen))).toBe('bad-leaf');
    await goesOn(group, alice, bob, mallory);
  });

  it('by an update that waits, which every commit would have to contain', async () => {
    const { alice, bob, mallory, group } = await scene();
    const { groupContext, privatePath } = unwrap(mallory.state(group));
    const { capabilities, credential, extensions, signaturePublicKey } = leafOf(mallory, group);
    const hpkePublicKey = await suite.hpke.exportPublicKey((await suite.hpke.generateKeyPair()).publicKey);
    const fresh = { capabilities, credential, extensions, signaturePublicKey, hpkePublicKey };
    const propose = async (change: Partial<typeof fresh>, signPrivate = mallory.keys.signPrivate, spoilt = 0) => {
      const tbs = {
        ...{ ...fresh, ...change },
        ...({ leafNodeSource: 'update', groupId: groupContext.groupId, leafIndex: privatePath.leafIndex } as const),
      };
      const signature = await signWithLabel(signPrivate, 'LeafNodeTBS', encodeLeafNodeTBS(tbs), suite.signature);
      signature[0]! ^= spoilt;
      const leafNode = { ...tbs, signature };
      const proposal = await proposed(suite, mallory.state(group), { proposalType: 'update', update: { leafNode } });
      const body = { proposal };
      return verdict(mallory.http.request('POST', `${pathOf(group)}/proposals`, { body, idempotencyKey: newId() }));
    };
    for (const key of SMALL_ORDER) expect(await propose({ hpkePublicKey: key })).toBe('bad-leaf');
    const data = { extensionType: 'application_id', extensionData: new Uint8Array(100_000) } as const;
    expect(await propose({ extensions: [data] })).toBe('bad-leaf');
    const unknown = await generateSignatureKeys(suite);
    expect(await propose({ signaturePublicKey: unknown.signPublic }, unknown.signPrivate)).toBe(
      'unknown-signature-key',
    );
    expect(await propose({ credential: leafOf(bob, group).credential })).toBe('identity-changed');
    expect(await propose({}, mallory.keys.signPrivate, 1)).toBe('bad-leaf-signature');
    await goesOn(group, alice, bob, mallory);
  });

  it('by a key package that nobody can be added with: it is refused at its publication (D9)', async () => {
    const mallory = await device(undefined, 0);
    const { signPrivate } = mallory.keys;
    const decoded = decodeMessage((await mallory.makePackage()).bytes);
    if ('malformed' in decoded || decoded.message.wireformat !== 'mls_key_package') throw new Error('no package');
    const { keyPackage } = decoded.message;
    const forged: Uint8Array[] = [];
    for (const key of SMALL_ORDER) {
      const leafNode = await signLeafNodeKeyPackage(
        { ...keyPackage.leafNode, hpkePublicKey: key },
        signPrivate,
        suite.signature,
      );
      for (const change of [{ leafNode }, { initKey: key }]) {
        const signed = await signKeyPackage({ ...keyPackage, ...change }, signPrivate, suite.signature);
        forged.push(encodeMlsMessage({ version: 'mls10', wireformat: 'mls_key_package', keyPackage: signed }));
      }
    }
    const body = { keyPackages: forged };
    const answered = await mallory.http.request('PUT', '/v1/key-packages', { body, idempotencyKey: newId() });
    expect(okValue(answered)).toMatchObject({
      stored: 0,
      refused: forged.map((_, index) => ({ index, reason: 'bad-key' })),
    });
  });

  it('by an administrator’s extensions that members refuse or cannot read, at its creation or later', async () => {
    const { alice, bob, mallory, group } = await scene();
    const made = await alice.prepareCommit(group);
    const roles = (admin: TestDevice) =>
      encodeRoles({ admins: [admin.account], invite: 'admins', join: 'invite' as const });
    const evil: ContextExtensions = [
      // a sender with a credential that no member knows
      { extensionType: 'external_senders', extensionData: Uint8Array.of(1, 7, 0, 1, 1, 9) },
      { extensionType: 'external_senders', extensionData: Uint8Array.of(9) },
      { extensionType: 'required_capabilities', extensionData: new Uint8Array(0) },
      { extensionType: 'required_capabilities', extensionData: Uint8Array.of(5) },
      { extensionType: 'required_capabilities', extensionData: Uint8Array.of(0, 0, 0, 7) },
      { extensionType: 'required_capabilities', extensionData: new Uint8Array(100_000) },
      { extensionType: 'ratchet_tree', extensionData: new Uint8Array(1_000_000) },
      { extensionType: 'application_id', extensionData: new Uint8Array(1_000_000) },
    ];
    for (const extension of evil) {
      const own = { extensionType: ROLES_EXTENSION, extensionData: roles(alice) };
      const proposal: Proposal = {
        proposalType: 'group_context_extensions',
        groupContextExtensions: { extensions: [own, extension] },
      };
      const commit = await resigned(suite, alice.state(group), made.commit, (same) => ({
        ...same,
        proposals: [{ proposalOrRefType: 'proposal', proposal }],
      }));
      const refused = await verdict(alice.postCommit(group, { ...made, commit }));
      expect([extension.extensionType, refused]).toEqual([extension.extensionType, 'unsupported-extension']);
      const fresh = await alice.prepareGroup();
      const groupInfo = await resignedGroupInfo(suite, fresh.state, fresh.body.groupInfo, (info) => ({
        ...info,
        groupContext: { ...info.groupContext, extensions: [...info.groupContext.extensions, extension] },
      }));
      const body = { group: fresh.group, groupInfo };
      const created = alice.http.request('POST', '/v1/groups', { body, idempotencyKey: newId() });
      expect([extension.extensionType, await verdict(created)]).toEqual([
        extension.extensionType,
        'unsupported-extension',
      ]);
    }
    await goesOn(group, alice, bob, mallory);
  });

  it('by a stranger who joins an open group with a secret that nobody can open', async () => {
    const [alice, bob, eve] = [await device(), await device(), await device()];
    const group = await alice.createGroup(undefined, { join: 'open' });
    await alice.invite(group, bob);
    await bob.catchUp();
    const joined = await eve.prepareExternal(group, false);
    // an external commit is signed in the context of the epoch it ends, which the joiner’s own state has left
    const { groupContext } = unwrap(alice.state(group));
    const state = { ...unwrap(joined.state), groupContext } as unknown as typeof joined.state;
    for (const kemOutput of [...SMALL_ORDER, new Uint8Array(0), new Uint8Array(31).fill(7), new Uint8Array(4_000)]) {
      const commit = await resigned(suite, state, joined.commit, (same) => ({
        ...same,
        proposals: same.proposals.map((item) =>
          item.proposalOrRefType === 'proposal' && item.proposal.proposalType === 'external_init'
            ? { ...item, proposal: { ...item.proposal, externalInit: { kemOutput } } }
            : item,
        ),
      }));
      expect(await verdict(eve.postCommit(group, { ...joined, commit }))).toBe('external-init');
    }
    await goesOn(group, alice, bob);
  });
});

type PathNode = NonNullable<Commit['path']>['nodes'][number];

function mapPath(commit: Commit, change: (node: PathNode, index: number) => PathNode): Commit {
  return { ...commit, path: { ...commit.path!, nodes: commit.path!.nodes.map(change) } };
}

/** Other keys on the path, from the leaf up, with the parent hash that follows from them: only the keys themselves are wrong. */
async function withPathKeys(
  by: TestDevice,
  group: Uint8Array,
  made: Bundle,
  change: (keys: Uint8Array[]) => Uint8Array[],
): Promise<Bundle> {
  const state = by.state(group);
  const commit = commitIn(made.commit);
  const keys = change(commit.path!.nodes.map(({ hpkePublicKey }) => hpkePublicKey));
  const { ratchetTree, privatePath } = unwrap(state);
  const nodes = ratchetTree.slice();
  // Mallory sits at leaf 2 of three: the root is all there is above her, for nobody sits beside her
  expect([privatePath.leafIndex, keys.length, nodes.length, nodes[5]]).toEqual([2, 1, 7, undefined]);
  nodes[3] = {
    nodeType: 'parent',
    parent: { hpkePublicKey: keys[0]!, unmergedLeaves: [], parentHash: new Uint8Array(0) },
  };
  const [parentHash] = await calculateParentHash(nodes, toNodeIndex(4), suite.hash);
  const other = mapPath(commit, (node, index) => ({ ...node, hpkePublicKey: keys[index]! }));
  const signed = await resignedLeaf(suite, state, other, (leaf) => ({ ...leaf, parentHash }));
  return { ...made, commit: await resigned(suite, state, made.commit, () => signed) };
}
