import { encodeMlsMessage } from 'ts-mls';
import { expect, test } from 'vitest';
import { decodeMessage } from '../../src/mls/encoding/decode.ts';
import { withLength } from '../../src/mls/encoding/ref-hash.ts';
import { decodeTree } from '../../src/mls/encoding/tree-codec.ts';
import { extractTree, inspectMessage } from '../../src/mls/framing.ts';
import { keyPackageRef, proposalRef, summarizeCommit, summarizeProposal } from '../../src/mls/handshake.ts';
import { checkKeyPackage } from '../../src/mls/key-package-check.ts';
import { rosterOfGroupInfo } from '../../src/mls/roster.ts';
import { createCommit } from '../../src/mls/session/commit.ts';
import { joinExternal } from '../../src/mls/session/external-join.ts';
import { createGroupInfo } from '../../src/mls/session/group-info.ts';
import { joinFromWelcome, welcomeRefs } from '../../src/mls/session/join.ts';
import { encrypt } from '../../src/mls/session/message.ts';
import { createLeaveProposal } from '../../src/mls/session/proposal.ts';
import { receive } from '../../src/mls/session/receive.ts';
import { ratchetTreeBytesOf, unwrap } from '../../src/mls/session/state.ts';
import { encodeState } from '../../src/mls/session/state-codec.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import { concatBytes, toUtf8 } from '../../src/wire/bytes.ts';
import { DAY, groupOf, NOW, packageOf, person, trusting } from './support/people.ts';
import { createRandom, type Random } from './support/random.ts';

const suite = createNodeSuite();
const MUTATIONS_PER_MESSAGE = 100;
/** Of processor time: the machine may be doing other things. */
const LONGEST_MS = 500;

function mutated(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  switch (random.below(5)) {
    case 0:
      return copy.slice(0, random.below(copy.length)); // truncated
    case 1:
      return concatBytes(copy, random.bytes(1 + random.below(8))); // trailing
    case 2:
      copy[random.below(copy.length)]! ^= 1 << random.below(8); // one bit
      return copy;
    case 3:
      for (let i = 0; i < 4; i += 1) copy[random.below(copy.length)] = random.below(256);
      return copy;
    default: {
      const at = random.below(copy.length); // a piece gone or doubled
      const size = 1 + random.below(16);
      return random.below(2) === 0
        ? concatBytes(copy.slice(0, at), copy.slice(at + size))
        : concatBytes(copy.slice(0, at + size), copy.slice(at));
    }
  }
}

async function corpus() {
  const { people, states } = await groupOf(suite, ['alice', 'bob', 'carol']);
  const [alice, bob] = states as [(typeof states)[0], (typeof states)[0]];
  const own = await packageOf(suite, await person(suite, 'dave'));
  const committed = await createCommit(suite, alice, {
    add: [own.bytes],
    remove: [2],
    inlineTree: true,
    groupInfoTree: true,
    now: NOW,
  });
  const stranger = await person(suite, 'stranger');
  const groupInfo = await createGroupInfo(suite, alice, { tree: true });
  const external = await joinExternal(suite, trusting, {
    groupInfo,
    identity: stranger.identity,
    keys: stranger.keys,
    resync: false,
    groupInfoTree: false,
    now: NOW,
  });
  if (external.kind === 'refused') throw new Error(external.code);
  const messages = [
    committed.commit,
    committed.welcome!,
    groupInfo,
    own.bytes,
    external.commit,
    (await createLeaveProposal(suite, alice)).proposal,
    (await encrypt(suite, alice, toUtf8('hello'), toUtf8('aad'))).message,
  ];
  return { people, bob, own, messages };
}

