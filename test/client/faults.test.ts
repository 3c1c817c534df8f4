import { describe, expect, test } from 'vitest';
import type { ChatEvent } from '../../src/client/chat-client.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { TransportError } from '../../src/client/transport/server-api.ts';
import { inspectMessage } from '../../src/mls/framing.ts';
import { decodeCbor, encodeCbor } from '../../src/wire/cbor.ts';
import { decodeEntry, encodeEntry } from '../../src/wire/entry.ts';
import type { DeviceId, GroupId } from '../../src/wire/ids.ts';
import type { Page } from '../../src/wire/page.ts';
import type { TestChatter } from '../support/chat-clients.ts';
import { deviceOf, statusIn, together, useChatters, WAIT_MS, warningsOf } from '../support/chatters.ts';
import { createFakeServer, type FakeServer } from '../support/fake-server.ts';
import { until } from '../support/until.ts';

const chatter = useChatters();
async function pair(server: FakeServer): Promise<{ alice: TestChatter; bob: TestChatter; group: GroupId }> {
  const alice = await chatter(server, 'alice');
  const bob = await chatter(server, 'bob');
  return { alice, bob, group: await together([alice, bob]) };
}
/** Rewrites the entries of one device's pages. */
function rewriting(server: FakeServer, device: DeviceId, change: (bytes: Uint8Array) => Uint8Array | undefined): void {
  server.tamper = (reader: DeviceId, page: Page): Page => {
    if (reader !== device) return page;
    const kept = page.entries.map(change);
    const cursors = kept.flatMap((bytes, i) => (bytes === undefined ? [] : [page.cursors.slice(i * 16, i * 16 + 16)]));
    return {
      ...page,
      entries: kept.filter((bytes) => bytes !== undefined),
      cursors: Uint8Array.from(cursors.flatMap((block) => [...block])),
    };
  };
}

/** Keeps the device's messages from arriving; everything else goes on. */
function holdMessages(server: FakeServer, device: DeviceId): () => void {
  server.intercept = (by, method) => {
    if (by === device && method === 'postMessages') throw new TransportError('unreachable', 'held back');
  };
  return () => {
    server.intercept = undefined;
  };
}

