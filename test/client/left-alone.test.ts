import { expect, test } from 'vitest';
import type { ChatClient, HistoryLine } from '../../src/client/chat-client.ts';
import { type GroupId, START_CURSOR } from '../../src/wire/ids.ts';
import { useChats } from '../support/chats.ts';
import { until } from '../support/until.ts';

const WAIT_MS = 240_000;
const { start, stop, link, created } = useChats();

const linesOf = (chat: ChatClient, group: GroupId): Promise<readonly HistoryLine[]> =>
  chat.history(START_CURSOR, { group, limit: 1_000 });
const isIn = async (chat: ChatClient, group: GroupId, state: string): Promise<void> => {
  await until(
    async () => (await chat.groups()).some((each) => each.group === group && each.state === state),
    () => `not ${state}`,
  );
};
const hears = async (chat: ChatClient, group: GroupId, text: string): Promise<void> => {
  await until(
    async () => (await linesOf(chat, group)).some((line) => line.kind === 'message' && line.text === text),
    () => `never heard ${text}`,
  );
};

/**
 * Mia's leave is taken while Leo, who could commit it, is away; then his device is revoked, by his phone, which is not in the group. She
 * is out by herself, and his phone comes in from outside. The names are this test's own, for the server is everybody's.
 */
async function leftAlone(suffix: string) {
  const [leosName, miasName, name] = [`leo-${suffix}`, `mia-${suffix}`, `tea-${suffix}`];
  const [leo, mia] = [await start(leosName), await start(miasName)];
  const group = await created(leo, name);
  await leo.invite(group, [miasName]);
  await mia.caughtUp(WAIT_MS);
  expect(await leo.setPolicy(group, { join: 'open' })).toEqual({ kind: 'done' });
  expect(await leo.promote(group, [miasName])).toMatchObject([{ kind: 'done' }]);
  await link(leo, `phone-${suffix}`);
  const phone = await start(leosName, `phone-${suffix}`);
  await isIn(phone, group, 'member');
  expect(await phone.leave(group)).toEqual({ kind: 'done' });
  await isIn(phone, group, 'removed');
  await mia.caughtUp(WAIT_MS);

  // the only one who could commit it is not there, and never will be again
  await stop(leo);
  expect(await mia.leave(group)).toEqual({ kind: 'done' });
  await expect(mia.send(group, 'too late')).rejects.toMatchObject({ message: 'you are leaving this group' });
  expect(await phone.revoke(`${leosName}'s`)).toEqual({ kind: 'done' });
  await isIn(mia, group, 'removed');
  const left = async (chat: ChatClient) => (await linesOf(chat, group)).filter(({ kind }) => kind === 'removed-me');
  expect(await left(mia)).toMatchObject([{ by: { name: miasName } }]);
  await stop(mia);
  const again = await start(miasName);
  await again.caughtUp(WAIT_MS);
  expect(await left(again)).toHaveLength(1);
  await expect(again.openGroup(name)).rejects.toMatchObject({
    message: `this device left #${name}, and counts as its member until somebody removes it; then it can be invited again`,
  });
  await expect(again.send(group, 'too late')).rejects.toMatchObject({ message: 'you are no longer a member' });

  // whoever comes in from outside finds it as a member still, and what is said there is not shown to it
  expect(await phone.joinGroup(name)).toEqual({ kind: 'joined', group });
  await phone.send(group, 'anybody here?');
  expect(await phone.flushed(WAIT_MS)).toBe(0);
  await again.caughtUp(WAIT_MS);
  expect((await linesOf(again, group)).at(-1)).toMatchObject({ kind: 'removed-me' });
  return { group, name, miasName, mia: again, phone };
}

async function talk(one: ChatClient, other: ChatClient, group: GroupId): Promise<void> {
  await one.send(group, 'welcome back');
  await hears(other, group, 'welcome back');
  await other.send(group, 'here I am');
  await hears(one, group, 'here I am');
}

test('a leave that was taken, and that nobody is left to commit, ends the group for its device, once; it can be invited again', async () => {
  const { group, miasName, mia, phone } = await leftAlone('invited');
  expect(await phone.remove(group, [miasName])).toEqual([{ name: miasName, kind: 'done' }]);
  expect(await phone.invite(group, [miasName])).toEqual([{ name: miasName, kind: 'done' }]);
  await isIn(mia, group, 'member');
  await talk(phone, mia, group);
});

test('who left an open group as the last one comes in again as everybody does, once somebody is there', async () => {
  const { group, name, mia, phone } = await leftAlone('open');
  expect(await mia.joinGroup(name)).toEqual({ kind: 'joined', group });
  await talk(phone, mia, group);
});