test('random, truncated and mutated bytes never throw, hang or change a state, and nothing mutated is accepted', async () => {
  const random = createRandom(2026);
  const { bob, own, messages } = await corpus();
  const before = encodeState(bob);
  let slowest = 0;
  for (const message of messages) {
    for (let i = 0; i < MUTATIONS_PER_MESSAGE; i += 1) {
      const bytes = i % 10 === 0 ? random.bytes(random.below(300)) : mutated(message, random);
      if (Buffer.compare(bytes, message) === 0) continue;
      const began = process.cpuUsage();
      inspectMessage(bytes);
      extractTree(bytes);
      rosterOfGroupInfo(bytes);
      welcomeRefs(bytes);
      summarizeCommit(bytes, [], nodeSha256);
      summarizeProposal(bytes, nodeSha256);
      proposalRef(bytes, nodeSha256);
      keyPackageRef(bytes, nodeSha256);
      decodeTree(bytes);
      const check = await checkKeyPackage(suite, bytes, { now: NOW, maxLifetimeMs: 90 * DAY });
      expect(check.kind).toBe('refused');
      expect((await receive(suite, bob, bytes)).kind).toBe('rejected');
      expect((await joinFromWelcome(suite, trusting, { welcome: bytes, keyPackage: own })).kind).toBe('refused');
      slowest = Math.max(slowest, process.cpuUsage(began).user / 1000);
    }
  }
  expect(encodeState(bob)).toEqual(before);
  expect(slowest).toBeLessThan(LONGEST_MS);
});

test('a mutated GroupInfo never lets anybody join', async () => {
  const random = createRandom(7);
  const { messages } = await corpus();
  const stranger = await person(suite, 'another');
  for (let i = 0; i < MUTATIONS_PER_MESSAGE; i += 1) {
    const groupInfo = mutated(messages[2]!, random);
    const { identity, keys } = stranger;
    const options = { groupInfo, identity, keys, resync: false, groupInfoTree: false, now: NOW };
    expect((await joinExternal(suite, trusting, options)).kind).toBe('refused');
  }
});

test('a tree with an unmerged leaf out of range is refused before the library walks it', async () => {
  const { states } = await groupOf(suite, ['a', 'b', 'c', 'd']);
  const { next } = await createCommit(suite, states[0]!, { inlineTree: false, groupInfoTree: false, now: NOW });
  const tree = unwrap(next).ratchetTree.map((node) =>
    node?.nodeType === 'parent' ? { ...node, parent: { ...node.parent, unmergedLeaves: [0x7fffffff] } } : node,
  );
  const { encodeRatchetTree } = await import('ts-mls/ratchetTree.js');
  expect(decodeTree(encodeRatchetTree(tree))).toHaveProperty('malformed');
  expect(decodeTree(ratchetTreeBytesOf(next))).toHaveProperty('tree');
});

test('a message made of a quarter of a million tiny list items is refused at once (D13)', async () => {
  const { messages } = await corpus();
  const commit = messages[0]!;
  const proposals = 4 + 33 + 8 + 5 + 1 + 1; // version and format, group id, epoch, sender, no data, content type
  const items = new Uint8Array(1_000_000).fill(2); // references of two bytes
  const length = Uint8Array.of(0x80 | (items.length >> 24), items.length >> 16, items.length >> 8, items.length);
  const began = process.cpuUsage();
  const bytes = concatBytes(commit.slice(0, proposals), length, items, new Uint8Array(200));
  expect(inspectMessage(bytes)).toEqual({ kind: 'malformed', reason: 'Too many list items' });
  expect(process.cpuUsage(began).user / 1000).toBeLessThan(LONGEST_MS);
});

test('the same message in another encoding is malformed, and so is one above the size limit', async () => {
  const { messages } = await corpus();
  const message = messages[6]!;
  expect(inspectMessage(message).kind).toBe('private');
  expect(inspectMessage(message, message.length - 1).kind).toBe('malformed');
  // the group id's length in two bytes instead of one (RFC 9420 §2.1.2 wants the shortest)
  const longer = concatBytes(message.slice(0, 4), Uint8Array.of(0x40, message[4]!), message.slice(5));
  expect(inspectMessage(longer).kind).toBe('malformed');
});

