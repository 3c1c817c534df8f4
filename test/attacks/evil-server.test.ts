import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ServerApi } from '../../src/client/transport/server-api.ts';
import { createMlsConfig } from '../../src/mls/config.ts';
import { createCommit } from '../../src/mls/session/commit.ts';
import { createGroup } from '../../src/mls/session/create.ts';
import { fromBase64Url } from '../../src/wire/bytes.ts';
import { decodeEntry, encodeEntry, type WelcomeEntry } from '../../src/wire/entry.ts';
import type { GroupId, Position } from '../../src/wire/ids.ts';
import type { StreamItem } from '../../src/wire/page.ts';
import { type ConnectableServer, openChatter, overHttp, type TestChatter } from '../support/chat-clients.ts';
import { createFakeServer } from '../support/fake-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { okValue } from '../support/signed-client.ts';
import { suite, TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';

const WAIT_MS = 240_000;
let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server[Symbol.asyncDispose]());
const open: TestChatter[] = [];
afterEach(async () => {
  for (const chatter of open.splice(0)) await chatter.stop();
});
const chatter = async (by: ConnectableServer, name: string): Promise<TestChatter> => {
  const made = await openChatter(by, name);
  open.push(made);
  return made;
};
const created = async (by: TestChatter, name: string): Promise<GroupId> => {
  const opened = await by.chat.openGroup(name);
  if (opened.kind !== 'created') throw new Error(opened.kind);
  return opened.group;
};
const membersOf = async (by: TestChatter, group: GroupId): Promise<string[]> =>
  (await by.chat.members(group)).map(({ name }) => name).sort();

/** The real server, but what `forge` gives is shown to the clients connected here as if it were in the log. */
function lying(forge: () => Uint8Array | undefined): ConnectableServer {
  const honest = overHttp(() => server.url());
  return {
    connect: (device, sign): ServerApi => {
      const api = honest.connect(device, sign);
      async function* syncStream(...args: Parameters<ServerApi['syncStream']>): AsyncGenerator<StreamItem> {
        for await (const item of api.syncStream(...args)) {
          yield item;
          const entry = item.type === 'page' ? forge() : undefined;
          if (item.type !== 'page' || entry === undefined) continue;
          yield { ...item, entries: [entry], cursors: item.cursors.slice(-16), heads: [] };
        }
      }
      return { ...api, syncStream };
    },
  };
}

/** A Welcome into a group that somebody has made under the id of another. */
async function welcomeInto(group: Uint8Array, by: TestDevice, of: TestChatter): Promise<Uint8Array> {
  const claims = await by.createGroup();
  const { account } = (await of.chat.status()).me;
  const { results } = okValue(await by.claim(claims, [account]));
  const config = createMlsConfig({ validateCredential: () => true });
  const { identity, keys } = by;
  const roles = { admins: [by.account], invite: 'admins', join: 'invite' } as const;
  const twin = await createGroup(suite, config, { groupId: group, identity, keys, roles, now: Date.now() });
  const options = { add: [results[0].keyPackage], inlineTree: true, groupInfoTree: true, now: Date.now() };
  const { welcome, next } = await createCommit(suite, twin.state, options);
  by.setState(group, next);
  return encodeEntry({
    kind: 'welcome',
    time: Date.now(),
    sender: by.id,
    payload: {
      group,
      name: 'tea',
      position: 1_000 as Position,
      head: new Uint8Array(randomBytes(32)),
      epoch: 1,
      inviter: by.account,
      welcome: welcome!,
    },
  });
}

