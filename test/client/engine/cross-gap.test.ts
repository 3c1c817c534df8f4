import { expect, test } from 'vitest';
import type { PendingCommit } from '../../../src/client/engine/commit-types.ts';
import { commitAnswered, prepareCommit } from '../../../src/client/engine/commits.ts';
import { crossGap } from '../../../src/client/engine/cross-gap.ts';
import { effectsOf } from '../../../src/client/engine/effects.ts';
import { addIntention } from '../../../src/client/engine/intentions.ts';
import { withFirstHead, withHead } from '../../../src/client/engine/recent-heads.ts';
import type { EngineEnv, Group } from '../../../src/client/engine/types.ts';
import { emptyGroup } from '../../../src/client/engine/welcome.ts';
import { comparePlace } from '../../../src/client/engine/witness.ts';
import { epochOf } from '../../../src/mls/session/state.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import type { ClientId, Position } from '../../../src/wire/ids.ts';
import type { Gap } from '../../../src/wire/page.ts';
import { enginePerson, given, introduce, memberOf, NOW, newGroup } from '../../support/engine-people.ts';

const NEXT_HEAD = new Uint8Array(32).fill(7);
const bytes = new Uint8Array(32).fill(1);

async function alone(): Promise<{ env: EngineEnv; group: Group }> {
  const env = await enginePerson('alice');
  introduce([env]);
  const { state } = await newGroup(env, { groupId: bytes });
  return { env, group: memberOf(bytes, state, { position: 1, head: NEXT_HEAD }) };
}

/** A member of epoch 0 whose commit is on its way, and whose answer has not come. */
async function committing(): Promise<{ env: EngineEnv; group: Group }> {
  const { env, group } = await alone();
  return { env, group: (await prepareCommit(env, addIntention(group, 'wish', { kind: 'rotate' }).group)).group };
}

/** Entries 1 to `to` are gone; the next one is of this epoch. */
const gapUpTo = (to: number, epoch: number): Gap => ({
  ...{ group: bytes, from: 1 as Position, to: to as Position },
  next: { head: NEXT_HEAD, epoch, time: NOW },
});
const answeredYes = (group: Group, position = 2): Group =>
  commitAnswered(group, group.pending!.id, { kind: 'accepted', position }).group;

