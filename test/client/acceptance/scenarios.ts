import { expect } from 'vitest';
import type { GroupId } from '../../../src/wire/ids.ts';
import { until } from '../../support/until.ts';
import { type Actor, type NewDevices, type Stage, WAIT_MS } from './stage.ts';

/** What a client promises, played on a stage; nothing here knows the store, or the machine. */
export interface Scenario {
  readonly claim: string;
  /** Mostly waiting for timers of the client: others may be played meanwhile. */
  readonly waits?: true;
  play(stage: Stage): Promise<void>;
}

const done = { kind: 'done' };
const enterAll = (stage: Stage, ...names: readonly string[]): Promise<Actor[]> =>
  Promise.all(names.map((name) => stage.enter(name)));
/** Two people in a group of theirs. */
async function pair(stage: Stage) {
  const [alice, bob] = (await enterAll(stage, 'alice', 'bob')) as [Actor, Actor];
  return { alice, bob, group: await stage.groupOf([alice, bob]) };
}
async function say(actor: Actor, group: GroupId, text: string): Promise<void> {
  await actor.chat.send(group, text);
  await actor.sees(group, { kind: 'message', text, own: true });
}
const reads = (actor: Actor, group: GroupId, text: string) => actor.sees(group, { kind: 'message', text });
const isOut = (actor: Actor, group: GroupId) => until(async () => (await actor.status(group))?.state === 'removed');
/** Everybody has read all there is, and has the same messages in the same order. */
async function agree(group: GroupId, actors: readonly Actor[], texts: readonly string[]): Promise<void> {
  for (const actor of actors) {
    await actor.chat.caughtUp(WAIT_MS);
    expect(await actor.texts(group), actor.name).toEqual(texts);
    expect(await actor.warnings(group), actor.name).toEqual([]);
  }
  const epochs = await Promise.all(actors.map(async (actor) => (await actor.status(group))?.epoch));
  expect(new Set(epochs).size).toBe(1);
}
/** Once everybody has seen all that these do. */
async function settled(actors: readonly Actor[]): Promise<void> {
  for (const actor of actors) expect(await actor.chat.flushed(WAIT_MS)).toBe(0);
  for (const actor of actors) await actor.chat.caughtUp(WAIT_MS);
}

