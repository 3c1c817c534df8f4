import {
  bytesToBase64,
  createCommit,
  type GroupInfo,
  joinGroupExternal,
  makePskIndex,
  type NodeParent,
  type Proposal,
  processMessage,
  type RatchetTree,
} from 'ts-mls';
import { deriveSecret } from 'ts-mls/crypto/kdf.js';
import { generateKeyPackage } from 'ts-mls/keyPackage.js';
import { getCommitSecret } from 'ts-mls/pathSecrets.js';
import { toNodeIndex } from 'ts-mls/treemath.js';
import { expect, test } from 'vitest';
import { libraryConfig, ownCapabilities } from '../../src/mls/config.ts';
import { decodeMessage } from '../../src/mls/encoding/decode.ts';
import { createCommit as createOurCommit } from '../../src/mls/session/commit.ts';
import { createGroupInfo } from '../../src/mls/session/group-info.ts';
import { createKeyPackage } from '../../src/mls/session/key-package.ts';
import { unwrap } from '../../src/mls/session/state.ts';
import { BASE_SUITE } from '../../src/mls/suite.ts';
import { createNodeSuite } from '../../src/mls/suite-node.ts';
import { toHex, toUtf8 } from '../../src/wire/bytes.ts';
import { DAY, groupOf, NOW, packageOf, person, trusting } from './support/people.ts';

const suite = createNodeSuite();

test('patch 4: an external pre-shared key works in a private commit', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const [alice, bob] = [unwrap(states[0]!), unwrap(states[1]!)];
  const pskId = toUtf8('shared');
  const secrets = { [bytesToBase64(pskId)]: new Uint8Array(32).fill(7) };
  const pskNonce = suite.rng.randomBytes(32);
  const psk: Proposal = { proposalType: 'psk', psk: { preSharedKeyId: { psktype: 'external', pskId, pskNonce } } };
  const context = { state: alice, cipherSuite: suite, pskIndex: makePskIndex(alice, secrets) };
  const { commit, newState } = await createCommit(context, { extraProposals: [psk] });
  if (commit.wireformat !== 'mls_private_message') throw new Error('not private');
  const seen = await processMessage(commit, bob, makePskIndex(bob, secrets), () => 'accept', suite);
  expect(toHex(seen.newState.keySchedule.epochAuthenticator)).toBe(toHex(newState.keySchedule.epochAuthenticator));
});

test('patch 6: replacing a leaf that is not there is an error, not an endless loop', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const decoded = decodeMessage(await createGroupInfo(suite, states[0]!, { tree: true }));
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_group_info') throw new Error('no GroupInfo');
  const groupInfo: GroupInfo = decoded.message.groupInfo;
  const stranger = await generateKeyPackage(
    { credentialType: 'basic', identity: toUtf8('stranger') },
    ownCapabilities(BASE_SUITE),
    { notBefore: 0n, notAfter: 2n ** 40n },
    [],
    suite,
  );
  const { publicPackage, privatePackage } = stranger;
  const joining = joinGroupExternal(
    groupInfo,
    publicPackage,
    privatePackage,
    true,
    suite,
    undefined,
    libraryConfig(trusting),
  );
  await expect(joining).rejects.toThrow();
});

test('patch 7: the commit secret follows from the last node of the filtered path, not from a blank root', async () => {
  // four leaves, the left two blank: the root is not on the filtered path of the right two (RFC 9420 §7.4)
  const { states } = await groupOf(suite, ['a', 'b', 'c', 'd']);
  const { ratchetTree } = unwrap(states[0]!);
  const parent: NodeParent = {
    nodeType: 'parent',
    parent: { hpkePublicKey: new Uint8Array(32), parentHash: new Uint8Array(0), unmergedLeaves: [] },
  };
  const none = undefined;
  const tree: RatchetTree = [none, none, none, none, ratchetTree[4], parent, ratchetTree[6]];
  const secret = new Uint8Array(32).fill(1);
  const expected = await deriveSecret(secret, 'path', suite.kdf);
  expect(toHex(await getCommitSecret(tree, toNodeIndex(5), secret, suite.kdf))).toBe(toHex(expected));
});

test('patch 8: whether a package is still valid is judged by the time that is handed in, not by the clock', async () => {
  const { states } = await groupOf(suite, ['alice']);
  const bob = await person(suite, 'bob');
  for (const now of [NOW - 4000 * DAY, NOW + 4000 * DAY]) {
    const about = { identity: bob.identity, keys: bob.keys, now, lifetimeMs: DAY, lastResort: false };
    const { bytes } = await createKeyPackage(suite, about);
    const committed = await createOurCommit(suite, states[0]!, {
      add: [bytes],
      inlineTree: false,
      groupInfoTree: false,
      now,
    });
    expect(committed.welcome).toBeDefined();
  }
});

test('patch 9: two badly signed packages in one commit are one refusal, and nothing is left that nobody hears of', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const extraProposals: Proposal[] = [];
  for (const name of ['carol', 'dave']) {
    const decoded = decodeMessage((await packageOf(suite, await person(suite, name))).bytes);
    if ('malformed' in decoded || decoded.message.wireformat !== 'mls_key_package') throw new Error('no package');
    const keyPackage = { ...decoded.message.keyPackage, signature: new Uint8Array(64) };
    extraProposals.push({ proposalType: 'add', add: { keyPackage } });
  }
  const unheard: unknown[] = [];
  const hear = (error: unknown): void => void unheard.push(error);
  process.on('unhandledRejection', hear);
  const state = unwrap(states[0]!);
  const context = { state, cipherSuite: suite, pskIndex: makePskIndex(state, {}) };
  await expect(createCommit(context, { extraProposals })).rejects.toThrow();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', hear);
  expect(unheard).toEqual([]);
});
