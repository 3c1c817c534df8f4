import { beforeAll, describe, expect, test } from 'vitest';
import { membersAsked, withExpulsions } from '../../../src/client/engine/account-entry.ts';
import { applyEntry } from '../../../src/client/engine/apply-entry.ts';
import { prepareCommit } from '../../../src/client/engine/commits.ts';
import { effectsOf } from '../../../src/client/engine/effects.ts';
import { addIntention } from '../../../src/client/engine/intentions.ts';
import { endAlone, proposalAnswered, proposeLeave, startLeaving } from '../../../src/client/engine/leave.ts';
import { queueText, sealTexts } from '../../../src/client/engine/outbox.ts';
import type { EngineEnv, Group } from '../../../src/client/engine/types.ts';
import { applyWelcome } from '../../../src/client/engine/welcome.ts';
import { groupWrites, loadGroups } from '../../../src/client/store/group-rows.ts';
import { createMemoryStore } from '../../../src/client/store/memory-store.ts';
import { createCommit } from '../../../src/mls/session/commit.ts';
import { epochOf } from '../../../src/mls/session/state.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { EMPTY_HEAD, encodeEntry, type GroupEntry } from '../../../src/wire/entry.ts';
import type { ClientId, Position } from '../../../src/wire/ids.ts';
import { enginePerson, given, introduce, keyPackageOf, NOW, newGroup, suite } from '../../support/engine-people.ts';

const groupId = new Uint8Array(32).fill(1);

const envs: Record<'alice' | 'bob' | 'phone', EngineEnv> = {} as never;
let joined: Group;
beforeAll(async () => {
  // alice's group, with bob and his phone
  const [alice, bob, phone] = [
    await enginePerson('alice', 'laptop'),
    await enginePerson('bob', 'desk'),
    await enginePerson('bob', 'phone'),
  ];
  Object.assign(envs, { alice, bob, phone });
  introduce([alice, bob, phone]);
  const { state } = await newGroup(alice, { groupId });
  const packages = await Promise.all([bob, phone].map(keyPackageOf));
  const add = packages.map(({ bytes }) => bytes);
  const made = await createCommit(suite, state, { add, inlineTree: true, groupInfoTree: true, now: NOW });
  const place = { group: groupId, name: 'tea', position: 1 as Position, head: EMPTY_HEAD, epoch: 1 };
  const payload = { ...place, inviter: alice.me.account, welcome: made.welcome! };
  const entry = { kind: 'welcome', time: NOW, sender: alice.me.device, payload } as const;
  const invited = await given(applyWelcome(bob, undefined, entry, { keyPackage: packages[0]! }));
  joined = membersAsked(bob, invited.group, 1).group;
});

/** Bob hears that these devices are revoked, and no others. */
function hear(...revoked: readonly EngineEnv[]): void {
  const { alice, bob, phone } = envs;
  introduce([alice, bob, phone], { to: [bob], revoked });
}

/** Bob has asked to leave, and knows that these devices are revoked. */
function leaving(...revoked: readonly EngineEnv[]): Group {
  hear(...revoked);
  return withExpulsions(envs.bob.directory, startLeaving(envs.bob, joined).group);
}
const kinds = (group: Group): string[] => effectsOf(group, nodeSha256).map(({ kind }) => kind);
const typed = (group: Group): Group => {
  const item = { localId: 'text'.padEnd(22, '_') as ClientId, ordinal: 1, text: 'bye', time: NOW };
  return queueText(group, item).group;
};

describe('a leave that nobody is left to commit', () => {
  test('ends the group here, in one line, and once, whenever the program ends in between', async () => {
    const { alice, bob, phone } = envs;
    const group = leaving(alice, phone);
    expect(kinds(group)).toEqual(['end-alone']);
    const store = createMemoryStore(new Map());
    await store.commit(groupWrites(undefined, group));
    const [stored] = await loadGroups(store, bob.config);
    const found = withExpulsions(bob.directory, stored!);
    expect(kinds(found)).toEqual(['end-alone']);

    const ended = endAlone(bob, found);
    expect(ended.lines).toEqual([
      { kind: 'removed-me', by: bob.directory.person(bob.me.account, bob.me.device), time: NOW, position: 1 },
    ]);
    expect(ended.signals).toEqual([{ kind: 'leave', outcome: { kind: 'done' } }]);
    await store.commit(groupWrites(found, ended.group));
    const [again] = await loadGroups(store, bob.config);
    expect(again).toMatchObject({ phase: 'removed', position: 1, outbox: [], intentions: [] });
    expect([again!.mls, again!.leaving]).toEqual([undefined, undefined]);
    expect(kinds(again!)).toEqual([]);
    expect(endAlone(bob, again!)).toEqual({ group: again, lines: [], signals: [], consumed: [] });
  });

  test('is another one: while anybody is there, an own device as well, it is proposed', () => {
    const { alice, bob, phone } = envs;
    for (const revoked of [[], [alice], [phone]]) {
      const group = leaving(...revoked);
      expect(kinds(group)).toEqual(['propose-leave']);
      expect(endAlone(bob, group).group).toBe(group);
    }
  });

  test('waits for what is on its way, and says of a text that never left that it was not sent', async () => {
    const { alice, bob, phone } = envs;
    const group = leaving(alice, phone);
    const sealed = (await sealTexts(bob, typed(group), { reseal: false })).group;
    const wishing = addIntention(group, 'wish', { kind: 'rotate' }).group;
    const committing = (await prepareCommit(bob, wishing)).group;
    const accepted = { ...sealed, outbox: sealed.outbox.map((item) => ({ ...item, accepted: true })) };
    for (const busy of [sealed, accepted, wishing, committing]) {
      expect(kinds(busy)).not.toContain('end-alone');
      expect(kinds(busy)).not.toContain('propose-leave');
      expect(endAlone(bob, busy).group).toBe(busy);
    }
    const told = endAlone(bob, typed(group)).lines.slice(1);
    expect(told).toMatchObject([{ kind: 'warning', text: 'Not sent (you are no longer a member): bye' }]);
  });

  test('is found when an own commit, made before it, takes the last other one out: what was proposed is of the old epoch', async () => {
    const { alice, bob, phone } = envs;
    hear(alice, phone);
    const wish = addIntention(joined, 'wish', { kind: 'expel', devices: [alice.me.device, phone.me.device] }).group;
    const committing = (await prepareCommit(bob, wish)).group;
    hear();
    const asked = (await proposeLeave(bob, startLeaving(bob, committing).group)).group;
    const taken = proposalAnswered(asked, asked.leaving!.id, { kind: 'accepted' });
    expect(taken.signals).toEqual([{ kind: 'leave', outcome: { kind: 'done' } }]);
    const { id, epoch, body } = taken.group.pending!;
    const place = { group: groupId, position: 2 as Position, time: NOW, sender: bob.me.device };
    const entry: GroupEntry = { kind: 'commit', id, epoch, payload: body.commit, ...place };
    const merged = await given(applyEntry(bob, taken.group, entry, encodeEntry(entry)));
    expect(epochOf(merged.group.mls!)).toBe(2);
    expect(kinds(merged.group)).toEqual(['end-alone']);
    const ended = endAlone(bob, merged.group);
    expect(ended.lines).toMatchObject([{ kind: 'removed-me', by: { name: 'bob' }, position: 2 }]);
    expect(ended.signals).toEqual([]);
    // whatever comes then is not of this device's time
    const later: GroupEntry = { ...entry, position: 3 as Position };
    expect(await applyEntry(bob, ended.group, later, encodeEntry(later))).toMatchObject({
      group: ended.group,
      lines: [],
    });
  });
});
