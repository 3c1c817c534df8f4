import {
  bytesToBase64,
  type ClientState,
  decodeMlsMessage,
  type GroupContext,
  joinGroup,
  makePskIndex,
  type PrivateKeyPackage,
  processMessage,
} from 'ts-mls';
import { decodeAuthenticatedContent } from 'ts-mls/authenticatedContent.js';
import { validateRatchetTree } from 'ts-mls/clientState.js';
import type { Decoder } from 'ts-mls/codec/tlsDecoder.js';
import { determineLength } from 'ts-mls/codec/variableLength.js';
import { decodeCommit } from 'ts-mls/commit.js';
import { applyUpdatePathSecret } from 'ts-mls/createCommit.js';
import { deriveSecret } from 'ts-mls/crypto/kdf.js';
import { encodeKeyPackage } from 'ts-mls/keyPackage.js';
import { pathToRoot } from 'ts-mls/pathSecrets.js';
import { mergePrivateKeyPaths, toPrivateKeyPath } from 'ts-mls/privateKeyPath.js';
import { decodeProposal, type Proposal } from 'ts-mls/proposal.js';
import {
  addLeafNode,
  decodeRatchetTree,
  encodeRatchetTree,
  removeLeafNode,
  resolution,
  updateLeafNode,
} from 'ts-mls/ratchetTree.js';
import { createConfirmedHash, createInterimHash } from 'ts-mls/transcriptHash.js';
import { treeHash, treeHashRoot } from 'ts-mls/treeHash.js';
import { leafWidth, root, toLeafIndex, toNodeIndex } from 'ts-mls/treemath.js';
import { applyUpdatePath, decodeUpdatePath } from 'ts-mls/updatePath.js';
import { describe, expect, test } from 'vitest';
import { libraryConfig } from '../../src/mls/config.ts';
import { decodeMessage } from '../../src/mls/encoding/decode.ts';
import { decodeTree } from '../../src/mls/encoding/tree-codec.ts';
import { inspectMessage } from '../../src/mls/framing.ts';
import { joinFromWelcome } from '../../src/mls/session/join.ts';
import { receive } from '../../src/mls/session/receive.ts';
import { epochAuthenticatorOf } from '../../src/mls/session/state.ts';
import { toHex } from '../../src/wire/bytes.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { trusting } from './support/people.ts';
import { hasVectors, hex, isOurs, ourSuite, vectors, verifyingSuite } from './support/vectors.ts';

interface TreeValidation {
  cipher_suite: number;
  tree: string;
  group_id: string;
  tree_hashes: string[];
  resolutions: number[][];
}
interface TreeOperation {
  cipher_suite: number;
  proposal: string;
  proposal_sender: number;
  tree_before: string;
  tree_after: string;
  tree_hash_before: string;
  tree_hash_after: string;
}
interface TreeKem {
  cipher_suite: number;
  group_id: string;
  epoch: number;
  confirmed_transcript_hash: string;
  ratchet_tree: string;
  leaves_private: {
    index: number;
    encryption_priv: string;
    path_secrets: { node: number; path_secret: string }[];
  }[];
  update_paths: {
    sender: number;
    update_path: string;
    path_secrets: (string | null)[];
    commit_secret: string;
    tree_hash_after: string;
  }[];
}
interface TranscriptHashes {
  cipher_suite: number;
  confirmation_key: string;
  authenticated_content: string;
  interim_transcript_hash_before: string;
  confirmed_transcript_hash_after: string;
  interim_transcript_hash_after: string;
}
interface PassiveClient {
  cipher_suite: number;
  external_psks: { psk_id: string; psk: string }[];
  key_package: string;
  signature_priv: string;
  encryption_priv: string;
  init_priv: string;
  welcome: string;
  ratchet_tree: string | null;
  initial_epoch_authenticator: string;
  epochs: { proposals: string[]; commit: string; epoch_authenticator: string }[];
}

function read<Value>(decoder: Decoder<Value>, text: string): Value {
  const bytes = hex(text);
  const decoded = decoder(bytes, 0);
  if (decoded === undefined || decoded[1] !== bytes.length) throw new Error('cannot be read');
  return decoded[0];
}

function contextOf(groupId: Uint8Array, name: GroupContext['cipherSuite']): GroupContext {
  const nothing = new Uint8Array(0);
  return {
    version: 'mls10',
    cipherSuite: name,
    groupId,
    epoch: 0n,
    treeHash: nothing,
    confirmedTranscriptHash: nothing,
    extensions: [],
  };
}

