import { beforeAll, describe, expect, test } from 'vitest';
import { membersAsked } from '../../../src/client/engine/account-entry.ts';
import { applyEntry, compareHead } from '../../../src/client/engine/apply-entry.ts';
import { commitAnswered, prepareCommit } from '../../../src/client/engine/commits.ts';
import { type Effect, effectsOf } from '../../../src/client/engine/effects.ts';
import { addIntention } from '../../../src/client/engine/intentions.ts';
import { proposalTurn, proposeLeave, startLeaving } from '../../../src/client/engine/leave.ts';
import { messagesAnswered, queueText, sealTexts, sendable } from '../../../src/client/engine/outbox.ts';
import type { EngineEnv, Group, Step } from '../../../src/client/engine/types.ts';
import { applyWelcome, emptyGroup } from '../../../src/client/engine/welcome.ts';
import { createCommit } from '../../../src/mls/session/commit.ts';
import type { NewKeyPackage } from '../../../src/mls/session/key-package.ts';
import { epochAuthenticatorOf, epochOf, ratchetTreeBytesOf } from '../../../src/mls/session/state.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { EMPTY_HEAD, encodeEntry, type GroupEntry, nextHead, type WelcomeEntry } from '../../../src/wire/entry.ts';
import type { ClientId, DeviceId, Position } from '../../../src/wire/ids.ts';
import {
  enginePerson,
  given,
  introduce,
  keyPackageOf,
  memberOf,
  NOW,
  newGroup,
  suite,
} from '../../support/engine-people.ts';

interface Player {
  readonly env: EngineEnv;
  group: Group;
}

/** The log of one group: gives entries their places. */
function createLog(bytes: Uint8Array, start: { position: number; head: Uint8Array }) {
  let { position, head } = start;
  const entries: { entry: GroupEntry; bytes: Uint8Array }[] = [];
  return {
    entries,
    place: (rest: {
      kind: 'commit' | 'proposal' | 'message';
      id: string;
      sender: DeviceId;
      epoch: number;
      payload: Uint8Array;
    }) => {
      position += 1;
      const entry: GroupEntry = { ...rest, group: bytes, position: position as Position, time: NOW + position };
      const encoded = encodeEntry(entry);
      head = nextHead(head, encoded, nodeSha256);
      entries.push({ entry, bytes: encoded });
      return entries.at(-1)!;
    },
    head: () => head,
    position: () => position,
  };
}

let alice: Player;
let bob: Player;
let log: ReturnType<typeof createLog>;
/** Applies what was placed to both. */
async function read(who: Player, from: number): Promise<Step[]> {
  const steps: Step[] = [];
  for (const { entry, bytes } of log.entries.slice(from)) {
    const step = await given(applyEntry(who.env, who.group, entry, bytes));
    who.group = step.group;
    steps.push(step);
  }
  return steps;
}
async function say(who: Player, text: string): Promise<void> {
  const localId = `${who.env.me.name}-${text}`.padEnd(22, '_') as ClientId;
  who.group = queueText(who.group, { localId, ordinal: who.group.outbox.length + 1, text, time: NOW }).group;
  who.group = (await sealTexts(who.env, who.group, { reseal: false })).group;
}
const post = (who: Player) => {
  for (const { sealed } of sendable(who.group)) {
    log.place({
      kind: 'message',
      id: sealed.id,
      sender: who.env.me.device,
      epoch: sealed.epoch,
      payload: sealed.message,
    });
  }
};
async function commit(who: Player, kind: Parameters<typeof addIntention>[2]): Promise<void> {
  who.group = addIntention(who.group, 'wish', kind).group;
  who.group = (await prepareCommit(who.env, who.group)).group;
}
const postCommit = (who: Player) => {
  const pending = who.group.pending!;
  log.place({
    kind: 'commit',
    id: pending.id,
    sender: who.env.me.device,
    epoch: pending.epoch,
    payload: pending.body.commit,
  });
};
const kinds = (effects: readonly Effect[]): string[] => effects.map(({ kind }) => kind);
/** What adds this device by this key package. */
const adding = ({ me }: EngineEnv, keyPackage: NewKeyPackage): Parameters<typeof addIntention>[2] => {
  const { account, device, identity } = me;
  return { kind: 'add', packages: [{ account, device, identity, keyPackage: keyPackage.bytes }] };
};
/** Alice's, as it stands in an inbox. */
const invitation = (payload: Omit<WelcomeEntry['payload'], 'inviter'>): WelcomeEntry => {
  const { account, device } = alice.env.me;
  return { kind: 'welcome', time: NOW, sender: device, payload: { ...payload, inviter: account } };
};