test('messages of another group, epoch or kind are told apart before the library sees them', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const other = await groupOf(suite, ['xenia', 'yuri']);
  const [alice, bob] = states as [(typeof states)[0], (typeof states)[0]];
  const options = { inlineTree: false, groupInfoTree: false, now: NOW };
  const nothing = new Uint8Array(0);
  const code = async (state: typeof alice, bytes: Uint8Array) => {
    const received = await receive(suite, state, bytes);
    return received.kind === 'rejected' ? received.code : received.kind;
  };
  const foreign = await encrypt(suite, other.states[0]!, toUtf8('x'), nothing);
  expect(await code(bob, foreign.message)).toBe('wrong-group');
  const committed = await createCommit(suite, alice, options);
  const future = await encrypt(suite, committed.next, toUtf8('x'), nothing);
  expect(await code(bob, future.message)).toBe('future-epoch');
  expect(await code(alice, committed.commit)).toBe('own-message');
  const afterwards = await receive(suite, bob, committed.commit);
  if (afterwards.kind !== 'commit') throw new Error('no commit');
  expect(await code(afterwards.state, committed.commit)).toBe('past-epoch');
  const own = await encrypt(suite, alice, toUtf8('x'), nothing);
  expect(await code(own.state, own.message)).toBe('own-message');
  const once = await receive(suite, bob, own.message);
  if (once.kind !== 'message') throw new Error('no message');
  expect(await code(once.state, own.message)).toBe('replayed');
  expect(await code(bob, committed.groupInfo)).toBe('wrong-kind');
  const flipped = own.message.slice();
  flipped[flipped.length - 1]! ^= 1;
  expect(await code(bob, flipped)).toBe('undecryptable');
  const tampered = committed.commit.slice();
  tampered[tampered.length - 1]! ^= 1; // the membership tag
  expect(await code(bob, tampered)).toBe('unauthenticated');
});

test('a sender beyond what the ratchet may jump is told apart, one within is read', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const [alice, bob] = states as [(typeof states)[0], (typeof states)[0]];
  const skipTo = async (generation: number) => {
    const library = unwrap(alice);
    const secretTree = library.secretTree.slice();
    const own = secretTree[0]!;
    secretTree[0] = { ...own, application: { ...own.application, generation } };
    const state = { ...library, secretTree } as unknown as typeof alice;
    return (await encrypt(suite, state, toUtf8('far'), new Uint8Array(0))).message;
  };
  expect(await receive(suite, bob, await skipTo(10_001))).toMatchObject({ code: 'too-far-ahead' });
  // within the limit the ratchet runs, and the key is another one because alice’s was not really advanced
  expect(await receive(suite, bob, await skipTo(200))).toMatchObject({ code: 'undecryptable' });
});

test('the roster of a GroupInfo is not read from a tree wider than any group: a megabyte of blanks costs no second', async () => {
  const { states } = await groupOf(suite, ['alice']);
  const decoded = decodeMessage(await createGroupInfo(suite, states[0]!, { tree: true }));
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_group_info') throw new Error('no GroupInfo');
  const { message } = decoded;
  const leaf = ratchetTreeBytesOf(states[0]!);
  const inTree = (blanks: number) => {
    const extensionData = withLength(concatBytes(new Uint8Array(blanks), leaf.subarray(LENGTH_BYTES)));
    const extensions = message.groupInfo.extensions.map((extension) =>
      extension.extensionType === 'ratchet_tree' ? { ...extension, extensionData } : extension,
    );
    return encodeMlsMessage({ ...message, groupInfo: { ...message.groupInfo, extensions } });
  };
  expect(rosterOfGroupInfo(inTree(4))).toHaveLength(3);
  const before = process.cpuUsage();
  expect(rosterOfGroupInfo(inTree(1_000_000))).toBeUndefined();
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(LONGEST_MS);
});

/** Of the vector that a tree of one leaf is. */
const LENGTH_BYTES = 2;
