import { afterEach, expect, test } from 'vitest';
import { openChatter, type TestChatter } from '../support/chat-clients.ts';
import { createFakeServer } from '../support/fake-server.ts';

const open: TestChatter[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((chatter) => chatter.stop()));
});
const chatter = async (...args: Parameters<typeof openChatter>): Promise<TestChatter> => {
  const made = await openChatter(...args);
  open.push(made);
  return made;
};

test('the first to open a group creates it, an invitation waits for who is away, and both read the same', async () => {
  const server = createFakeServer();
  const alice = await chatter(server, 'alice');
  const bob = await chatter(server, 'bob');
  await bob.stop();
  open.splice(open.indexOf(bob), 1);

  const created = await alice.chat.openGroup('tea');
  expect(created.kind).toBe('created');
  if (created.kind !== 'created') return;
  const { group } = created;
  expect(await alice.chat.invite(group, ['bob', 'nobody'])).toEqual([
    { name: 'bob', kind: 'done' },
    { name: 'nobody', kind: 'unknown-user' },
  ]);
  await alice.chat.send(group, 'hello bob');
  expect(await alice.chat.flushed(240_000)).toBe(0);

  await bob.restart();
  open.push(bob);
  expect(await bob.chat.openGroup('tea')).toEqual({ kind: 'joined', group });
  await bob.waitForText(group, 'hello bob');
  await bob.chat.send(group, 'hello alice');
  await alice.waitForText(group, 'hello alice');
  await alice.chat.caughtUp(240_000);
  await bob.chat.caughtUp(240_000);
  expect(await alice.texts(group)).toEqual(['hello bob', 'hello alice']);
  expect(await bob.texts(group)).toEqual(['hello bob', 'hello alice']);
  expect((await bob.chat.members(group)).map(({ name, role }) => [name, role])).toEqual([
    ['alice', 'admin'],
    ['bob', 'member'],
  ]);
});
