import { expect, test } from 'vitest';
import { useChatters, WAIT_MS } from '../support/chatters.ts';
import { createFakeServer } from '../support/fake-server.ts';

const chatter = useChatters();

test('the first to open a group creates it, an invitation waits for who is away, and both read the same', async () => {
  const server = createFakeServer();
  const alice = await chatter(server, 'alice');
  const bob = await chatter(server, 'bob');
  await bob.stop();

  const created = await alice.chat.openGroup('tea');
  if (created.kind !== 'created') throw new Error(created.kind);
  const { group } = created;
  expect(await alice.chat.invite(group, ['bob', 'nobody'])).toEqual([
    { name: 'bob', kind: 'done' },
    { name: 'nobody', kind: 'unknown-user' },
  ]);
  await alice.chat.send(group, 'hello bob');
  expect(await alice.chat.flushed(WAIT_MS)).toBe(0);

  await bob.restart();
  expect(await bob.chat.openGroup('tea')).toEqual({ kind: 'joined', group });
  await bob.waitForText(group, 'hello bob');
  await bob.chat.send(group, 'hello alice');
  await alice.waitForText(group, 'hello alice');
  await alice.chat.caughtUp(WAIT_MS);
  await bob.chat.caughtUp(WAIT_MS);
  expect(await alice.texts(group)).toEqual(['hello bob', 'hello alice']);
  expect(await bob.texts(group)).toEqual(['hello bob', 'hello alice']);
  expect((await bob.chat.members(group)).map(({ name, role }) => [name, role])).toEqual([
    ['alice', 'admin'],
    ['bob', 'member'],
  ]);
});