describe('an evil server', () => {
  it('D11: does not put a member into another group of the same id, by a Welcome that somebody made for it', async () => {
    let forged: Uint8Array | undefined;
    const takeForged = () => {
      const entry = forged;
      forged = undefined;
      return entry;
    };
    const alice = await chatter(
      overHttp(() => server.url()),
      'alice',
    );
    const bob = await chatter(lying(takeForged), 'bob');
    const eve = await TestDevice.register(() => server.url(), 'eve');
    const group = await created(alice, 'tea');
    await alice.chat.invite(group, ['bob']);
    await bob.chat.caughtUp(WAIT_MS);
    forged = await welcomeInto(fromBase64Url(group)!, eve, bob);
    await alice.chat.send(group, 'before');
    await until(async () => (await bob.lines(group)).some(({ kind }) => kind === 'warning'));
    expect(await membersOf(bob, group)).toEqual(['alice', 'bob']);
    await bob.chat.send(group, 'for alice only');
    await alice.waitForText(group, 'for alice only');
    await alice.chat.send(group, 'after');
    await bob.waitForText(group, 'after');
    const warnings = (await bob.lines(group)).filter(({ kind }) => kind === 'warning');
    expect(warnings).toMatchObject([{ text: expect.stringMatching(/invitation into another group .* not followed/) }]);
  });

  it('D2: does not make a member of anybody by the Welcome of somebody else', async () => {
    const fake = createFakeServer();
    const [alice, bob, carol] = [
      await chatter(fake, 'alice'),
      await chatter(fake, 'bob'),
      await chatter(fake, 'carol'),
    ];
    const [tea, ink] = [await created(alice, 'tea'), await created(alice, 'ink')];
    const { device } = (await carol.chat.status()).me;
    let others: WelcomeEntry | undefined;
    fake.tamper = (by, page) => {
      const entries = page.entries.map((bytes) => {
        const entry = decodeEntry(bytes);
        if (entry.kind !== 'welcome') return bytes;
        if (by !== device) {
          others ??= entry;
          return bytes;
        }
        if (others === undefined || entry.payload.name !== 'tea') return bytes;
        return encodeEntry({ ...entry, payload: { ...entry.payload, welcome: others.payload.welcome } });
      });
      return { ...page, entries };
    };
    await alice.chat.invite(tea, ['bob']);
    await bob.chat.caughtUp(WAIT_MS);
    await until(() => others !== undefined);
    await alice.chat.invite(tea, ['carol']);
    await alice.chat.invite(ink, ['carol']);
    await carol.chat.caughtUp(WAIT_MS);
    const groups = await carol.chat.groups();
    expect(groups.find(({ group }) => group === tea)?.state).not.toBe('member');
    expect(groups.find(({ group }) => group === ink)?.state).toBe('member');
  });

  it('D7: does not lead a rejoin into another group, nor back into an epoch that is over, by another GroupInfo', async () => {
    const fake = createFakeServer();
    const [alice, bob] = [await chatter(fake, 'alice'), await chatter(fake, 'bob')];
    await chatter(fake, 'carol');
    const [tea, ink] = [await created(alice, 'tea'), await created(alice, 'ink')];
    for (const group of [tea, ink]) await alice.chat.invite(group, ['bob']);
    await bob.chat.caughtUp(WAIT_MS);
    const { device } = (await bob.chat.status()).me;
    const old = await fake.connect(device).groupInfo(tea);
    await alice.chat.invite(tea, ['carol']);
    await bob.chat.caughtUp(WAIT_MS);
    const now = await fake.connect(device).groupInfo(tea);
    const { groupInfo, ratchetTree } = await fake.connect(device).groupInfo(ink);
    const lies = [
      { ...now, groupInfo, ratchetTree },
      { ...now, groupInfo: old.groupInfo, ratchetTree: old.ratchetTree },
      { ...now, groupInfo: randomBytes(now.groupInfo.length) },
      { ...now, ratchetTree: old.ratchetTree, groupInfo: old.groupInfo.slice(0, -1) },
      old,
    ];
    const connect = fake.connect;
    let served = 0;
    fake.connect = (by) => {
      const api = connect(by);
      return by === device ? { ...api, groupInfo: async () => lies[served++ % lies.length]! } : api;
    };
    await bob.restart();
    await bob.chat.caughtUp(WAIT_MS);
    for (const _ of lies) expect(await bob.chat.rejoin(tea)).toMatchObject({ kind: 'refused' });
    expect(served).toBe(lies.length);
    await alice.chat.send(tea, 'still together');
    await bob.waitForText(tea, 'still together');
    expect(await membersOf(bob, tea)).toEqual(['alice', 'bob', 'carol']);
  });

  it('D5: shows nothing twice and nothing in another order: what comes again is passed over, what changed places parks', async () => {
    const fake = createFakeServer();
    const [alice, bob] = [await chatter(fake, 'alice'), await chatter(fake, 'bob')];
    const [tea, ink] = [await created(alice, 'tea'), await created(alice, 'ink')];
    for (const group of [tea, ink]) await alice.chat.invite(group, ['bob']);
    await bob.chat.caughtUp(WAIT_MS);
    const { device } = (await bob.chat.status()).me;
    const teaBytes = fake.groups.get(tea)!.bytes;
    // from here on every page goes back to where the log began, and has each entry of its own twice
    const before = await fake.connect(device).syncPage('start' as never, 100);
    fake.tamper = (by, page) => {
      if (by !== device || page.entries.length === 0) return page;
      const blocks = (cursors: Uint8Array, times: number) =>
        Array.from({ length: times }, () => cursors).flatMap((c) => [...c]);
      return {
        ...page,
        entries: [...before.entries, ...page.entries, ...page.entries],
        cursors: Uint8Array.from([...before.cursors, ...blocks(page.cursors, 2)]),
        cursor: before.cursor,
      };
    };
    for (const text of ['one', 'two']) await alice.chat.send(ink, text);
    await bob.waitForText(ink, 'two');
    expect(await bob.texts(ink)).toEqual(['one', 'two']);
    fake.tamper = (by, page) => {
      if (by !== device) return page;
      const places = page.entries.flatMap((bytes, index) => {
        const entry = decodeEntry(bytes);
        return entry.kind === 'message' && Buffer.compare(entry.group, teaBytes) === 0 ? [{ index, entry }] : [];
      });
      const entries = [...page.entries];
      const last = places.at(-1);
      // it says that an older position is a newer one: the entry of another place, under this number
      if (last !== undefined)
        entries[last.index] = encodeEntry({ ...last.entry, position: (last.entry.position + 1) as Position });
      return { ...page, entries };
    };
    await alice.chat.send(tea, 'moved');
    await until(async () => (await bob.chat.groups()).find(({ group }) => group === tea)?.state === 'parked');
    await alice.chat.send(ink, 'three');
    await bob.waitForText(ink, 'three');
    expect(await bob.texts(ink)).toEqual(['one', 'two', 'three']);
    expect(await bob.texts(tea)).toEqual([]);
  });
});
