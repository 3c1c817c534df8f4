import { expect, test } from 'vitest';
import type { ChatClient } from '../../src/client/chat-client.ts';
import { type GroupId, START_CURSOR } from '../../src/wire/ids.ts';
import { useChats } from '../support/chats.ts';
import { until } from '../support/until.ts';

const { start, stop, link, created } = useChats();
const warnings = async (chat: ChatClient, group: GroupId): Promise<string[]> =>
  (await chat.history(START_CURSOR, { group, limit: 1000 })).flatMap((line) =>
    line.kind === 'warning' ? [line.text] : [],
  );

test('S6: both sides see one number; a new key is shouted in every group and ends the mark, also across a restart', async () => {
  const [ann, ben] = [await start('ann'), await start('ben')];
  const group = await created(ann, 'numbers');
  await ann.invite(group, ['ben']);
  await ben.caughtUp(240_000);
  expect(await ann.markVerified('ben')).toMatchObject({ kind: 'refused' }); // nobody has looked at the number yet
  const shown = await ann.safetyNumber('ben');
  expect(shown).toMatchObject({ name: 'ben', verified: 'no', me: false });
  expect((await ben.safetyNumber('ann'))?.number).toBe(shown?.number);
  expect(await ann.safetyNumber('nobody')).toBeUndefined();
  expect(await ann.markVerified('ben')).toEqual({ kind: 'done' });
  await stop(ann);

  const again = await start('ann');
  const stateOf = async () => (await again.members(group)).find(({ name }) => name === 'ben')?.verified;
  expect(await stateOf()).toBe('yes');
  await link(ben, 'ben-phone');
  await until(async () => (await warnings(again, group)).some((text) => text.startsWith('ATTENTION: ben has keys')));
  expect(await stateOf()).toBe('changed');
  const now = await again.safetyNumber('ben');
  expect(now?.verified).toBe('changed');
  expect(now?.number).not.toBe(shown?.number);
  expect((await ben.safetyNumber('ann'))?.number).toBe(now?.number);
  expect(await again.markVerified('ben')).toEqual({ kind: 'done' });
  expect(await stateOf()).toBe('yes');
  expect((await warnings(again, group)).filter((text) => text.startsWith('ATTENTION'))).toHaveLength(1);
});

test('an open group is joined without an invitation, a closed one names whom to ask, and joining makes no group', async () => {
  const [cid, dan] = [await start('cid'), await start('dan')];
  const group = await created(cid, 'harbour');
  expect(await dan.joinGroup('harbour')).toEqual({ kind: 'not-invited', administrators: ['cid'] });
  expect(await dan.joinGroup('nowhere')).toEqual({ kind: 'no-such-group' });
  expect(await cid.setPolicy(group, { join: 'open' })).toEqual({ kind: 'done' });
  expect(await dan.joinGroup('harbour')).toEqual({ kind: 'joined', group });
  await dan.send(group, 'ahoy');
  expect(await dan.flushed(240_000)).toBe(0);
  await until(async () => (await cid.members(group)).length === 2);
  await cid.caughtUp(240_000);
  expect((await cid.search(group, 'AHOY', 10)).lines).toMatchObject([{ kind: 'message', text: 'ahoy' }]);
  const { account } = (await dan.status()).me;
  expect((await cid.lastHeard(group)).map((each) => each.account)).toContain(account);
  expect(await dan.leave(group)).toEqual({ kind: 'done' });
  await until(async () => (await dan.groups()).find((each) => each.group === group)?.state === 'removed');
  expect(await dan.joinGroup('harbour')).toEqual({ kind: 'joined', group });
  expect((await dan.status()).keyPackages).toBeGreaterThan(1);
});

test('a muted group stays muted across a restart', async () => {
  const eve = await start('eve');
  const group = await created(eve, 'quiet');
  await eve.setMuted(group, true);
  await stop(eve);
  const again = await start('eve');
  expect(await again.groups()).toMatchObject([{ name: 'quiet', muted: true }]);
  await again.setMuted(group, false);
  expect((await again.groups())[0]?.muted).toBeUndefined();
});
