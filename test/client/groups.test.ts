import { describe, expect, test } from 'vitest';
import type { HistoryLine } from '../../src/client/chat-client.ts';
import { formatLine } from '../../src/client/terminal/format-line.ts';
import { createPalette } from '../../src/client/terminal/palette.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import type { TestChatter } from '../support/chat-clients.ts';
import { statusIn, together, useChatters, WAIT_MS } from '../support/chatters.ts';
import { createFakeServer, type FakeServer } from '../support/fake-server.ts';
import { until } from '../support/until.ts';

const chatter = useChatters();
/** A group with these members, the first of whom made it. */
async function groupOf(server: FakeServer, ...names: readonly string[]): Promise<[GroupId, ...TestChatter[]]> {
  const members = await Promise.all(names.map((name) => chatter(server, name)));
  const group = await together(members as [TestChatter, ...TestChatter[]]);
  return [group, ...members];
}
async function sameEpoch(group: GroupId, members: readonly TestChatter[]): Promise<void> {
  for (const { chat } of members) await chat.caughtUp(WAIT_MS);
  const epochs = await Promise.all(members.map(async (member) => (await statusIn(member, group))?.epoch));
  expect(new Set(epochs).size).toBe(1);
}

describe('groups', () => {
  test('five members, some of them away across commits and messages, read everything in the same order', async () => {
    const server = createFakeServer();
    const [group, alice, bob, carol, dave, eve] = await groupOf(server, 'alice', 'bob', 'carol', 'dave', 'eve');
    await dave!.stop();
    for (let round = 0; round < 5; round += 1) {
      for (const member of [alice!, bob!, carol!, eve!]) await member.chat.send(group, `${member.name} ${round}`);
      expect(await [alice!, bob!, carol!, eve!][round % 4]!.chat.rotate(group)).toEqual({ kind: 'done' });
    }
    for (const member of [alice!, bob!, carol!, eve!]) expect(await member.chat.flushed(WAIT_MS)).toBe(0);
    await dave!.restart();
    await sameEpoch(group, [alice!, bob!, carol!, dave!, eve!]);
    const texts = await alice!.texts(group);
    expect(texts).toHaveLength(20);
    for (const member of [bob!, carol!, dave!, eve!]) expect(await member.texts(group)).toEqual(texts);
    await dave!.chat.send(group, 'back');
    await alice!.waitForText(group, 'back');
  });

  test('only administrators invite and remove, and a refusal says so', async () => {
    const server = createFakeServer();
    const [group, , bob] = await groupOf(server, 'alice', 'bob');
    await chatter(server, 'carol');
    expect(await bob!.chat.invite(group, ['carol'])).toEqual([
      { name: 'carol', kind: 'refused', reason: 'only administrators may invite here (alice)' },
    ]);
    expect((await bob!.chat.remove(group, ['alice']))[0]?.kind).toBe('refused');
  });

  test('a removed member reads its removal and nothing after, and may be invited again', async () => {
    const server = createFakeServer();
    const [group, alice, bob, carol] = await groupOf(server, 'alice', 'bob', 'carol');
    expect(await alice!.chat.remove(group, ['bob', 'zoe'])).toEqual([
      { name: 'bob', kind: 'done' },
      { name: 'zoe', kind: 'unknown-user' },
    ]);
    await alice!.chat.send(group, 'without bob');
    await carol!.waitForText(group, 'without bob');
    await until(async () => (await bob!.chat.groups())[0]?.state === 'removed');
    expect(await bob!.texts(group)).toEqual([]);
    expect((await bob!.lines(group)).at(-1)).toMatchObject({ kind: 'removed-me', by: { name: 'alice' } });
    await expect(bob!.chat.send(group, 'hello?')).rejects.toMatchObject({ code: 'refused' });
    expect(await bob!.chat.openGroup('tea')).toEqual({ kind: 'not-invited', administrators: ['alice'] });
    expect(await alice!.chat.invite(group, ['bob'])).toEqual([{ name: 'bob', kind: 'done' }]);
    await bob!.chat.caughtUp(WAIT_MS);
    await alice!.chat.send(group, 'welcome back');
    await bob!.waitForText(group, 'welcome back');
    expect(await bob!.texts(group)).toEqual(['welcome back']);
  });

  test('a member that leaves is removed by one of the others, who can go on at once', async () => {
    const server = createFakeServer();
    const [group, alice, bob, carol] = await groupOf(server, 'alice', 'bob', 'carol');
    expect(await bob!.chat.leave(group)).toEqual({ kind: 'done' });
    await carol!.chat.send(group, 'bye bob');
    await alice!.waitForText(group, 'bye bob');
    await until(async () => (await bob!.chat.groups())[0]?.state === 'removed');
    await sameEpoch(group, [alice!, carol!]);
    expect(server.calls.filter((call) => call === 'postCommit').length).toBeLessThanOrEqual(3);
    for (const { chat } of [alice!, carol!]) {
      const lines = await chat.recent(group, 100);
      const last = lines.flatMap((line) => (line.kind === 'membership' && line.removed.length > 0 ? [line] : []));
      expect(last).toMatchObject([{ removed: [{ name: 'bob' }], left: [{ name: 'bob' }] }]);
      const [row] = formatLine(last[0]!, { palette: createPalette(0), me: 'nobody' });
      expect(row).toMatch(/\[updated group membership\] bob left$/);
    }
    // a member that did not ask is removed
    await alice!.chat.remove(group, ['carol']);
    const isOfCarol = (line: HistoryLine) => line.kind === 'membership' && line.removed[0]?.name === 'carol';
    await until(async () => (await alice!.chat.recent(group, 100)).some(isOfCarol));
    expect((await alice!.chat.recent(group, 100)).find(isOfCarol)).not.toHaveProperty('left');
  });

  test('fault 2: two who open a new name at once get one group; the other is told whom to ask', async () => {
    const server = createFakeServer();
    const [alice, bob] = [await chatter(server, 'alice'), await chatter(server, 'bob')];
    const outcomes = await Promise.all([alice.chat.openGroup('tea'), bob.chat.openGroup('tea')]);
    expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['created', 'not-invited']);
    expect(server.groups.size).toBe(1);
    const loser = outcomes[0]!.kind === 'created' ? bob : alice;
    expect((await loser.chat.groups()).length).toBe(0);
  });

  test('fault 4: 20 members commit at once, again and again: one commit an epoch, every intention takes effect', async () => {
    const server = createFakeServer();
    const names = Array.from({ length: 20 }, (_, i) => `user${i}`);
    const [group, ...members] = await groupOf(server, ...names);
    for (let round = 0; round < 2; round += 1) {
      const before = server.groups.get(group)!.epoch;
      const outcomes = await Promise.all(members.map(({ chat }) => chat.rotate(group)));
      expect(outcomes).toEqual(members.map(() => ({ kind: 'done' })));
      expect(server.groups.get(group)!.epoch - before).toBe(20);
    }
    await sameEpoch(group, members);
    const commits = server.groups
      .get(group)!
      .entries.flatMap(({ entry }) => (entry.kind === 'commit' ? [entry.epoch] : []));
    expect(new Set(commits).size).toBe(commits.length);
    const authenticators = await Promise.all(members.map((member) => member.epochAuthenticator(group)));
    expect(new Set(authenticators).size).toBe(1);
    await members[7]!.chat.send(group, 'all here?');
    for (const member of members) await member.waitForText(group, 'all here?');
  });

  test('fault 13: a restart loads every group, and an invitation takes no other group’s place', async () => {
    const server = createFakeServer();
    const [tea, alice, bob] = await groupOf(server, 'alice', 'bob');
    const coffee = await alice!.chat.openGroup('coffee');
    if (coffee.kind !== 'created') throw new Error(coffee.kind);
    await alice!.chat.invite(coffee.group, ['bob']);
    await bob!.chat.caughtUp(WAIT_MS);
    await bob!.restart();
    expect((await bob!.chat.groups()).map(({ name }) => name).sort()).toEqual(['coffee', 'tea']);
    await bob!.chat.send(tea, 'in tea');
    await bob!.chat.send(coffee.group, 'in coffee');
    await alice!.waitForText(tea, 'in tea');
    await alice!.waitForText(coffee.group, 'in coffee');
    expect(await alice!.texts(tea)).toEqual(['in tea']);
  });
});