test('an own commit that is no longer on the server counts: an only member could not join its group again', async () => {
  const { env, group } = await committing();
  const { group: next, lines, signals, consumed } = await given(crossGap(env, answeredYes(group), gapUpTo(3, 1)));
  expect(next).toMatchObject({ phase: 'member', position: 3, head: NEXT_HEAD, intentions: [] });
  expect(next.pending).toBeUndefined();
  expect(next.recovery).toBeUndefined();
  expect(epochOf(next.mls!)).toBe(1);
  expect(lines).toMatchObject([
    { kind: 'warning', text: expect.stringMatching(/^#tea: 2 entries before .* no longer on the server\.$/) },
    { kind: 'membership', rotated: true, epoch: 1 },
  ]);
  expect(signals).toMatchObject([{ kind: 'intention', id: 'wish', outcome: { kind: 'done' } }]);
  expect(consumed).toHaveLength(1);
  expect(await given(crossGap(env, next, gapUpTo(3, 1)))).toMatchObject({ group: next, lines: [] });
});

test.each([
  { where: 'where something else was read', position: 3 },
  { where: 'behind the gap that holds what ended its epoch', position: 40 },
])(
  'D5: an own commit that the server says to stand $where is not taken for what is in a gap: it is told',
  async ({ position }) => {
    const { env, group } = await committing();
    const read = withHead(withHead(withFirstHead(group, 1, NEXT_HEAD), 2, NEXT_HEAD), 3, NEXT_HEAD);
    const answered = comparePlace(env, commitAnswered(read, read.pending!.id, { kind: 'accepted', position }));
    const crossed = await given(crossGap(env, answered.group, gapUpTo(9, 1)));
    const text = `The server said that a commit of yours is entry ${position} of #tea, and shows otherwise: it is not to be trusted`;
    expect([...answered.lines, ...crossed.lines]).toMatchObject([{ kind: 'warning', text }]);
    expect(crossed.group).toMatchObject({ phase: 'parked', evidence: { broken: [{ position }] }, recovery: {} });
    expect(crossed.group.pending).toBeUndefined();
    expect(epochOf(crossed.group.mls!)).toBe(0);
    expect(crossed.signals).toMatchObject([{ kind: 'intention', outcome: { kind: 'refused' } }]);
  },
);

test('while the server has not said whether the commit that ended the epoch is ours, nothing is read past it', async () => {
  const { env, group } = await committing();
  expect(await crossGap(env, group, gapUpTo(3, 1))).toEqual({ kind: 'needs-answer', group: group.id });
  const { group: lost } = commitAnswered(group, group.pending!.id, { kind: 'conflict', epoch: 1 });
  const { group: parked } = await given(crossGap(env, lost, gapUpTo(3, 1)));
  expect(parked).toMatchObject({ phase: 'parked', recovery: { missed: { count: 2, to: 3 } } });
});

test('a gap before the end of its epoch says nothing about a commit, and one with later commits leads to a rejoin', async () => {
  const { env, group } = await committing();
  const before = (await given(crossGap(env, group, gapUpTo(3, 0)))).group;
  expect(before).toMatchObject({ phase: 'member', position: 3, pending: { id: group.pending!.id } });
  const behind = (await given(crossGap(env, group, gapUpTo(9, 2)))).group;
  expect(behind).toMatchObject({ phase: 'parked', recovery: { missed: { count: 8 } } });
  expect(behind.pending).toBeUndefined();
  const { signals } = await given(crossGap(env, answeredYes(group), gapUpTo(9, 2)));
  expect(signals).toMatchObject([{ kind: 'intention', id: 'wish', outcome: { kind: 'done' } }]);
});

/** A commit from outside that is on its way. */
const wayIn = (accepted: boolean): PendingCommit => ({
  ...{ id: 'external' as ClientId, kind: 'external', intention: 'wish', epoch: 4, accepted },
  ...{ body: { commit: bytes, groupInfo: bytes }, next: { epochRecord: bytes, ratchets: [] } },
});

for (const phase of ['parked', 'joining'] as const) {
  test(`who is ${phase}, and whose way in is no longer on the server, joins once more instead of waiting for ever`, async () => {
    const { env } = await alone();
    const wish = addIntention({ ...emptyGroup(bytes, 'tea'), phase }, 'wish', { kind: 'rejoin' }).group;
    const waiting: Group = { ...wish, pending: wayIn(true) };
    expect((await given(crossGap(env, waiting, gapUpTo(9, 4)))).group).toBe(waiting);
    const { group, lines } = await given(crossGap(env, waiting, gapUpTo(9, 5)));
    expect(lines).toEqual([]);
    expect(group).toMatchObject({ phase, intentions: [{ id: 'wish' }] });
    expect(effectsOf(group, nodeSha256).map(({ kind }) => kind)).toEqual(['rejoin']);
    // who gets in for the first time has missed what came since, and says so
    expect(group.recovery?.missed?.count).toBe(phase === 'joining' ? 9 : undefined);
  });
}

for (const phase of ['parked', 'joining', 'removed'] as const) {
  test(`who is ${phase}, and whose way in is in a gap with nothing behind it, does not wait for it any more`, async () => {
    const { env } = await alone();
    const wish = addIntention({ ...emptyGroup(bytes, 'tea'), phase }, 'wish', { kind: 'rejoin' }).group;
    const gap: Gap = { group: bytes, from: 1 as Position, to: 9 as Position };
    const asked = await crossGap(env, { ...wish, pending: wayIn(false) }, gap);
    expect(asked).toEqual({ kind: 'needs-answer', group: wish.id });
    const waiting: Group = { ...wish, pending: wayIn(true) };
    const { group } = await given(crossGap(env, waiting, gap));
    expect(group.pending).toBeUndefined();
    expect(effectsOf(group, nodeSha256).map(({ kind }) => kind)).toEqual(phase === 'removed' ? [] : ['rejoin']);
    // what the server has said to stand behind the gap is still to come
    const behind: Group = { ...waiting, pending: { ...wayIn(true), promisedAt: 10 } };
    expect((await given(crossGap(env, behind, gap))).group).toBe(behind);
  });
}

test('a group whose creation is no longer on the server is there all the same', async () => {
  const { env, group } = await alone();
  const creation = { id: 'creation' as ClientId, groupInfo: bytes };
  const creating: Group = { ...group, phase: 'creating', position: 0, creation };
  const { group: made, lines, signals } = await given(crossGap(env, creating, gapUpTo(2, 0)));
  expect(made).toMatchObject({ phase: 'member', position: 2, head: NEXT_HEAD });
  expect(made.creation).toBeUndefined();
  expect(lines).toMatchObject([{ kind: 'created' }, { kind: 'warning', text: expect.stringContaining('2 entries') }]);
  expect(signals).toEqual([{ kind: 'created' }]);
});
