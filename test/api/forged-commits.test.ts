import { encodeMlsMessage, type Proposal } from 'ts-mls';
import type { Commit } from 'ts-mls/commit.js';
import { signWithLabel } from 'ts-mls/crypto/signature.js';
import { encodeLeafNodeTBS } from 'ts-mls/leafNode.js';
import { describe, expect, it } from 'vitest';
import { createLeaveProposal } from '../../src/mls/session/proposal.ts';
import { unwrap } from '../../src/mls/session/state.ts';
import { proposed, publicMessageIn, resigned, resignedGroupInfo, resignedLeaf } from '../mls/support/forge.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { pathOf, suite, type TestDevice } from '../support/test-device.ts';
import { useServer } from './support.ts';

const { server, device } = useServer();

type Bundle = Parameters<TestDevice['postCommit']>[1];

const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
const leafAt = (by: TestDevice, group: Uint8Array, leaf: number) => {
  const node = unwrap(by.state(group)).ratchetTree[leaf * 2];
  if (node?.nodeType !== 'leaf') throw new Error('nobody sits there');
  return node.leaf;
};

async function reason(answered: ReturnType<TestDevice['postCommit']>): Promise<string | undefined> {
  const problem = problemOf(await answered);
  expect(problem.status).toBe(problem.code === 'invalid-commit' ? 422 : problem.status);
  return problem.code === 'invalid-commit' ? problem.reason : problem.code;
}

const propose = (by: TestDevice, group: Uint8Array, proposal: Uint8Array) =>
  by.http.request('POST', `${pathOf(group)}/proposals`, { body: { proposal }, idempotencyKey: newId() });

/** alice administers, bob is a member; bob has committed, so that there is a path in the tree. */
async function prepared() {
  const [alice, bob, carol] = [await device(), await device(), await device()];
  const group = await alice.createGroup();
  await alice.invite(group, bob);
  await bob.catchUp();
  await bob.commit(group);
  await alice.catchUp();
  return { alice, bob, carol, group };
}

/** The group is where it was, and takes the next valid commit. */
async function goesOn(by: TestDevice, group: Uint8Array): Promise<void> {
  const before = by.epoch(group);
  expect(okValue(await by.http.request('GET', pathOf(group))).epoch).toBe(before);
  expect(await by.commit(group)).toMatchObject({ epoch: before + 1 });
}

describe('a commit of a member who lies is refused with its reason, and the group goes on', () => {
  it('D6: a broken signature, a leaf of another, a path with another parent hash, keys that are in use (D10)', async () => {
    const { alice, bob, group } = await prepared();
    const state = alice.state(group);
    const made = await alice.prepareCommit(group);
    const by = async (change: (commit: Commit) => Commit): Promise<Bundle> => ({
      ...made,
      commit: await resigned(suite, state, made.commit, change),
    });
    const withLeaf = async (change: Parameters<typeof resignedLeaf>[3]): Promise<Bundle> => {
      const { content } = publicMessageIn(made.commit);
      if (content.contentType !== 'commit') throw new Error('not a commit');
      const commit = await resignedLeaf(suite, state, content.commit, change);
      return await by(() => commit);
    };
    const message = publicMessageIn(made.commit);
    const auth = { ...message.auth, signature: flipped(message.auth.signature) };
    const publicMessage = { ...message, auth } as typeof message;
    const unsigned = encodeMlsMessage({ version: 'mls10', wireformat: 'mls_public_message', publicMessage });
    const theirs = leafAt(alice, group, alice.leafOf(group, bob));
    const forgeries: [string, Bundle][] = [
      ['bad-signature', { ...made, commit: unsigned }],
      ['identity-changed', await withLeaf((leaf) => ({ ...leaf, credential: theirs.credential }))],
      ['duplicate-key', await withLeaf((leaf) => ({ ...leaf, hpkePublicKey: theirs.hpkePublicKey }))],
      ['duplicate-key', await withLeaf((leaf) => ({ ...leaf, signaturePublicKey: theirs.signaturePublicKey }))],
      ['bad-parent-hash', await withLeaf((leaf) => ({ ...leaf, parentHash: flipped(leaf.parentHash) }))],
    ];
    for (const [expected, bundle] of forgeries) {
      expect([expected, await reason(alice.postCommit(group, bundle))]).toEqual([expected, expected]);
    }
    expect(await reason(bob.postCommit(group, made))).toBe('wrong-sender');
    await goesOn(alice, group);
  });

  it('D7: a GroupInfo with another tree hash or transcript, or of another signer', async () => {
    const { alice, bob, group } = await prepared();
    const made = await alice.prepareCommit(group);
    const withContext = (change: 'treeHash' | 'confirmedTranscriptHash') =>
      resignedGroupInfo(suite, made.next, made.groupInfo, (info) => ({
        ...info,
        groupContext: { ...info.groupContext, [change]: flipped(info.groupContext[change]) },
      }));
    const signer = alice.leafOf(group, bob);
    const byBob = await resignedGroupInfo(suite, bob.state(group), made.groupInfo, (info) => ({ ...info, signer }));
    const inHisName = await resignedGroupInfo(suite, bob.state(group), made.groupInfo, (info) => info);
    const forgeries: [string, Uint8Array][] = [
      ['wrong-tree-hash', await withContext('treeHash')],
      ['wrong-transcript-hash', await withContext('confirmedTranscriptHash')],
      ['wrong-signer', byBob],
      ['bad-group-info-signature', inHisName],
    ];
    for (const [expected, groupInfo] of forgeries) {
      expect([expected, await reason(alice.postCommit(group, { ...made, groupInfo }))]).toEqual([expected, expected]);
    }
    await goesOn(alice, group);
  });

  it('D3, D9: an unknown proposal, a Welcome that is missing, too much, or for others; also after a restart', async () => {
    const { alice, bob, carol, group } = await prepared();
    const { results } = okValue(await alice.claim(group, [carol.account]));
    const adding = await alice.prepareCommit(group, { add: [results[0].keyPackage] });
    const unclaimed = await alice.prepareCommit(group, { add: [(await carol.makePackage()).bytes] });
    const { welcome, ...bare } = adding;
    const rotation = await alice.prepareCommit(group);
    const proposals = [{ proposalOrRefType: 'reference', reference: new Uint8Array(32) }] as const;
    const commit = await resigned(suite, alice.state(group), rotation.commit, (same) => ({
      ...same,
      proposals: [...proposals],
    }));
    const verdicts = async () => [
      await reason(alice.postCommit(group, { ...rotation, commit })),
      await reason(alice.postCommit(group, bare)),
      await reason(alice.postCommit(group, { ...adding, welcome: unclaimed.welcome! })),
      await reason(alice.postCommit(group, { ...rotation, welcome: welcome! })),
    ];
    const expected = ['unknown-proposal', 'welcome-missing', 'welcome-mismatch', 'welcome-unexpected'];
    expect(await verdicts()).toEqual(expected);

    const { proposal } = await createLeaveProposal(suite, bob.state(group));
    okValue(await propose(bob, group, proposal));
    await server().restart();
    expect((await verdicts()).slice(0, 1)).toEqual(['unknown-proposal']);
    expect(await reason(alice.postCommit(group, rotation))).toBe('uncovered-proposal');
    await alice.process(group, proposal);
    await goesOn(alice, group);
  });
});

