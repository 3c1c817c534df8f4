import { expect, it } from 'vitest';
import { applyEntry } from '../../../src/client/engine/apply-entry.ts';
import { commitAnswered, prepareRejoin } from '../../../src/client/engine/commits.ts';
import { effectsOf } from '../../../src/client/engine/effects.ts';
import { passGap } from '../../../src/client/engine/gap.ts';
import { addIntention } from '../../../src/client/engine/intentions.ts';
import type { Group } from '../../../src/client/engine/types.ts';
import { applyWelcome, emptyGroup } from '../../../src/client/engine/welcome.ts';
import { extractTree } from '../../../src/mls/framing.ts';
import { type CommitIntent, createCommit } from '../../../src/mls/session/commit.ts';
import { epochOf, type GroupState, membersOf } from '../../../src/mls/session/state.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { EMPTY_HEAD, encodeEntry, type GroupEntry, nextHead, type WelcomeEntry } from '../../../src/wire/entry.ts';
import type { Position } from '../../../src/wire/ids.ts';
import { enginePerson, given, introduce, keyPackageOf, NOW, newGroup, suite } from '../../support/engine-people.ts';

/** A group of alice's that bob is about to be in. */
async function scene(handshakes: 'public' | 'private' = 'public') {
  const [alice, bob] = [await enginePerson('alice'), await enginePerson('bob')];
  introduce([alice, bob]);
  const { groupId, state: founded } = await newGroup(alice);
  let state: GroupState = founded;
  let head = EMPTY_HEAD;
  const chained = (entry: GroupEntry) => {
    const bytes = encodeEntry(entry);
    head = nextHead(head, bytes, nodeSha256);
    return { entry, bytes };
  };
  return {
    bob,
    groupId,
    leafOfBob: () => membersOf(state).find((member) => member.identity === bob.me.identity)!.leaf,
    /** A commit of alice's, as an entry, the invitation that stands at its place, and what leads in from outside behind it. */
    place: async (at: number, intent: Partial<CommitIntent>) => {
      const made = await createCommit(suite, state, {
        inlineTree: true,
        groupInfoTree: true,
        now: NOW,
        ...(handshakes === 'private' ? { handshakes } : {}),
        ...intent,
      });
      const { entry, bytes } = chained({
        kind: 'commit',
        group: groupId,
        position: at as Position,
        id: `commit-${at}`.padEnd(22, '_'),
        sender: alice.me.device,
        epoch: epochOf(state),
        time: NOW,
        payload: made.commit,
        ...(handshakes === 'private' ? { roster: { added: [bob.me.device], removed: [bob.me.device] } } : {}),
      } as GroupEntry);
      state = made.next;
      const payload = {
        group: groupId,
        name: 'tea',
        ...(handshakes === 'private' ? { handshakes } : {}),
        position: at as Position,
        head,
        epoch: epochOf(state),
        inviter: alice.me.account,
        welcome: made.welcome!,
      };
      const welcome: WelcomeEntry = { kind: 'welcome', time: NOW, sender: alice.me.device, payload };
      const { groupInfo } = made;
      const wayIn = { groupInfo, ratchetTree: extractTree(groupInfo)!, epoch: epochOf(state), handshakes };
      return { entry, bytes, welcome, wayIn };
    },
    /** What bob has asked for from outside, as the log took it. */
    placeOwn: (at: number, { pending }: Group) =>
      chained({
        kind: 'commit',
        group: groupId,
        position: at as Position,
        id: pending!.id,
        sender: bob.me.device,
        epoch: pending!.epoch,
        time: NOW,
        payload: pending!.body.commit,
      }),
  };
}

for (const handshakes of ['public', 'private'] as const) {
  it(`one commit may remove a device and add it again (${handshakes} handshakes): the invitation at the place of the removal is the way back`, async () => {
    const { bob, place, leafOfBob } = await scene(handshakes);
    const first = await keyPackageOf(bob);
    const added = await place(1, { add: [first.bytes] });
    let group: Group = (await given(applyWelcome(bob, undefined, added.welcome, { keyPackage: first }))).group;
    const second = await keyPackageOf(bob);
    const again = await place(2, { remove: [leafOfBob()], add: [second.bytes] });
    group = (await given(applyEntry(bob, group, again.entry, again.bytes))).group;
    expect(group).toMatchObject({ phase: 'removed', position: 2 });
    const back = await given(applyWelcome(bob, group, again.welcome, { keyPackage: second }));
    expect(back.lines).toMatchObject([{ kind: 'joined', by: { name: 'alice' }, epoch: 2 }]);
    expect(back.group).toMatchObject({ phase: 'member', position: 2 });
    expect(await given(applyWelcome(bob, back.group, again.welcome, { keyPackage: second }))).toMatchObject({
      group: back.group,
      lines: [],
    });
  });
}

