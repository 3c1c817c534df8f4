import { expect, test } from 'vitest';
import type { PendingCommit } from '../../src/client/engine/commit-types.ts';
import type { Group } from '../../src/client/engine/types.ts';
import { emptyGroup } from '../../src/client/engine/welcome.ts';
import { openChatState } from '../../src/client/runner/chat-state.ts';
import { compareHistories } from '../../src/client/runner/compare-histories.ts';
import { createSerial } from '../../src/client/runner/serial.ts';
import { loadGroups } from '../../src/client/store/group-rows.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { type ServerApi, TransportError } from '../../src/client/transport/server-api.ts';
import { createMlsConfig } from '../../src/mls/config.ts';
import type { ClientId, GroupId } from '../../src/wire/ids.ts';
import type { ConnectableServer, TestChatter } from '../support/chat-clients.ts';
import {
  audited,
  deviceOf,
  statusIn,
  storedGroup,
  together,
  useChatters,
  WAIT_MS,
  warningsOf,
} from '../support/chatters.ts';
import { createFakeServer, type FakeServer } from '../support/fake-server.ts';
import { until } from '../support/until.ts';

const chatter = useChatters();

/** A line on which requests are answered, and nothing of the log comes while it is silent. */
function silentLine(server: FakeServer): ConnectableServer & { isSilent: boolean } {
  const line = {
    isSilent: false,
    connect: (device: Parameters<FakeServer['connect']>[0]): ServerApi => {
      const api = server.connect(device);
      return {
        ...api,
        async *syncStream(cursor, signal) {
          for await (const item of api.syncStream(cursor, signal)) if (!line.isSilent) yield item;
        },
      };
    },
  };
  return line;
}

test('a commit and a text that the server took, and lost before they came back, are asked for again and placed', async () => {
  const server = createFakeServer();
  const line = silentLine(server);
  const alice = await chatter(line, 'alice');
  const group = await together([alice]);
  const goBack = server.remember();
  line.isSilent = true;
  await alice.chat.send(group, 'took, and lost');
  expect(await alice.chat.flushed(WAIT_MS)).toBe(0);
  const wish = alice.chat.rotate(group);
  await until(
    async () => (await storedGroup(alice, group)).pending?.accepted === true,
    () => 'the commit was never answered',
  );
  line.isSilent = false;
  goBack();
  expect(await wish).toEqual({ kind: 'done' });
  await alice.waitForText(group, 'took, and lost');
  expect(await statusIn(alice, group)).toMatchObject({ state: 'member', epoch: 1 });
  expect(
    server.groups
      .get(group)
      ?.entries.map(({ entry }) => entry.kind)
      .sort(),
  ).toEqual(['commit', 'group-created', 'message']);
  // the server has signed for places that are others' now: nothing else is said of it
  expect((await warningsOf(alice)).filter((text) => !text.startsWith('The server has signed another history'))).toEqual(
    [],
  );
});

test('who was taken out of a group while its log was replaced is told that, and not that the log went back', async () => {
  const server = createFakeServer();
  const [alice, bob] = [await chatter(server, 'alice'), await chatter(server, 'bob')];
  const group = await together([alice, bob]);
  const restore = server.cut(await deviceOf(bob));
  expect(await alice.chat.remove(group, ['bob'])).toEqual([{ name: 'bob', kind: 'done' }]);
  server.newIncarnation();
  restore();
  await bob.chat.caughtUp(WAIT_MS);
  expect(await statusIn(bob, group)).toMatchObject({ state: 'removed' });
  expect(await warningsOf(bob)).toEqual([]);
});

test('a group that was parked before its log went back is joined again behind where the log ends now', async () => {
  const server = createFakeServer();
  const [alice, bob] = [await chatter(server, 'alice'), await chatter(server, 'bob')];
  const group = await together([alice, bob]);
  const goBack = server.remember();
  for (const text of ['one', 'two', 'three', 'four']) await alice.chat.send(group, text);
  await bob.waitForText(group, 'four');
  const [bobs, other] = [await deviceOf(bob), new Uint8Array(32).fill(9)];
  server.tamper = (device, page) =>
    device === bobs ? { ...page, heads: page.heads.map((head) => ({ ...head, hash: other })) } : page;
  await alice.chat.send(group, 'five');
  await until(
    async () => (await statusIn(bob, group))?.state === 'parked',
    () => 'never parked',
  );
  server.tamper = undefined;
  const told = await warningsOf(bob);
  const before = server.groups.get(group)!.entries.length;
  goBack();
  await until(
    async () => (await storedGroup(bob, group)).position < before - 1,
    () => 'never compared',
  );
  expect(await bob.chat.rejoin(group)).toEqual({ kind: 'done' });
  expect(await statusIn(bob, group)).toMatchObject({ state: 'member', epoch: 2 });
  expect((await warningsOf(bob)).filter((text) => text.includes('went back'))).toEqual([]);
  expect(told.some((text) => text.includes('/rejoin joins the group again'))).toBe(true);
});