describe.skipIf(!hasVectors)('the MLS working group’s vectors', () => {
  test('deserialization: every length header is read as stated', () => {
    for (const { vlbytes_header, length } of vectors<{ vlbytes_header: string; length: number }>('deserialization')) {
      expect(determineLength(hex(vlbytes_header)).length).toBe(length);
    }
  });

  test('messages: each is read strictly and written back to the same bytes', () => {
    const fields = ['mls_welcome', 'mls_group_info', 'mls_key_package', 'public_message_proposal'];
    const all = vectors<Record<string, string>>('messages');
    expect(all.length).toBe(300);
    for (const vector of all) {
      for (const field of [...fields, 'public_message_commit', 'private_message']) {
        expect('message' in decodeMessage(hex(vector[field]!)), field).toBe(true);
        expect(inspectMessage(hex(vector[field]!)).kind).not.toBe('malformed');
      }
      expect(inspectMessage(hex(vector['public_message_application']!)).kind).toBe('malformed');
      expect(toHex(encodeRatchetTree(read(decodeRatchetTree, vector['ratchet_tree']!)))).toBe(vector['ratchet_tree']);
      read(decodeCommit, vector['commit']!);
    }
  });

  test('tree-validation: all 98 trees of all seven suites are valid, with the stated hashes and resolutions', async () => {
    const all = vectors<TreeValidation>('tree-validation');
    for (const vector of all) {
      const suite = verifyingSuite(vector.cipher_suite);
      const decoded = decodeTree(hex(vector.tree));
      if ('malformed' in decoded) throw new Error(decoded.malformed);
      const { tree } = decoded;
      for (const [index, expected] of vector.tree_hashes.entries()) {
        expect(toHex(await treeHash(tree, toNodeIndex(index), suite.hash))).toBe(expected);
        expect(resolution(tree, toNodeIndex(index))).toEqual(vector.resolutions[index]);
      }
      const { lifetimeConfig, authService } = libraryConfig(trusting);
      const rootHash = hex(vector.tree_hashes[root(leafWidth(tree.length))]!);
      const context = contextOf(hex(vector.group_id), suite.name);
      expect(await validateRatchetTree(tree, context, lifetimeConfig, authService, rootHash, suite)).toBeUndefined();
    }
    expect(all.length).toBe(98);
  });

  test('tree-operations: proposals change the tree as stated', async () => {
    for (const vector of vectors<TreeOperation>('tree-operations').filter(isOurs)) {
      const { hash } = ourSuite(vector.cipher_suite);
      const before = read(decodeRatchetTree, vector.tree_before);
      expect(toHex(await treeHashRoot(before, hash))).toBe(vector.tree_hash_before);
      const proposal = read<Proposal>(decodeProposal, vector.proposal);
      let after = before;
      if (proposal.proposalType === 'add') [after] = addLeafNode(before, proposal.add.keyPackage.leafNode);
      else if (proposal.proposalType === 'remove') after = removeLeafNode(before, toLeafIndex(proposal.remove.removed));
      else if (proposal.proposalType === 'update') {
        after = updateLeafNode(before, proposal.update.leafNode, toLeafIndex(vector.proposal_sender));
      } else throw new Error('another proposal');
      expect(toHex(encodeRatchetTree(after))).toBe(vector.tree_after);
      expect(toHex(await treeHashRoot(after, hash))).toBe(vector.tree_hash_after);
    }
  });

  test('treekem: every member finds the stated path and commit secrets in every update path', async () => {
    for (const vector of vectors<TreeKem>('treekem').filter(isOurs)) {
      const suite = ourSuite(vector.cipher_suite);
      const tree = read(decodeRatchetTree, vector.ratchet_tree);
      for (const update of vector.update_paths) {
        const path = read(decodeUpdatePath, update.update_path);
        const after = await applyUpdatePath(tree, toLeafIndex(update.sender), path, suite.hash);
        const treeHashAfter = await treeHashRoot(after, suite.hash);
        expect(toHex(treeHashAfter)).toBe(update.tree_hash_after);
        const context: GroupContext = {
          ...contextOf(hex(vector.group_id), suite.name),
          epoch: BigInt(vector.epoch),
          treeHash: treeHashAfter,
          confirmedTranscriptHash: hex(vector.confirmed_transcript_hash),
        };
        for (const leaf of vector.leaves_private.filter(({ index }) => index !== update.sender)) {
          const secrets = Object.fromEntries(leaf.path_secrets.map((known) => [known.node, hex(known.path_secret)]));
          const keys = mergePrivateKeyPaths(await toPrivateKeyPath(secrets, leaf.index, suite), {
            leafIndex: leaf.index,
            privateKeys: { [leaf.index * 2]: hex(leaf.encryption_priv) },
          });
          const sender = toLeafIndex(update.sender);
          const found = await applyUpdatePathSecret(tree, keys, sender, context, path, [], suite);
          expect(toHex(found.pathSecret)).toBe(update.path_secrets[leaf.index]);
          const toRoot = await pathToRoot(after, toNodeIndex(found.nodeIndex), found.pathSecret, suite.kdf);
          const rootSecret = toRoot[root(leafWidth(after.length))]!;
          expect(toHex(await deriveSecret(rootSecret, 'path', suite.kdf))).toBe(update.commit_secret);
        }
      }
    }
  });

  test('transcript-hashes: confirmed and interim hashes follow as stated', async () => {
    for (const vector of vectors<TranscriptHashes>('transcript-hashes')) {
      const { hash } = verifyingSuite(vector.cipher_suite);
      const { wireformat, content, auth } = read(decodeAuthenticatedContent, vector.authenticated_content);
      if (content.contentType !== 'commit' || auth.contentType !== 'commit') throw new Error('not a commit');
      const input = { wireformat, content, signature: auth.signature };
      const confirmed = await createConfirmedHash(hex(vector.interim_transcript_hash_before), input, hash);
      expect(toHex(confirmed)).toBe(vector.confirmed_transcript_hash_after);
      const interim = await createInterimHash(confirmed, auth.confirmationTag, hash);
      expect(toHex(interim)).toBe(vector.interim_transcript_hash_after);
    }
  });

  test.each(['passive-client-welcome', 'passive-client-handling-commit'])(
    '%s: a client that only listens arrives at the stated epoch authenticators',
    async (name) => {
      for (const vector of vectors<PassiveClient>(name).filter(isOurs)) {
        const suite = ourSuite(vector.cipher_suite);
        let state = await joinPassively(vector);
        expect(toHex(state.keySchedule.epochAuthenticator)).toBe(vector.initial_epoch_authenticator);
        for (const epoch of vector.epochs) {
          for (const bytes of [...epoch.proposals, epoch.commit]) {
            const message = read(decodeMlsMessage, bytes);
            if (message.wireformat !== 'mls_public_message' && message.wireformat !== 'mls_private_message') {
              throw new Error('not a handshake');
            }
            const psks = makePskIndex(state, pskSecrets(vector));
            state = (await processMessage(message, state, psks, () => 'accept', suite)).newState;
          }
          expect(toHex(state.keySchedule.epochAuthenticator)).toBe(epoch.epoch_authenticator);
        }
      }
    },
  );

  test('passive-client-welcome: our own interface joins every group that uses no pre-shared key', async () => {
    const ours = vectors<PassiveClient>('passive-client-welcome').filter(isOurs);
    const withoutPsk = ours.filter((vector) => vector.external_psks.length === 0);
    expect(withoutPsk.length).toBeGreaterThan(0);
    for (const vector of withoutPsk) {
      const joined = await joinFromWelcome(ourSuite(vector.cipher_suite), trusting, {
        welcome: hex(vector.welcome),
        keyPackage: {
          bytes: hex(vector.key_package),
          privateBytes: encodeCbor({
            v: 1,
            init: hex(vector.init_priv),
            encryption: hex(vector.encryption_priv),
            signature: hex(vector.signature_priv),
          }),
        },
        ...(vector.ratchet_tree === null ? {} : { tree: hex(vector.ratchet_tree) }),
      });
      if (joined.kind === 'refused') throw new Error(joined.code, { cause: joined.cause });
      expect(toHex(epochAuthenticatorOf(joined.state))).toBe(vector.initial_epoch_authenticator);
      const suite = ourSuite(vector.cipher_suite);
      expect((await receive(suite, joined.state, hex(vector.welcome))).kind).toBe('rejected');
    }
  });
});

