import { expect, test } from 'vitest';
import { PAST_EPOCHS } from '../../src/mls/config.ts';
import { createCommit } from '../../src/mls/session/commit.ts';
import { encrypt } from '../../src/mls/session/message.ts';
import { createLeaveProposal, dropPendingProposals } from '../../src/mls/session/proposal.ts';
import { receive } from '../../src/mls/session/receive.ts';
import { epochOf, type GroupState, membersOf, pendingProposalsOf, zeroConsumed } from '../../src/mls/session/state.ts';
import { changedRows, decodeState, encodeState } from '../../src/mls/session/state-codec.ts';
import { createNodeSuite } from '../../src/mls/suite-node.ts';
import { fromUtf8, toUtf8 } from '../../src/wire/bytes.ts';
import { groupOf, mustReceive, NOW, trusting } from './support/people.ts';

const suite = createNodeSuite();
const nothing = new Uint8Array(0);
const rotate = { inlineTree: false, groupInfoTree: false, now: NOW };
const reopened = (state: GroupState) => decodeState(encodeState(state), trusting);

test('a state goes on from its rows exactly as it would have gone on itself', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob', 'carol']);
  let [alice, bob] = states as [GroupState, GroupState];
  for (let i = 0; i < 8; i += 1) {
    const committed = await createCommit(suite, alice, rotate);
    alice = reopened(committed.next);
    bob = reopened((await mustReceive(suite, bob, committed.commit, 'commit')).state);
    const sent = await encrypt(suite, alice, toUtf8(`message ${i}`), nothing);
    alice = sent.state;
    expect(fromUtf8((await mustReceive(suite, bob, sent.message, 'message')).plaintext)).toBe(`message ${i}`);
    expect(encodeState(reopened(bob))).toEqual(encodeState(bob));
  }
});

test('a message, sent or received, changes one row of 76 to 450 bytes and no epoch record', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob', 'carol', 'dave']);
  const [alice, bob] = states as [GroupState, GroupState];
  const first = await encrypt(suite, alice, toUtf8('one'), nothing);
  const second = await encrypt(suite, first.state, toUtf8('two'), nothing);
  expect(changedRows(alice, first.state)).toMatchObject({ put: [{ epoch: 1, leaf: 0 }], remove: [] });
  expect(changedRows(alice, first.state).epochRecord).toBeUndefined();
  let ahead = second;
  for (let i = 0; i < 8; i += 1) ahead = await encrypt(suite, ahead.state, toUtf8('more'), nothing);
  for (const { message } of [first, ahead]) {
    const received = await mustReceive(suite, bob, message, 'message');
    const changed = changedRows(bob, received.state);
    expect(changed.epochRecord).toBeUndefined();
    expect(changed.put.map(({ epoch, leaf }) => [epoch, leaf])).toEqual([[1, 0]]);
    expect(changed.put[0]!.bytes.length).toBeGreaterThanOrEqual(76);
    expect(changed.put[0]!.bytes.length).toBeLessThanOrEqual(450);
  }
});

test('a message of an older epoch changes a row of that epoch only', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const [alice, bob] = states as [GroupState, GroupState];
  const late = await encrypt(suite, alice, toUtf8('late'), nothing);
  const committed = await createCommit(suite, bob, rotate);
  const before = reopened(committed.next);
  const received = await mustReceive(suite, before, late.message, 'message');
  expect(received.sender).toMatchObject({ epoch: 1, generation: 0, leaf: 0 });
  const changed = changedRows(before, received.state);
  expect(changed.epochRecord).toBeUndefined();
  expect(changed.put.map(({ epoch, leaf }) => [epoch, leaf])).toEqual([[1, 0]]);
});

test(`messages are readable for ${PAST_EPOCHS} epochs, and the rows of older ones are removed`, async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const [alice, bob] = states as [GroupState, GroupState];
  const old = await encrypt(suite, alice, toUtf8('old'), nothing);
  let reader = bob;
  let removed: readonly { epoch: number; leaf: number }[] = [];
  for (let passed = 1; passed <= PAST_EPOCHS + 1; passed += 1) {
    const { next } = await createCommit(suite, reader, rotate);
    removed = [...removed, ...changedRows(reader, next).remove];
    reader = next;
    const received = await receive(suite, reader, old.message);
    expect(received).toMatchObject(
      passed <= PAST_EPOCHS ? { kind: 'message' } : { kind: 'rejected', code: 'past-epoch' },
    );
  }
  expect(removed.filter(({ epoch }) => epoch === 1)).toHaveLength(membersOf(bob).length);
  const epochs = new Set(encodeState(reader).ratchets.map(({ epoch }) => epoch));
  expect([...epochs].sort()).toEqual(
    Array.from({ length: PAST_EPOCHS + 1 }, (_, i) => epochOf(reader) - PAST_EPOCHS + i),
  );
});

test('a pending proposal of leaf 0 keeps its sender through the rows', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const { proposal } = await createLeaveProposal(suite, states[0]!);
  const { state } = await mustReceive(suite, states[1]!, proposal, 'proposal');
  expect(pendingProposalsOf(reopened(state))).toEqual(pendingProposalsOf(state));
  expect(pendingProposalsOf(state)[0]!.sender).toEqual({ kind: 'member', leaf: 0 });
  expect(pendingProposalsOf(dropPendingProposals(state))).toEqual([]);
});

test('a state aliases nothing of the rows it was read from: overwriting used secrets leaves the rows alone', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const rows = encodeState(states[0]!);
  const copy = structuredClone(rows);
  const sent = await encrypt(suite, decodeState(rows, trusting), toUtf8('text'), nothing);
  zeroConsumed(sent.consumed);
  const committed = await createCommit(suite, sent.state, rotate);
  zeroConsumed(committed.consumed);
  expect(rows).toEqual(copy);
});

test('rows that are damaged or missing are no group state', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const { epochRecord, ratchets } = encodeState(states[0]!);
  const refuses = (damaged: Parameters<typeof decodeState>[0]) =>
    expect(() => decodeState(damaged, trusting)).toThrowError(expect.objectContaining({ code: 'invalid-state' }));
  refuses({ epochRecord, ratchets: ratchets.slice(1) });
  refuses({ epochRecord: epochRecord.slice(1), ratchets });
  refuses({ epochRecord: nothing, ratchets });
  refuses({ epochRecord, ratchets: ratchets.map((row) => ({ ...row, bytes: row.bytes.slice(1) })) });
});

test('an epoch record grows with what changed in past epochs, not with their whole trees', async () => {
  const { states } = await groupOf(
    suite,
    Array.from({ length: 40 }, (_, i) => `member ${i}`),
  );
  let state = states[0]!;
  state = (await createCommit(suite, state, rotate)).next; // fills the path
  const once = encodeState(state).epochRecord.length;
  for (let i = 0; i < PAST_EPOCHS + 1; i += 1) state = (await createCommit(suite, state, rotate)).next;
  expect(encodeState(state).epochRecord.length).toBeLessThan(once * 1.7);
});
