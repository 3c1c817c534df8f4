import { expect, test } from 'vitest';
import type { ChatClient, HistoryLine } from '../../src/client/chat-client.ts';
import { type GroupId, START_CURSOR } from '../../src/wire/ids.ts';
import { useChats } from '../support/chats.ts';
import { until } from '../support/until.ts';

const WAIT_MS = 240_000;
const { start, stop, created } = useChats();

const linesOf = (chat: ChatClient, group: GroupId): Promise<readonly HistoryLine[]> =>
  chat.history(START_CURSOR, { group, limit: 1_000 });
const isOut = async (chat: ChatClient, group: GroupId): Promise<void> => {
  await until(
    async () => (await chat.groups()).some((each) => each.group === group && each.state === 'removed'),
    () => 'not out',
  );
};

test.each(['public', 'private'] as const)(
  'administrators who leave at one moment are all out, and who stays administers the group (%s)',
  async (handshakes) => {
    const [anns, bens, cems] = ['ann', 'ben', 'cem'].map((name) => `${name}-${handshakes}`) as [string, string, string];
    const [ann, ben, cem] = [await start(anns), await start(bens), await start(cems)];
    const opened = await ann.openGroup(`tea-${handshakes}`, handshakes === 'private' ? { handshakes } : {});
    if (opened.kind !== 'created') throw new Error(opened.kind);
    const { group } = opened;
    await ann.invite(group, [bens, cems]);
    expect(await ann.promote(group, [bens])).toMatchObject([{ kind: 'done' }]);
    await Promise.all([ben, cem].map((chat) => chat.caughtUp(WAIT_MS)));
    // whoever could commit the leaves is away until both have been taken
    await stop(cem);
    await Promise.all([ann, ben].map((chat) => chat.leave(group)));
    const again = await start(cems);
    for (const chat of [ann, ben]) await isOut(chat, group);
    await until(
      async () => (await again.groups()).some((each) => each.group === group && each.members === 1),
      () => 'not alone',
    );
    expect(await again.setPolicy(group, { join: 'open' })).toEqual({ kind: 'done' });
    expect((await linesOf(again, group)).filter(({ kind }) => kind === 'warning')).toEqual([]);
  },
);

test('two who are alone in a group and leave at one moment are both out, also when they are killed meanwhile', async () => {
  const [ida, jon] = [await start('ida'), await start('jon')];
  const group = await created(ida, 'duo');
  await ida.invite(group, ['jon']);
  expect(await ida.promote(group, ['jon'])).toMatchObject([{ kind: 'done' }]);
  await jon.caughtUp(WAIT_MS);
  await Promise.all([ida.leave(group), jon.leave(group)]);
  await Promise.all([stop(ida), stop(jon)]);
  for (const name of ['ida', 'jon']) {
    const chat = await start(name);
    await isOut(chat, group);
    const told = (await linesOf(chat, group)).filter(({ kind }) => kind === 'removed-me' || kind === 'warning');
    expect(told).toMatchObject([{ kind: 'removed-me', by: { name } }]);
  }
});