function pskSecrets(vector: PassiveClient): Record<string, Uint8Array> {
  return Object.fromEntries(vector.external_psks.map(({ psk_id, psk }) => [bytesToBase64(hex(psk_id)), hex(psk)]));
}

async function joinPassively(vector: PassiveClient): Promise<ClientState> {
  const packageMessage = read(decodeMlsMessage, vector.key_package);
  const welcomeMessage = read(decodeMlsMessage, vector.welcome);
  if (packageMessage.wireformat !== 'mls_key_package') throw new Error('not a key package');
  if (welcomeMessage.wireformat !== 'mls_welcome') throw new Error('not a welcome');
  expect(encodeKeyPackage(packageMessage.keyPackage).length).toBeGreaterThan(0);
  const secrets: PrivateKeyPackage = {
    initPrivateKey: hex(vector.init_priv),
    hpkePrivateKey: hex(vector.encryption_priv),
    signaturePrivateKey: hex(vector.signature_priv),
  };
  return joinGroup(
    welcomeMessage.welcome,
    packageMessage.keyPackage,
    secrets,
    makePskIndex(undefined, pskSecrets(vector)),
    ourSuite(vector.cipher_suite),
    vector.ratchet_tree === null ? undefined : read(decodeRatchetTree, vector.ratchet_tree),
    undefined,
    libraryConfig(trusting),
  );
}
