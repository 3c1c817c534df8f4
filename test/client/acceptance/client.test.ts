import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { openLmdbStore } from '../../../src/client/store/lmdb-store.ts';
import { createMemoryStore } from '../../../src/client/store/memory-store.ts';
import { createSealedStore } from '../../../src/client/store/sealed-store.ts';
import { type ChatterOptions, openChatter, type TestChatter } from '../../support/chat-clients.ts';
import { createFakeServer } from '../../support/fake-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'acceptance-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const WAIT_MS = 240_000;
let number = 0;

/** Each call: a place of its own, where one store after the other can be opened. */
type Place = () => NonNullable<ChatterOptions['store']>;
const inFile: Place = () => {
  number += 1;
  const path = join(folder, String(number));
  return () => openLmdbStore(path);
};
const sealed = (place: Place) => (): ReturnType<Place> => {
  const open = place();
  const dataKey = new Uint8Array(randomBytes(32));
  return async (rows) => createSealedStore(await open(rows), dataKey);
};
const inMemory: Place = () => createMemoryStore;
const PLACES: readonly (readonly [string, Place])[] = [
  ['memory', inMemory],
  ['LMDB', inFile],
  ['LMDB, encrypted', sealed(inFile)],
];

describe.each(PLACES)('a client over a store in %s', (_kind, place) => {
  const open: TestChatter[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((chatter) => chatter.stop()));
  });
  const tea = async () => {
    const server = createFakeServer();
    const [alice, bob] = [
      await openChatter(server, 'alice', { store: place() }),
      await openChatter(server, 'bob', { store: place() }),
    ];
    open.push(alice, bob);
    const created = await alice.chat.openGroup('tea');
    if (created.kind !== 'created') throw new Error(created.kind);
    await alice.chat.invite(created.group, ['bob']);
    expect(await bob.chat.openGroup('tea')).toEqual({ kind: 'joined', group: created.group });
    return { alice, bob, group: created.group };
  };

  test('D8: started anew it is who it was, in the same groups, with its history, and reads and writes on', async () => {
    const { alice, bob, group } = await tea();
    await alice.chat.send(group, 'one');
    await bob.waitForText(group, 'one');
    const before = await bob.chat.status();
    await bob.restart();
    expect((await bob.chat.status()).me).toEqual(before.me);
    expect(await bob.texts(group)).toEqual(['one']);
    await bob.chat.send(group, 'two');
    await alice.waitForText(group, 'two');
    await alice.restart();
    await alice.chat.send(group, 'three');
    await bob.waitForText(group, 'three');
    expect(await bob.texts(group)).toEqual(['one', 'two', 'three']);
    expect(await alice.texts(group)).toEqual(['one', 'two', 'three']);
  });

  test('new keys of a group, and the removal from it, are the same after a start as before', async () => {
    const { alice, bob, group } = await tea();
    await bob.chat.rotate(group);
    await alice.chat.caughtUp(WAIT_MS);
    await Promise.all([alice.restart(), bob.restart()]);
    await alice.chat.send(group, 'after the rotation');
    await bob.waitForText(group, 'after the rotation');
    expect(await alice.chat.remove(group, ['bob'])).toEqual([{ name: 'bob', kind: 'done' }]);
    await bob.chat.caughtUp(WAIT_MS);
    await bob.restart();
    expect(await bob.chat.groups()).toMatchObject([{ name: 'tea', state: 'removed' }]);
    expect(await bob.texts(group)).toEqual(['after the rotation']);
  });
});