beforeAll(async () => {
  // alice made the group and added bob: both are at epoch 1
  const [a, b] = [await enginePerson('alice'), await enginePerson('bob')];
  introduce([a, b]);
  const { groupId: bytes, state } = await newGroup(a);
  const keyPackage = await keyPackageOf(b);
  log = createLog(bytes, { position: 0, head: EMPTY_HEAD });
  alice = { env: a, group: memberOf(bytes, state, { head: EMPTY_HEAD }) };
  await commit(alice, adding(b, keyPackage));
  const { welcome } = alice.group.pending!.body;
  postCommit(alice);
  await read(alice, 0);
  const place = { group: bytes, name: 'tea', position: 1 as Position, head: log.head(), epoch: 1 };
  const joined = await given(applyWelcome(b, undefined, invitation({ ...place, welcome: welcome! }), { keyPackage }));
  expect(kinds(effectsOf(joined.group, nodeSha256))).toEqual(['ask-members']);
  bob = { env: b, group: membersAsked(b, joined.group, 1).group };
  expect(joined.lines).toMatchObject([{ kind: 'joined', by: { name: 'alice' }, epoch: 1 }]);
});

describe('the engine', () => {
  test('given an entry that was applied, when it comes again, then nothing changes', async () => {
    const from = log.entries.length;
    await say(alice, 'hello');
    post(alice);
    const [own] = await read(alice, from);
    const [heard] = await read(bob, from);
    expect(own!.lines).toMatchObject([{ kind: 'message', own: true, text: 'hello' }]);
    expect(heard!.lines).toMatchObject([{ kind: 'message', own: false, text: 'hello', sender: { name: 'alice' } }]);
    const again = await given(applyEntry(bob.env, bob.group, log.entries[from]!.entry, log.entries[from]!.bytes));
    expect(again).toEqual({ group: bob.group, lines: [], signals: [], consumed: [] });
  });

  test('given a gap, then the group is parked where it was, and what comes after it changes nothing', async () => {
    const { entry, bytes } = log.entries.at(-1)!;
    const later = { ...entry, position: (bob.group.position + 2) as Position };
    const parked = await given(applyEntry(bob.env, bob.group, later, bytes));
    expect(parked.group).toMatchObject({ phase: 'parked', position: bob.group.position });
    expect(parked.lines).toHaveLength(1);
    const next = { ...entry, position: (bob.group.position + 1) as Position };
    expect(await given(applyEntry(bob.env, parked.group, next, bytes))).toMatchObject({
      group: parked.group,
      lines: [],
    });
  });

  test('given a parked group, then what needs a commit is refused at once and does not stand in the way of a rejoin', () => {
    const parked: Group = { ...bob.group, phase: 'parked' };
    const asked = addIntention(parked, 'late', { kind: 'rotate' });
    expect(asked.signals).toMatchObject([{ kind: 'intention', id: 'late', outcome: { kind: 'refused' } }]);
    const again = addIntention(asked.group, 'again', { kind: 'rejoin' }).group;
    expect(kinds(effectsOf(again, nodeSha256))).toEqual(['rejoin']);
  });

  test('given another head than the server states, then the group is parked; the same head changes nothing', () => {
    expect(compareHead(bob.group, bob.group.position, log.head(), NOW).group).toBe(bob.group);
    const other = compareHead(bob.group, bob.group.position, new Uint8Array(32), NOW);
    expect(other.group.phase).toBe('parked');
    // a rejoin leads into the server's history, which this chain is not of
    expect([other.group.head, other.group.heads]).toEqual([undefined, undefined]);
    expect(other.group.evidence?.broken).toMatchObject([{ position: bob.group.position }]);
  });

  test('given a pending commit, when messages come before it is placed, then their keys are not there again after it', async () => {
    const from = log.entries.length;
    await commit(alice, { kind: 'rotate' });
    expect(kinds(effectsOf(alice.group, nodeSha256))).toEqual(['post-commit']);
    await say(bob, 'before the commit');
    post(bob);
    await read(alice, from);
    await read(bob, from);
    postCommit(alice);
    const merged = await read(alice, from + 1);
    await read(bob, from + 1);
    expect(merged.at(-1)!.lines).toMatchObject([{ kind: 'membership', rotated: true, by: { name: 'alice' } }]);
    expect(merged.at(-1)!.signals).toMatchObject([{ kind: 'intention', id: 'wish', outcome: { kind: 'done' } }]);
    expect(epochAuthenticatorOf(alice.group.mls!)).toEqual(epochAuthenticatorOf(bob.group.mls!));
    const replay = { ...log.entries[from]!.entry, position: (alice.group.position + 1) as Position };
    const twice = await given(applyEntry(alice.env, alice.group, replay, encodeEntry(replay)));
    expect(twice.lines).toMatchObject([{ kind: 'warning', text: 'A message could not be read (replayed).' }]);
  });

  test('given two commits for one epoch, then the loser drops its own, takes the winner, and tries again', async () => {
    const from = log.entries.length;
    await commit(alice, { kind: 'rotate' });
    await commit(bob, { kind: 'rotate' });
    const lost = bob.group.pending!;
    postCommit(alice);
    const epoch = epochOf(bob.group.mls!);
    const answered = commitAnswered(bob.group, lost.id, { kind: 'conflict', epoch: epoch + 1 }).group;
    expect(effectsOf(answered, nodeSha256)).toEqual([]);
    bob.group = answered;
    await read(bob, from);
    await read(alice, from);
    expect(bob.group.pending).toBeUndefined();
    expect(effectsOf(bob.group, nodeSha256)).toMatchObject([{ kind: 'commit', attempts: 1 }]);
    bob.group = (await prepareCommit(bob.env, bob.group)).group;
    expect(bob.group.pending!.id).not.toBe(lost.id);
    postCommit(bob);
    await read(bob, from + 1);
    await read(alice, from + 1);
    expect(epochAuthenticatorOf(alice.group.mls!)).toEqual(epochAuthenticatorOf(bob.group.mls!));
  });

  test('given texts, then they leave in order and a refused epoch is sealed anew only when that is asked for', async () => {
    const from = log.entries.length;
    await say(bob, 'first');
    await say(bob, 'second');
    const [first, second] = sendable(bob.group);
    bob.group = messagesAnswered(bob.env, bob.group, [
      { id: first!.sealed.id, kind: 'stale' },
      { id: second!.sealed.id, kind: 'stale' },
    ]).group;
    expect(sendable(bob.group)).toEqual([]);
    expect(kinds(effectsOf(bob.group, nodeSha256))).toEqual(['reseal']);
    expect((await sealTexts(bob.env, bob.group, { reseal: false })).group).toBe(bob.group);
    bob.group = (await sealTexts(bob.env, bob.group, { reseal: true })).group;
    const again = sendable(bob.group);
    expect(again.map(({ localId }) => localId)).toEqual([first!.localId, second!.localId]);
    // under the same ids: of two ciphertexts of one text the server places one, whichever comes first
    expect(again.map(({ sealed }) => sealed.id)).toEqual([first!.sealed.id, second!.sealed.id]);
    expect(again[0]!.sealed.message).not.toEqual(first!.sealed.message);
    post(bob);
    const own = await read(bob, from);
    await read(alice, from);
    expect(own.flatMap(({ lines }) => lines)).toMatchObject([{ id: first!.localId }, { id: second!.localId }]);
    expect(bob.group.outbox).toEqual([]);
  });

  test('given texts of two epochs, then a request has those of one, so a younger one never passes an older one', async () => {
    const from = log.entries.length;
    await say(bob, 'before');
    await commit(alice, { kind: 'rotate' });
    postCommit(alice);
    await read(bob, from);
    await read(alice, from);
    await say(bob, 'after');
    const [before, ...others] = sendable(bob.group);
    expect(others).toEqual([]);
    expect(before!.localId).toMatch(/before/);
    bob.group = messagesAnswered(bob.env, bob.group, [{ id: before!.sealed.id, kind: 'stale' }]).group;
    expect(sendable(bob.group)).toEqual([]);
    bob.group = (await sealTexts(bob.env, bob.group, { reseal: true })).group;
    post(bob);
    await read(alice, from + 1);
    const own = await read(bob, from + 1);
    expect(own.flatMap(({ lines }) => lines)).toMatchObject([{ text: 'before' }, { text: 'after' }]);
  });

  test('given a leave, then the others commit it in turn, and a text that waits for that makes it urgent', async () => {
    const from = log.entries.length;
    bob.group = startLeaving(bob.env, bob.group).group;
    expect(kinds(effectsOf(bob.group, nodeSha256))).toEqual(['propose-leave']);
    bob.group = (await proposeLeave(bob.env, bob.group)).group;
    const { id, proposal, epoch } = bob.group.leaving!;
    log.place({ kind: 'proposal', id, sender: bob.env.me.device, epoch, payload: proposal! });
    await read(bob, from);
    await read(alice, from);
    expect(proposalTurn(bob.group)).toBeUndefined();
    expect(proposalTurn(alice.group)).toBe(0);
    expect(kinds(effectsOf(alice.group, nodeSha256))).toEqual(['commit-proposals']);
    await say(alice, 'waits');
    expect(sendable(alice.group)).toEqual([]);
    await commit(alice, { kind: 'commit-proposals' });
    postCommit(alice);
    await read(alice, from + 1);
    const [gone] = await read(bob, from + 1);
    expect(gone!.lines).toMatchObject([{ kind: 'removed-me', by: { name: 'bob' } }]);
    expect(bob.group).toMatchObject({ phase: 'removed' });
    expect(bob.group.mls).toBeUndefined();
    expect(kinds(effectsOf(alice.group, nodeSha256))).toEqual(['seal']);
  });

  test('given a member that nobody here has looked up, then the step says whom to look up, and changes nothing', async () => {
    const [carol, stranger] = [await enginePerson('carol'), await enginePerson('stranger')];
    introduce([alice.env, carol]);
    const keyPackage = await keyPackageOf(carol);
    await commit(alice, adding(carol, keyPackage));
    const { welcome } = alice.group.pending!.body;
    const place = { group: alice.group.bytes, position: 99 as Position, head: EMPTY_HEAD, epoch: 5 };
    const env = { ...carol, directory: stranger.directory, config: stranger.config };
    const result = await applyWelcome(env, undefined, invitation({ ...place, welcome: welcome! }), { keyPackage });
    expect(result).toMatchObject({ kind: 'needs-accounts' });
  });

  test('given a Welcome without its tree, then the step asks for the tree of its epoch, and joins with it', async () => {
    const dave = await enginePerson('dave');
    introduce([alice.env, dave]);
    const keyPackage = await keyPackageOf(dave);
    const { pending: _pending, ...settled } = alice.group;
    const intent = { add: [keyPackage.bytes], inlineTree: false, groupInfoTree: true, now: NOW };
    const made = await createCommit(suite, settled.mls!, intent);
    const epoch = epochOf(made.next);
    const place = { group: settled.bytes, position: 7 as Position, head: EMPTY_HEAD, epoch };
    const entry = invitation({ ...place, welcome: made.welcome! });
    const tree = ratchetTreeBytesOf(made.next);
    const asked = await applyWelcome(dave, undefined, entry, { keyPackage });
    expect(asked).toEqual({ kind: 'needs-tree', group: settled.id, epoch });
    const joined = await given(applyWelcome(dave, undefined, entry, { keyPackage, tree }));
    expect(joined.group).toMatchObject({ phase: 'member', position: 7 });
    const unsent = { localId: 'x' as ClientId, ordinal: 1, text: 'waits', time: NOW, accepted: false, stale: false };
    const sealed = { id: 'x' as ClientId, epoch: 1, message: new Uint8Array(1) };
    const before: Group = { ...emptyGroup(settled.bytes, 'tea'), phase: 'parked', outbox: [{ ...unsent, sealed }] };
    const back = await given(applyWelcome(dave, before, entry, { keyPackage, tree }));
    // what was encrypted with the keys of an earlier membership does not leave under the new one
    expect(sendable(back.group)).toEqual([]);
    expect(kinds(effectsOf(back.group, nodeSha256))).toEqual(['ask-members', 'reseal']);
    const without = await given(applyWelcome(dave, undefined, entry, { keyPackage, tree: new Uint8Array(0) }));
    expect(without.group).toMatchObject({
      phase: 'parked',
      parkedReason: 'The invitation cannot be used (invalid-group)',
    });
  });
});