/** Of alice, bob and carol bob alone was away when the log went back by one commit of alice, and carol committed in its place. */
async function forked(meanwhile: (bob: TestChatter, group: GroupId) => Promise<void> = async () => {}) {
  const server = createFakeServer();
  const line = silentLine(server);
  const [alice, bob, carol] = [
    await chatter(server, 'alice'),
    await chatter(line, 'bob'),
    await chatter(server, 'carol'),
  ];
  const group = await together([alice, bob, carol]);
  const goBack = server.remember();
  const uncut = server.cut(await deviceOf(carol));
  expect(await alice.chat.rotate(group)).toEqual({ kind: 'done' });
  await bob.chat.caughtUp(WAIT_MS);
  expect(await statusIn(bob, group)).toMatchObject({ epoch: 2 });
  line.isSilent = true;
  await meanwhile(bob, group);
  const restore = server.cut(await deviceOf(bob));
  goBack();
  uncut();
  expect(await carol.chat.rotate(group)).toEqual({ kind: 'done' });
  expect(await statusIn(carol, group)).toMatchObject({ epoch: 2 });
  line.isSilent = false;
  restore();
  await until(
    async () => (await statusIn(bob, group))?.state === 'parked',
    () => 'never parked',
  );
  return { server, group, bob, carol };
}

test('a text that the lost history had taken is not sent into another one of the same epoch, and comes after the rejoin', async () => {
  const { group, bob, carol } = await forked(async (away, tea) => {
    await away.chat.send(tea, 'of the lost epoch');
    expect(await away.chat.flushed(WAIT_MS)).toBe(0);
  });
  expect(await bob.chat.rejoin(group)).toEqual({ kind: 'done' });
  await carol.waitForText(group, 'of the lost epoch');
  await bob.waitForText(group, 'of the lost epoch');
  expect(await bob.texts(group)).toEqual(['of the lost epoch']);
  expect((await warningsOf(carol)).filter((text) => text.includes('could not be read'))).toEqual([]);
});

test('a group whose histories differ is joined again once and for all, and the difference stays for an audit', async () => {
  const { group, bob, carol } = await forked();
  expect(await bob.chat.rejoin(group)).toEqual({ kind: 'done' });
  await carol.chat.send(group, 'welcome back');
  await bob.waitForText(group, 'welcome back');
  await bob.chat.caughtUp(WAIT_MS);
  expect(await statusIn(bob, group)).toMatchObject({ state: 'member', epoch: 3 });
  await bob.chat.send(group, 'here again');
  await carol.waitForText(group, 'here again');
  expect(
    (await warningsOf(bob)).filter((text) => text.includes("The server's history of this group differs")),
  ).toHaveLength(1);
  const { findings } = await audited(bob);
  expect(findings.filter(({ groupId }) => groupId === group)).toMatchObject([
    { kind: 'history', position: expect.any(Number) },
  ]);
});

test('who was invited again behind what was read, in a log that went back, follows that invitation', async () => {
  const server = createFakeServer();
  const [alice, bob, carol] = [
    await chatter(server, 'alice'),
    await chatter(server, 'bob'),
    await chatter(server, 'carol'),
  ];
  const group = await together([alice, carol]);
  expect(await alice.chat.promote(group, ['carol'])).toEqual([{ name: 'carol', kind: 'done' }]);
  await carol.chat.caughtUp(WAIT_MS);
  await bob.chat.caughtUp(WAIT_MS);
  const goBack = server.remember();
  const uncut = server.cut(await deviceOf(carol));
  await alice.chat.invite(group, ['bob']);
  await bob.chat.caughtUp(WAIT_MS);
  const restore = server.cut(await deviceOf(bob));
  const end = server.groups.get(group)!.entries.length;
  goBack();
  uncut();
  await carol.chat.caughtUp(WAIT_MS);
  for (const text of ['one', 'two', 'three']) await carol.chat.send(group, text);
  await carol.chat.flushed(WAIT_MS);
  expect(server.groups.get(group)!.entries.length).toBeGreaterThan(end);
  expect(await carol.chat.invite(group, ['bob'])).toEqual([{ name: 'bob', kind: 'done' }]);
  restore();
  await carol.chat.send(group, 'hello bob');
  await bob.waitForText(group, 'hello bob');
  expect(await statusIn(bob, group)).toMatchObject({ state: 'member' });
});

test('a group whose creation the server took and lost is created in the log that it has now', async () => {
  const server = createFakeServer();
  const line = silentLine(server);
  const alice = await chatter(line, 'alice');
  await alice.chat.caughtUp(WAIT_MS);
  const goBack = server.remember();
  line.isSilent = true;
  const opening = alice.chat.openGroup('tea');
  let stored: Group | undefined;
  await until(
    async () => {
      const mls = createMlsConfig({ validateCredential: () => true });
      stored = (await loadGroups(createMemoryStore(alice.rows), mls))[0];
      // the receipt of its answer
      return (stored?.evidence?.promised.length ?? 0) > 0;
    },
    () => 'the creation was never answered',
  );
  line.isSilent = false;
  goBack();
  const opened = await opening;
  expect(opened).toMatchObject({ kind: 'created', group: stored!.id });
  expect(server.groups.get(stored!.id)?.entries.map(({ entry }) => entry.kind)).toEqual(['group-created']);
  expect(await statusIn(alice, stored!.id)).toMatchObject({ state: 'member' });
});