it('who was taken out in what is gone, and reads the next invitation before anything else, is told what it missed', async () => {
  const { bob, groupId, place, leafOfBob } = await scene();
  const first = await keyPackageOf(bob);
  const added = await place(1, { add: [first.bytes] });
  const { group } = await given(applyWelcome(bob, undefined, added.welcome, { keyPackage: first }));
  await place(9, { remove: [leafOfBob()] });
  const second = await keyPackageOf(bob);
  const again = await place(12, { add: [second.bytes] });
  const next = { epoch: epochOf(group.mls!) + 2, head: again.welcome.payload.head, time: NOW };
  const behind = passGap(bob, group, { group: groupId, from: 2 as Position, to: 9 as Position, next });
  expect(behind).toMatchObject({ group: { phase: 'parked' }, lines: [] });
  const back = await given(applyWelcome(bob, behind.group, again.welcome, { keyPackage: second }));
  expect(back.lines.map((line) => (line.kind === 'warning' ? line.text : line.kind))).toEqual([
    expect.stringMatching(
      /^#tea: 8 entries before .* are no longer on the server; you joined again at epoch 3 \(2 before/,
    ),
    'joined',
  ]);
  // told once: whoever gave up had said so
  const { recovery } = behind.group;
  const told = { ...behind.group, recovery: { ...recovery!, gaveUp: true } };
  const { lines } = await given(applyWelcome(bob, told, again.welcome, { keyPackage: second }));
  expect(lines.map(({ kind }) => kind)).toEqual(['joined']);
});

it('an invitation that is read while an own join from outside is on its way does not forget it: it is no removal', async () => {
  const { bob, groupId, place, placeOwn } = await scene();
  const keyPackage = await keyPackageOf(bob);
  const added = await place(1, { add: [keyPackage.bytes] });
  const asked = addIntention(emptyGroup(groupId, 'tea'), 'join', { kind: 'rejoin' }).group;
  const joining = (await given(prepareRejoin(bob, asked, added.wayIn))).group;
  const invited = await given(applyWelcome(bob, joining, added.welcome, { keyPackage }));
  expect(invited.group).toMatchObject({ phase: 'member', position: 1, intentions: [] });
  expect(invited.signals).toMatchObject([{ kind: 'intention', outcome: { kind: 'done' } }]);
  const own = placeOwn(2, joining);
  const joined = await given(applyEntry(bob, invited.group, own.entry, own.bytes));
  expect(joined.lines.map(({ kind }) => kind)).toEqual(['joined']);
  expect(joined.group).toMatchObject({ phase: 'member', position: 2 });
  expect(joined.group.pending).toBeUndefined();
  expect(epochOf(joined.group.mls!)).toBe(2);
  // the server may as well have refused it
  const refused = commitAnswered(invited.group, invited.group.pending!.id, { kind: 'conflict', epoch: 2 }).group;
  expect([refused.phase, refused.pending]).toEqual(['member', undefined]);
});

it('who has asked to come in again from outside, and reads only then that it was taken out, is in again', async () => {
  const { bob, place, placeOwn, leafOfBob } = await scene();
  const keyPackage = await keyPackageOf(bob);
  const added = await place(1, { add: [keyPackage.bytes] });
  const { group } = await given(applyWelcome(bob, undefined, added.welcome, { keyPackage }));
  const out = await place(2, { remove: [leafOfBob()] });
  const asked = addIntention(group, 'again', { kind: 'rejoin' }).group;
  const again = (await given(prepareRejoin(bob, asked, out.wayIn))).group;
  const removed = await given(applyEntry(bob, again, out.entry, out.bytes));
  expect(removed.group).toMatchObject({ phase: 'removed', position: 2 });
  const own = placeOwn(3, again);
  const joined = await given(applyEntry(bob, removed.group, own.entry, own.bytes));
  expect(joined.group).toMatchObject({ phase: 'member', position: 3 });
  expect(epochOf(joined.group.mls!)).toBe(3);
});

it('an own join from outside, of an epoch that others have ended, is not waited for: commits are made again', async () => {
  const { bob, place, leafOfBob } = await scene();
  const first = await keyPackageOf(bob);
  const added = await place(1, { add: [first.bytes] });
  const { group } = await given(applyWelcome(bob, undefined, added.welcome, { keyPackage: first }));
  const asked = addIntention(group, 'again', { kind: 'rejoin' }).group;
  const again = (await given(prepareRejoin(bob, asked, added.wayIn))).group;
  const placed = commitAnswered(again, again.pending!.id, { kind: 'accepted' }).group;
  expect(placed.pending).toMatchObject({ kind: 'external', accepted: true, epoch: 1 });
  // another's commit was the one that ended the epoch
  const other = await place(2, {});
  const after = await given(applyEntry(bob, placed, other.entry, other.bytes));
  expect(after.group).toMatchObject({ phase: 'member', position: 2 });
  expect(after.group.pending).toBeUndefined();
  // taken out and invited again, the invitation is of a later epoch
  await place(3, { remove: [leafOfBob()] });
  const second = await keyPackageOf(bob);
  const back = await place(4, { add: [second.bytes] });
  const parked: Group = { ...placed, phase: 'parked' };
  const invited = await given(applyWelcome(bob, parked, back.welcome, { keyPackage: second }));
  expect(invited.group).toMatchObject({ phase: 'member', position: 4 });
  const rotating = addIntention(invited.group, 'rotate', { kind: 'rotate' }).group;
  expect(effectsOf(rotating, nodeSha256).map(({ kind }) => kind)).toContain('commit');
});