export const SCENARIOS: readonly Scenario[] = [
  {
    claim: 'D8: started anew it is who it was, in the same groups, with its history, and reads and writes on',
    async play(stage) {
      const { alice, bob, group } = await pair(stage);
      await say(alice, group, 'one');
      await reads(bob, group, 'one');
      const { me } = await bob.chat.status();
      await bob.restart();
      expect((await bob.chat.status()).me).toEqual(me);
      expect(await bob.texts(group)).toEqual(['one']);
      await say(bob, group, 'two');
      await reads(alice, group, 'two');
      await alice.restart();
      await say(alice, group, 'three');
      await agree(group, [alice, bob], ['one', 'two', 'three']);
    },
  },
  {
    claim: 'a name is registered once; who has it keeps it, and a group of a name is made once',
    async play(stage) {
      const [alice, bob] = (await enterAll(stage, 'alice', 'bob')) as [Actor, Actor];
      expect(await alice.chat.rename(bob.name)).toMatchObject({ kind: 'refused' });
      const wanted = stage.name('tea');
      const opened = await Promise.all([alice, bob].map(({ chat }) => chat.openGroup(wanted)));
      expect(opened.map(({ kind }) => kind).sort()).toEqual(['created', 'not-invited']);
      const [maker, other] = opened[0]!.kind === 'created' ? [alice, bob] : [bob, alice];
      expect(opened).toContainEqual({ kind: 'not-invited', administrators: [maker.name] });
      expect(await other.chat.groups()).toEqual([]);
      expect(await maker.chat.openGroup(wanted)).toMatchObject({ kind: 'member' });
      expect(await other.chat.joinGroup(stage.name('nowhere'))).toEqual({ kind: 'no-such-group' });
    },
  },
  {
    claim: 'who is invited while away joins on coming back, and reads what was said since the invitation',
    async play(stage) {
      const [alice, bob] = (await enterAll(stage, 'alice', 'bob')) as [Actor, Actor];
      await bob.stop();
      const group = await stage.groupOf([alice]);
      await say(alice, group, 'before');
      const nobody = stage.name('nobody');
      expect(await alice.chat.invite(group, [bob.name, nobody, alice.name])).toEqual([
        { name: bob.name, kind: 'done' },
        { name: nobody, kind: 'unknown-user' },
        { name: alice.name, kind: 'already' },
      ]);
      await say(alice, group, 'since');
      await bob.restart();
      await bob.isMember(group);
      await reads(bob, group, 'since');
      expect(await bob.texts(group)).toEqual(['since']);
      await say(bob, group, 'thanks');
      await agree(group, [alice], ['before', 'since', 'thanks']);
    },
  },
  {
    claim: 'who was away across many commits and messages has all of it afterwards, in the same order, and goes on',
    async play(stage) {
      const actors = (await enterAll(stage, 'alice', 'bob', 'carol')) as [Actor, Actor, Actor];
      const [alice, bob, carol] = actors;
      const group = await stage.groupOf(actors);
      await carol.stop();
      for (let round = 0; round < 4; round += 1) {
        for (const actor of [alice, bob]) {
          await actor.chat.send(group, `${round} by ${actor === alice ? 'alice' : 'bob'}`);
          expect(await actor.chat.rotate(group)).toEqual(done);
        }
      }
      await settled([alice, bob]);
      await carol.restart();
      const texts = await alice.texts(group);
      expect(texts).toHaveLength(8);
      await agree(group, actors, texts);
      await say(carol, group, 'back');
      await agree(group, actors, [...texts, 'back']);
    },
  },
  {
    claim: 'a message is answered, changed and taken back, and everybody’s history has its latest form',
    async play(stage) {
      const { alice, bob, group } = await pair(stage);
      await say(alice, group, 'tee?');
      const asked = await reads(bob, group, 'tee?');
      if (asked.kind !== 'message') throw new Error(asked.kind);
      const inReplyTo = asked.messageId!;
      await bob.chat.send(group, 'yes', { inReplyTo });
      expect(await reads(alice, group, 'yes')).toMatchObject({ inReplyTo, quote: { name: alice.name, text: 'tee?' } });
      await alice.chat.send(group, 'tea?', { replaces: inReplyTo });
      await bob.sees(group, { messageId: inReplyTo, text: 'tea?', edited: true });
      await bob.sees(group, { kind: 'message', replaces: inReplyTo });
      await alice.chat.send(group, '', { replaces: inReplyTo, deleted: true });
      await bob.sees(group, { messageId: inReplyTo, deleted: true });
      await bob.chat.send(group, 'waves', { as: 'action' });
      await alice.sees(group, { text: 'waves', action: true });
      await bob.chat.send(group, 'all about tea', { as: 'topic' });
      await alice.sees(group, { kind: 'topic', text: 'all about tea' });
      await Promise.all([alice.restart(), bob.restart()]);
      for (const actor of [alice, bob]) {
        await actor.sees(group, { messageId: inReplyTo, deleted: true });
        expect((await actor.status(group))?.topic).toBe('all about tea');
        expect(await actor.warnings(group)).toEqual([]);
      }
    },
  },
  {
    claim: 'S5: a new name is told to everybody, the history goes on, and the client opens under either',
    async play(stage) {
      const { alice, bob, group } = await pair(stage);
      const later = stage.name('benjamin');
      expect(await bob.chat.rename(later)).toEqual(done);
      for (const actor of [alice, bob]) await actor.sees(group, { kind: 'account', change: 'renamed', what: later });
      await bob.restart();
      expect((await bob.chat.status()).me.name).toBe(later);
      await say(bob, group, 'same me');
      expect(await reads(alice, group, 'same me')).toMatchObject({ sender: { name: later } });
      expect((await alice.chat.members(group)).map(({ name }) => name).sort()).toEqual([alice.name, later].sort());
      expect(await alice.chat.invite(group, [bob.name])).toEqual([{ name: bob.name, kind: 'unknown-user' }]);
    },
  },
  {
    claim: 'a member that is removed reads its removal and nothing after it, also after a start, and may come back',
    async play(stage) {
      const { alice, bob, group } = await pair(stage);
      await bob.chat.rotate(group);
      await say(alice, group, 'with bob');
      await reads(bob, group, 'with bob');
      expect(await alice.chat.remove(group, [bob.name])).toEqual([{ name: bob.name, kind: 'done' }]);
      await say(alice, group, 'without bob');
      await isOut(bob, group);
      await bob.restart();
      await bob.chat.caughtUp(WAIT_MS);
      expect(await bob.status(group)).toMatchObject({ state: 'removed' });
      expect(await bob.texts(group)).toEqual(['with bob']);
      await expect(bob.chat.send(group, 'hello?')).rejects.toMatchObject({ code: 'refused' });
      expect(await alice.chat.invite(group, [bob.name])).toEqual([{ name: bob.name, kind: 'done' }]);
      await bob.isMember(group);
      await say(alice, group, 'welcome back');
      await reads(bob, group, 'welcome back');
      expect(await bob.texts(group)).toEqual(['with bob', 'welcome back']);
    },
  },
  {
    claim: 'who leaves is out by the others’ commit, and they go on',
    async play(stage) {
      const actors = (await enterAll(stage, 'alice', 'bob', 'carol')) as [Actor, Actor, Actor];
      const [alice, bob, carol] = actors;
      const group = await stage.groupOf(actors);
      expect(await bob.chat.leave(group)).toEqual(done);
      await isOut(bob, group);
      await bob.sees(group, { kind: 'removed-me', by: { name: bob.name } });
      await say(carol, group, 'bye');
      await reads(alice, group, 'bye');
      await agree(group, [alice, carol], ['bye']);
      expect(await bob.texts(group)).toEqual([]);
    },
  },
  {
    claim: 'only administrators invite, remove and appoint; there is always one; policy says who may do more',
    async play(stage) {
      const [alice, bob, carol] = (await enterAll(stage, 'alice', 'bob', 'carol')) as [Actor, Actor, Actor];
      const group = await stage.groupOf([alice, bob]);
      expect(await bob.chat.invite(group, [carol.name])).toMatchObject([{ kind: 'refused' }]);
      expect(await bob.chat.remove(group, [alice.name])).toMatchObject([{ kind: 'refused' }]);
      expect(await bob.chat.promote(group, [bob.name])).toMatchObject([{ kind: 'refused' }]);
      expect(await alice.chat.demote(group, [alice.name])).toMatchObject([{ kind: 'refused' }]);
      expect(await alice.chat.leave(group)).toMatchObject({ kind: 'refused' });
      expect(await alice.chat.setPolicy(group, { invite: 'members', join: 'open' })).toEqual(done);
      expect(await carol.chat.joinGroup((await alice.status(group))!.name)).toEqual({ kind: 'joined', group });
      await until(async () => (await alice.chat.members(group)).length === 3);
      expect(await alice.chat.promote(group, [bob.name])).toEqual([{ name: bob.name, kind: 'done' }]);
      expect(await alice.chat.demote(group, [alice.name])).toEqual([{ name: alice.name, kind: 'done' }]);
      await bob.sees(group, { kind: 'membership', by: { name: alice.name }, dismissed: { 0: { name: alice.name } } });
      await bob.restart();
      const roles = (await bob.chat.members(group)).map(({ name, role }) => `${name} ${role}`).sort();
      expect(roles).toEqual([`${alice.name} member`, `${bob.name} admin`, `${carol.name} member`].sort());
      expect(await bob.chat.remove(group, [carol.name])).toEqual([{ name: carol.name, kind: 'done' }]);
      await isOut(carol, group);
      await agree(group, [alice, bob], []);
    },
  },
  {
    claim: 'D8: ended between any two steps it goes on where it was: nothing twice, nothing lost',
    async play(stage) {
      const [alice, bob] = (await enterAll(stage, 'alice', 'bob')) as [Actor, Actor];
      await Promise.all([alice.restart(), bob.restart()]);
      const group = await stage.groupOf([alice]);
      await alice.restart();
      expect(await alice.chat.invite(group, [bob.name])).toEqual([{ name: bob.name, kind: 'done' }]);
      await bob.restart();
      await alice.restart();
      await bob.isMember(group);
      const texts: string[] = [];
      for (let round = 0; round < 3; round += 1) {
        const both = [alice, bob];
        for (const actor of both) {
          const text = `${round} ${actor.name}`;
          // durable when `send` resolves: whoever ends here has said it, and says it once
          await actor.chat.send(group, text);
          await actor.restart();
          for (const each of both) await reads(each, group, text);
          texts.push(text);
        }
        expect(await both[round % 2]!.chat.rotate(group)).toEqual(done);
        await both[round % 2]!.restart();
      }
      await agree(group, [alice, bob], texts);
    },
  },
  {
    claim: 'D8: an answer that is lost changes nothing: whatever was asked is done once',
    async play(stage) {
      const alice = await stage.enter('alice', ['register']);
      const bob = await stage.enter('bob');
      alice.loseAnswer('createGroup');
      alice.loseAnswer('postCommit');
      const group = await stage.groupOf([alice, bob]);
      for (const [actor, text] of [
        [alice, 'one'],
        [bob, 'two'],
      ] as const) {
        actor.loseAnswer('postMessages');
        await say(actor, group, text);
        for (const each of [alice, bob]) await reads(each, group, text);
      }
      bob.loseAnswer('postCommit');
      expect(await bob.chat.rotate(group)).toEqual(done);
      await agree(group, [alice, bob], ['one', 'two']);
      bob.loseAnswer('postProposal');
      expect(await bob.chat.leave(group)).toEqual(done);
      await isOut(bob, group);
      await agree(group, [alice], ['one', 'two']);
      expect((await alice.lines(group)).filter(({ kind }) => kind === 'membership')).toHaveLength(3);
    },
  },
  {
    claim: 'of commits at once all take effect, one an epoch',
    async play(stage) {
      const [alice, bob, carol] = (await enterAll(stage, 'alice', 'bob', 'carol')) as [Actor, Actor, Actor];
      const group = await stage.groupOf([alice, bob]);
      const before = (await alice.status(group))!.epoch;
      const outcomes = await Promise.all([
        alice.chat.rotate(group),
        bob.chat.rotate(group),
        alice.chat.invite(group, [carol.name]),
      ]);
      expect(outcomes).toEqual([done, done, [{ name: carol.name, kind: 'done' }]]);
      await carol.isMember(group);
      await say(carol, group, 'here');
      for (const actor of [alice, bob]) await reads(actor, group, 'here');
      await agree(group, [alice, bob, carol], ['here']);
      expect((await bob.status(group))!.epoch).toBe(before + 3);
    },
  },
  {
    claim: 'in an opaque group people invite, rotate, leave and remove as in any other',
    async play(stage) {
      const [alice, bob, carol] = (await enterAll(stage, 'alice', 'bob', 'carol')) as [Actor, Actor, Actor];
      const group = await stage.groupOf([alice, bob, carol], { handshakes: 'private' });
      const raced = await Promise.all([alice, bob].map(({ chat }) => chat.rotate(group)));
      expect(raced).toEqual([done, done]);
      await Promise.all([alice.restart(), bob.restart()]);
      await say(bob, group, 'sealed');
      for (const actor of [alice, carol]) await reads(actor, group, 'sealed');
      expect(await carol.chat.leave(group)).toEqual(done);
      await isOut(carol, group);
      await say(alice, group, 'two of us');
      await reads(bob, group, 'two of us');
      await agree(group, [alice, bob], ['sealed', 'two of us']);
      expect(await alice.status(group)).toMatchObject({ handshakes: 'private', members: 2 });
      expect(await alice.chat.remove(group, [bob.name])).toEqual([{ name: bob.name, kind: 'done' }]);
      await isOut(bob, group);
    },
  },
  {
    claim: 'a file arrives as it was, also when its sender ended before it was sent',
    async play(stage) {
      const { alice, bob, group } = await pair(stage);
      const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => index % 251);
      await alice.chat.sendFile(group, { name: '/home/alice/leaf.jpg', mediaType: 'image/jpeg', bytes });
      await alice.restart();
      const line = await bob.sees(group, { file: { name: 'leaf.jpg', mediaType: 'image/jpeg', size: bytes.length } });
      for (const actor of [bob, alice]) {
        await actor.sees(group, { position: line.position! });
        const fetched = await actor.chat.fetchFile(group, line.position!);
        expect(fetched).toMatchObject({ kind: 'done', name: 'leaf.jpg', mediaType: 'image/jpeg' });
        if (fetched.kind === 'done') expect(fetched.bytes.every((byte, at) => byte === bytes[at])).toBe(true);
        if (fetched.kind === 'done') expect(fetched.bytes).toHaveLength(bytes.length);
      }
      expect(await bob.chat.fetchFile(group, line.position! - 1)).toMatchObject({ kind: 'refused' });
    },
  },
  {
    claim: 'who wants receipts learns what came and what was read, and nobody else tells or learns anything',
    waits: true,
    async play(stage) {
      const actors = (await enterAll(stage, 'alice', 'bob', 'carol')) as [Actor, Actor, Actor];
      const [alice, bob, carol] = actors;
      const group = await stage.groupOf(actors);
      for (const actor of [alice, bob]) await actor.chat.setReceipts(true);
      await say(alice, group, 'seen?');
      const { position } = await reads(bob, group, 'seen?');
      const marksOf = async (name: string) =>
        (await alice.chat.members(group)).find((member) => member.name === name)?.marks;
      await bob.chat.markRead(group);
      await bob.restart();
      await until(async () => (await marksOf(bob.name))?.read === position);
      expect((await marksOf(bob.name))?.delivered).toBe(position);
      expect((await bob.status(group))?.unread).toBe(0);
      await reads(carol, group, 'seen?');
      expect(await marksOf(carol.name)).toBeUndefined();
      expect((await carol.chat.members(group)).every(({ marks }) => marks === undefined)).toBe(true);
      expect((await alice.chat.status()).receipts).toBe(true);
      await agree(group, actors, ['seen?']);
    },
  },
  {
    claim: 'what is unread, muted, found and heard of is the same after a start',
    async play(stage) {
      const { alice, bob, group } = await pair(stage);
      await bob.chat.markRead(group);
      for (const text of ['Darjeeling', 'Assam', 'more darjeeling']) await say(alice, group, text);
      await reads(bob, group, 'more darjeeling');
      await bob.chat.setMuted(group, true);
      for (let start = 0; start < 2; start += 1) {
        expect(await bob.status(group)).toMatchObject({ unread: 3, muted: true });
        const found = await bob.chat.search(group, 'DARJEELING', 10);
        expect(found.lines).toMatchObject([{ text: 'Darjeeling' }, { text: 'more darjeeling' }]);
        expect(await bob.chat.recent(group, 2)).toMatchObject([{ text: 'Assam' }, { text: 'more darjeeling' }]);
        const { account } = (await alice.chat.status()).me;
        expect((await bob.chat.lastHeard(group)).map((heard) => heard.account)).toContain(account);
        await bob.restart();
      }
      await bob.chat.markRead(group);
      await bob.restart();
      expect(await bob.status(group)).toMatchObject({ unread: 0, muted: true });
    },
  },
  {
    claim: 'a group is joined again from outside, and its members go on with who came back',
    async play(stage) {
      const { alice, bob, group } = await pair(stage);
      expect(await bob.chat.rejoin(group)).toEqual(done);
      await bob.restart();
      await say(bob, group, 'here again');
      await reads(alice, group, 'here again');
      await agree(group, [alice, bob], ['here again']);
    },
  },
];