describe('an update proposal', () => {
  const freshKey = async () => suite.hpke.exportPublicKey((await suite.hpke.generateKeyPair()).publicKey);

  /** Of the own leaf, changed and signed. */
  async function update(
    by: TestDevice,
    group: Uint8Array,
    change: { hpkePublicKey?: Uint8Array; signer?: TestDevice },
  ) {
    const { groupContext, privatePath } = unwrap(by.state(group));
    const { capabilities, credential, extensions, signaturePublicKey } = leafAt(by, group, privatePath.leafIndex);
    const leaf = {
      capabilities,
      credential,
      extensions,
      signaturePublicKey: change.signer?.keys.signPublic ?? signaturePublicKey,
      hpkePublicKey: change.hpkePublicKey ?? (await freshKey()),
      leafNodeSource: 'update',
      groupId: groupContext.groupId,
      leafIndex: privatePath.leafIndex,
    } as const;
    const key = (change.signer ?? by).keys.signPrivate;
    const signature = await signWithLabel(key, 'LeafNodeTBS', encodeLeafNodeTBS(leaf), suite.signature);
    const leafNode = { ...leaf, signature };
    const proposal: Proposal = { proposalType: 'update', update: { leafNode } };
    return await proposed(suite, by.state(group), proposal);
  }

  it('D10: with the key of another is refused at the door, so that no commit has to contain it', async () => {
    const { alice, bob, group } = await prepared();
    const { hpkePublicKey } = leafAt(bob, group, bob.leafOf(group, alice));
    expect(await reason(propose(bob, group, await update(bob, group, { hpkePublicKey })))).toBe('duplicate-key');
    expect(await reason(propose(bob, group, await update(bob, group, { signer: alice })))).toBe('duplicate-key');
    await goesOn(alice, group);
    await bob.catchUp();
    expect((await propose(bob, group, await update(bob, group, {}))).status).toBe(201);

    const shared = await update(alice, group, { hpkePublicKey: await freshKey() });
    expect(await reason(propose(bob, group, shared))).toBe('wrong-sender');
  });

  it('D10: with a key that another update waits with is refused, too', async () => {
    const { alice, bob, group } = await prepared();
    const hpkePublicKey = await freshKey();
    expect((await propose(bob, group, await update(bob, group, { hpkePublicKey }))).status).toBe(201);
    expect(await reason(propose(alice, group, await update(alice, group, { hpkePublicKey })))).toBe('duplicate-key');
    expect((await propose(alice, group, await update(alice, group, {}))).status).toBe(201);
  });
});