const bytes = new Uint8Array(32).fill(1);

async function comparing(group: Group, api: Pick<ServerApi, 'headAt' | 'endOf'>): Promise<Group> {
  const state = await openChatState({
    store: createMemoryStore(new Map()),
    groups: [group],
    notify: () => {},
    accountWrites: () => [],
  });
  await compareHistories({ api, state, serial: createSerial(), now: () => 1 });
  return state.groups.get(group.id)!;
}

test('a group is not parked over a node that had not come so far, or grows just then: it is asked again', async () => {
  const group: Group = { ...emptyGroup(bytes, 'tea'), phase: 'member', position: 8, head: bytes };
  const api = { headAt: async () => undefined, endOf: async () => 8 };
  await expect(comparing(group, api)).rejects.toThrow(TransportError);
  expect(await comparing(group, { headAt: async () => bytes, endOf: async () => undefined })).toMatchObject({
    phase: 'member',
  });
  const parked = await comparing(group, { headAt: async () => undefined, endOf: async () => 7 });
  expect(parked).toMatchObject({ phase: 'parked', position: 7 });
  // an invitation behind what was read leads into the log that is there now
  const invited = await comparing(group, { headAt: async () => 'later', endOf: async () => 12 });
  expect(invited).toMatchObject({ phase: 'parked', position: 8 });
  expect(invited.head).toBeUndefined();
});

test('of a log that was replaced no promise counts, whatever became of the group: all of it is open again', async () => {
  const pending = (kind: 'commit' | 'external'): PendingCommit => ({
    ...{ id: 'asked' as ClientId, kind, intention: 'wish', epoch: 1, accepted: true, promisedAt: 12 },
    ...{ body: { commit: bytes, groupInfo: bytes }, next: { epochRecord: bytes, ratchets: [] } },
  });
  const sealed = { id: 'text' as ClientId, epoch: 1, message: bytes };
  const item = { localId: sealed.id, ordinal: 1, text: 'x', time: 1, sealed, sealedAfter: 8, stale: false };
  const group: Group = {
    ...emptyGroup(bytes, 'tea'),
    ...{ phase: 'member', position: 8, head: bytes, pending: pending('commit') },
    outbox: [{ ...item, accepted: true, promisedAt: 11 }],
    leaving: { id: 'leave' as ClientId, epoch: 1, proposal: bytes, accepted: true },
  };
  const same = await comparing(group, { headAt: async () => bytes, endOf: async () => 8 });
  const { promisedAt: _at, ...open } = group.pending!;
  expect(same).toEqual({
    ...group,
    pending: { ...open, accepted: false },
    outbox: [{ ...item, accepted: false }],
    leaving: { ...group.leaving, accepted: false },
  });
  const back = await comparing(group, { headAt: async () => undefined, endOf: async () => 5 });
  expect(back).toMatchObject({ phase: 'parked', position: 5, outbox: [{ accepted: false }] });
  expect([back.pending, back.outbox[0]?.promisedAt, back.outbox[0]?.sealedAfter]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  // a way back in is asked for again, and not waited for without end
  const joining: Group = { ...emptyGroup(bytes, 'tea'), phase: 'parked', pending: pending('external') };
  const asked = await comparing(joining, { headAt: async () => undefined, endOf: async () => 5 });
  expect(asked.pending).toMatchObject({ kind: 'external', accepted: false });
  expect(asked.pending?.promisedAt).toBeUndefined();
});

test('a group that is out of service goes back with its log, and stays where it is in one that reaches as far', async () => {
  for (const phase of ['parked', 'removed'] as const) {
    const group: Group = { ...emptyGroup(bytes, 'tea'), phase, position: 8, head: bytes };
    const back = await comparing(group, { headAt: async () => undefined, endOf: async () => 2 });
    // whoever is shown the end of a group is a member: what took the device out is lost
    expect(back).toMatchObject({ phase: 'parked', position: 2 });
    expect(back.head).toBeUndefined();
    const unseen = await comparing(group, { headAt: async () => undefined, endOf: async () => undefined });
    expect(unseen).toMatchObject({ phase, position: 0 });
    // another history of the same length leads on behind what was read
    for (const other of [bytes, new Uint8Array(32).fill(2)]) {
      expect(await comparing(group, { headAt: async () => other, endOf: async () => undefined })).toBe(group);
    }
    expect(await comparing(group, { headAt: async () => undefined, endOf: async () => 9 })).toBe(group);
    expect(await comparing(group, { headAt: async () => 'later', endOf: async () => 9 })).toBe(group);
  }
});