/** Those in which a device is added to an account: what begins one is not part of the package entry. */
export const DEVICE_SCENARIOS: readonly (Omit<Scenario, 'play'> & {
  play(stage: Stage, devices: NewDevices): Promise<void>;
})[] = [
  {
    claim:
      'a second device reads and writes as the same person; S6: who was verified is warned of, once; revoked it is out',
    async play(stage, devices) {
      const { alice, bob, group } = await pair(stage);
      expect(await alice.chat.markVerified(bob.name)).toMatchObject({ kind: 'refused' });
      const shown = await alice.chat.safetyNumber(bob.name);
      expect((await bob.chat.safetyNumber(alice.name))?.number).toBe(shown?.number);
      expect(await alice.chat.markVerified(bob.name)).toEqual(done);
      const phone = await stage.linkTo(bob, devices);
      await phone.isMember(group);
      await until(async () => (await alice.warnings(group)).length > 0);
      await alice.restart();
      expect(await alice.warnings(group)).toEqual([expect.stringContaining(bob.name)]);
      const seenBob = async () => (await alice.chat.members(group)).find(({ name }) => name === bob.name);
      await until(async () => (await seenBob())?.devices.length === 2);
      expect(await seenBob()).toMatchObject({ verified: 'changed' });
      await say(phone, group, 'from my phone');
      expect(await reads(bob, group, 'from my phone')).toMatchObject({ own: true });
      await phone.restart();
      await say(alice, group, 'to both');
      for (const actor of [bob, phone]) await reads(actor, group, 'to both');

      expect(await bob.chat.revoke(`second of ${bob.name}`)).toEqual(done);
      await until(async () => (await seenBob())?.devices.length === 1);
      await until(async () => (await phone.chat.status()).connection.state === 'offline');
      await say(bob, group, 'one device');
      await reads(alice, group, 'one device');
    },
  },
  {
    claim: 'S8: the recovery code alone gets the account back, with its groups, and ends the device that was lost',
    async play(stage, devices) {
      const { alice, bob, group } = await pair(stage);
      const code = await bob.chat.takeRecoveryCode();
      expect(await bob.chat.takeRecoveryCode()).toBeUndefined();
      await bob.stop();
      const again = await stage.recover(bob.name, code!, devices);
      await again.isMember(group);
      await say(alice, group, 'welcome back');
      await reads(again, group, 'welcome back');
      const revoked = (await again.chat.devices()).map((device) => device.revoked);
      expect(revoked).toEqual([true, false]);
    },
  },
];