describe('what the chat before did wrong', () => {
  test('fault 4: an own commit waits for the server: the loser of an epoch takes the winner and does its own again', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await pair(server);
    await chatter(server, 'carol');
    const [rotated, invited] = await Promise.all([bob.chat.rotate(group), alice.chat.invite(group, ['carol'])]);
    expect(rotated).toEqual({ kind: 'done' });
    expect(invited).toEqual([{ name: 'carol', kind: 'done' }]);
    await alice.chat.caughtUp(WAIT_MS);
    await bob.chat.caughtUp(WAIT_MS);
    expect((await statusIn(bob, group))?.members).toBe(3);
    expect((await statusIn(alice, group))?.epoch).toBe((await statusIn(bob, group))?.epoch);
  });

  test('fault 5: Welcome and commit leave in one request, and a lost answer neither repeats nor forgets them', async () => {
    const server = createFakeServer();
    const { alice, group } = await pair(server);
    const carol = await chatter(server, 'carol');
    server.loseAnswer(await deviceOf(alice), 'postCommit');
    expect(await alice.chat.invite(group, ['carol'])).toEqual([{ name: 'carol', kind: 'done' }]);
    expect(await carol.chat.openGroup('tea')).toMatchObject({ group });
    const welcomes = server.log.filter(({ entry, readers }) => entry.kind === 'welcome' && readers.size === 1);
    expect(welcomes).toHaveLength(2);
    expect((await statusIn(alice, group))?.epoch).toBe(2);
  });

  test('fault 6: messages of five epochs ago are still read, in log order, whatever commits came between', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await pair(server);
    const release = holdMessages(server, await deviceOf(bob));
    await bob.chat.send(group, 'written before');
    for (let i = 0; i < 5; i += 1) expect(await alice.chat.rotate(group)).toEqual({ kind: 'done' });
    await bob.chat.caughtUp(WAIT_MS);
    release();
    await alice.waitForText(group, 'written before');
    expect((await alice.lines(group)).filter((line) => line.kind === 'warning')).toEqual([]);
  });

  test('a text whose epoch is over is encrypted anew, and is shown once', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await pair(server);
    const release = holdMessages(server, await deviceOf(bob));
    const sent = await bob.chat.send(group, 'late');
    for (let i = 0; i < 8; i += 1) await alice.chat.rotate(group);
    await bob.chat.caughtUp(WAIT_MS);
    release();
    await alice.waitForText(group, 'late');
    expect(await bob.chat.flushed(WAIT_MS)).toBe(0);
    await bob.chat.caughtUp(WAIT_MS);
    const own = (await bob.lines(group)).filter((line) => line.kind === 'message');
    expect(own).toHaveLength(1);
    expect(own[0]).toMatchObject({ id: sent.id, own: true, text: 'late' });
    // it is in the log once, under the id it had from the beginning
    const placed = server.log.flatMap(({ entry }) => (entry.kind === 'message' ? [entry.id] : []));
    expect(placed).toHaveLength(1);
    expect(placed[0]).toBe(sent.id);
    await alice.chat.send(group, 'heard');
    await bob.waitForText(group, 'heard');
    expect((await alice.lines(group)).filter((line) => line.kind === 'warning')).toEqual([]);
  });

  test('fault 7: own messages and commits that come back are known by their id, also when the answer was lost', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await pair(server);
    server.loseAnswer(await deviceOf(bob), 'postMessages');
    const sent = await bob.chat.send(group, 'once');
    expect(await bob.chat.flushed(WAIT_MS)).toBe(0);
    await alice.waitForText(group, 'once');
    await bob.chat.caughtUp(WAIT_MS);
    expect(await bob.texts(group)).toEqual(['once']);
    expect(await alice.texts(group)).toEqual(['once']);
    expect(bob.events.filter((event) => event.type === 'sent')).toEqual([{ type: 'sent', id: sent.id }]);
    server.loseAnswer(await deviceOf(bob), 'postCommit');
    expect(await bob.chat.rotate(group)).toEqual({ kind: 'done' });
    await bob.chat.caughtUp(WAIT_MS);
    const rotations = (await bob.lines(group)).filter((line) => line.kind === 'membership' && line.rotated);
    expect(rotations).toMatchObject([{ by: { name: 'bob' }, epoch: 2 }]);
    expect(await warningsOf(bob, group)).toEqual([]);
  });

  test('fault 9: used key packages are replaced, a used last resort too', async () => {
    const server = createFakeServer();
    const bob = await chatter(server, 'bob');
    const alice = await chatter(server, 'alice');
    const device = await deviceOf(bob);
    await bob.stop();
    for (let i = 0; i < 52; i += 1) {
      const opened = await alice.chat.openGroup(`tea${i}`);
      if (opened.kind !== 'created') throw new Error(opened.kind);
      expect(await alice.chat.invite(opened.group, ['bob'])).toEqual([{ name: 'bob', kind: 'done' }]);
    }
    const seen = server.connect(device);
    expect(await seen.stock()).toEqual({ available: 0, lastResort: true });
    const lastResorts: Uint8Array[] = [];
    server.intercept = (by, method, args) => {
      if (by !== device || method !== 'publishKeyPackages') return;
      for (const bytes of args[1] as Uint8Array[]) {
        const published = inspectMessage(bytes);
        if (published.kind === 'key-package' && published.lastResort) lastResorts.push(bytes);
      }
    };
    await bob.restart();
    await bob.chat.caughtUp(WAIT_MS);
    expect((await bob.chat.groups()).filter(({ state }) => state === 'member')).toHaveLength(52);
    await until(async () => (await seen.stock()).available >= 50);
    // two of the 52 invitations used the last resort
    await until(() => lastResorts.length > 0);
  });

  test('fault 11: a cut connection is said and mended; what was typed meanwhile leaves then, in order', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await pair(server);
    const mend = server.cut(await deviceOf(bob));
    server.dropStreams();
    await until(() =>
      bob.events.some((event: ChatEvent) => event.type === 'connection' && event.connection.state === 'offline'),
    );
    for (const text of ['a', 'b', 'c']) await bob.chat.send(group, text);
    expect(
      (await bob.chat.recent(group, 10)).slice(-3).map((line) => [line.cursor, line.kind === 'message' && line.text]),
    ).toEqual([
      [undefined, 'a'],
      [undefined, 'b'],
      [undefined, 'c'],
    ]);
    expect(await bob.chat.flushed(50)).toBe(3);
    await alice.chat.send(group, 'meanwhile');
    expect(await alice.chat.flushed(WAIT_MS)).toBe(0);
    mend();
    await alice.waitForText(group, 'c');
    expect(await alice.texts(group)).toEqual(['meanwhile', 'a', 'b', 'c']);
    await bob.chat.caughtUp(WAIT_MS);
    expect(await bob.texts(group)).toEqual(['meanwhile', 'a', 'b', 'c']);
    const states = bob.events.flatMap((event) => (event.type === 'connection' ? [event.connection.state] : []));
    expect(states.slice(states.indexOf('offline'))).toContain('online');
  });
});

describe('a server that does not tell the truth', () => {
  test('D5: a withheld entry parks its group with the reason; the others go on; a rejoin is the way out', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await pair(server);
    const other = await alice.chat.openGroup('coffee');
    if (other.kind !== 'created') throw new Error(other.kind);
    await alice.chat.invite(other.group, ['bob']);
    await bob.chat.caughtUp(WAIT_MS);
    let withheld = false;
    rewriting(server, await deviceOf(bob), (bytes) => {
      const entry = decodeEntry(bytes);
      if (withheld || entry.kind !== 'message' || entry.position !== 3) return bytes;
      withheld = true;
      return undefined;
    });
    await alice.chat.send(group, 'withheld');
    await alice.chat.flushed(WAIT_MS);
    await alice.chat.send(group, 'shown');
    await until(async () => (await statusIn(bob, group))?.state === 'parked');
    expect((await bob.lines(group)).at(-1)?.kind).toBe('warning');
    await alice.chat.send(other.group, 'coffee goes on');
    await bob.waitForText(other.group, 'coffee goes on');
    server.tamper = undefined;
    expect(await bob.chat.rejoin(group)).toEqual({ kind: 'done' });
    await alice.chat.send(group, 'with bob again');
    await bob.waitForText(group, 'with bob again');
    expect((await statusIn(bob, group))?.state).toBe('member');
  });

  test('D5: a changed entry breaks the chain that the heads state', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await pair(server);
    rewriting(server, await deviceOf(bob), (bytes) => {
      const entry = decodeEntry(bytes);
      return entry.kind === 'message' ? encodeEntry({ ...entry, time: entry.time + 1 }) : bytes;
    });
    await alice.chat.send(group, 'at another time');
    await until(async () => (await statusIn(bob, group))?.state === 'parked');
    expect((await statusIn(bob, group))?.parkedReason).toMatch(/history/);
  });

  test('D20: a message that the server took and never placed is missed when its sender’s next one comes', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await pair(server);
    server.swallowMessages(await deviceOf(alice));
    await alice.chat.send(group, 'swallowed');
    expect(await alice.chat.flushed(WAIT_MS)).toBe(0);
    await alice.chat.send(group, 'placed');
    await bob.waitForText(group, 'placed');
    expect((await bob.lines(group)).slice(-2)).toMatchObject([
      { kind: 'warning', text: '1 message(s) of alice before this one never came.' },
      { kind: 'message', text: 'placed' },
    ]);
  });

  test('a message that cannot be read costs one warning line, not its group', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await pair(server);
    const device = await deviceOf(alice);
    server.intercept = (by, method, args) => {
      if (by !== device || method !== 'postMessages') return;
      for (const { message } of args[1] as { message: Uint8Array }[]) message.set([1, 2, 3, 4], message.length - 4);
      server.intercept = undefined;
    };
    await alice.chat.send(group, 'garbled');
    await alice.chat.flushed(WAIT_MS);
    await alice.chat.send(group, 'readable');
    await bob.waitForText(group, 'readable');
    expect((await bob.lines(group)).filter((line) => line.kind === 'warning').map((line) => line.text)).toEqual([
      'A message could not be read (undecryptable).',
      '1 message(s) of alice before this one never came.',
    ]);
    expect((await statusIn(bob, group))?.state).toBe('member');
  });

  test('an entry of a kind this version does not know parks its group; news about the device are passed over', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await pair(server);
    rewriting(server, await deviceOf(bob), (bytes) => {
      const entry = decodeCbor(bytes) as Record<string, unknown>;
      return entry['kind'] === 'message' ? encodeCbor({ ...entry, kind: 'poll' }) : bytes;
    });
    await alice.chat.send(group, 'a poll');
    await until(async () => (await statusIn(bob, group))?.state === 'parked');
    expect((await statusIn(bob, group))?.parkedReason).toMatch(/"poll"/);
  });

  test('a log with other cursors is read again from its beginning, and nothing is shown twice', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await pair(server);
    for (let i = 0; i < 3; i += 1) await alice.chat.send(group, `before ${i}`);
    await bob.waitForText(group, 'before 2');
    server.newIncarnation();
    await alice.chat.send(group, 'after');
    await bob.waitForText(group, 'after');
    await bob.chat.caughtUp(WAIT_MS);
    expect(await bob.texts(group)).toEqual(['before 0', 'before 1', 'before 2', 'after']);
    expect((await statusIn(bob, group))?.state).toBe('member');
  });
});

describe('who the folder belongs to', () => {
  test('S3: a name that is taken by other keys is refused, and the folder stays free for another name', async () => {
    const server = createFakeServer();
    await chatter(server, 'alice');
    const rows = new Map<string, Uint8Array>();
    const inFolder = { store: () => createMemoryStore(rows) };
    await expect(chatter(server, 'Alice', inFolder)).rejects.toMatchObject({ code: 'name-taken' });
    const alan = await chatter(server, 'alan', inFolder);
    expect((await alan.chat.status()).me.name).toBe('alan');
  });
});
