import { expect, test } from 'vitest';
import { fromBase64Url } from '../../src/wire/bytes.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { overHttp, type TestChatter } from '../support/chat-clients.ts';
import { statusIn, useChatters, WAIT_MS, warningsOf } from '../support/chatters.ts';
import { newId, okValue } from '../support/signed-client.ts';
import { pathOf, TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';
import { useTestServer } from '../support/use-server.ts';

const server = useTestServer();
const open = useChatters();
const real = overHttp(() => server().url());
const chatter = (name: string): Promise<TestChatter> => open(real, name);
const founded = async (who: TestChatter, name: string): Promise<GroupId> => {
  const opened = await who.chat.openGroup(name, { handshakes: 'private' });
  if (opened.kind !== 'created') throw new Error(opened.kind);
  return opened.group;
};
const agree = async (group: GroupId, ...people: readonly TestChatter[]) => {
  const authenticators = new Set<string>();
  for (const who of people) {
    await who.chat.caughtUp(WAIT_MS);
    authenticators.add(await who.epochAuthenticator(group));
  }
  expect(authenticators.size).toBe(1);
};

test('people talk in an opaque group as in any other: invited while away, rotating, leaving, rejoining', async () => {
  const [ann, ben, cem] = [await chatter('ann'), await chatter('ben'), await chatter('cem')];
  await ben.stop();
  const group = await founded(ann, 'secret');
  expect((await ann.chat.invite(group, ['ben', 'cem'])).map(({ kind }) => kind)).toEqual(['done', 'done']);
  await ann.chat.send(group, 'hello');
  expect(await ann.chat.rotate(group)).toEqual({ kind: 'done' });
  await cem.chat.caughtUp(WAIT_MS);
  await cem.waitForText(group, 'hello');
  await cem.chat.send(group, 'hi');
  await ben.restart();
  await ben.chat.caughtUp(WAIT_MS);
  for (const text of ['hello', 'hi']) await ben.waitForText(group, text);
  expect(await ben.lines(group)).toContainEqual(expect.objectContaining({ kind: 'joined', handshakes: 'private' }));
  expect(await statusIn(ben, group)).toMatchObject({ handshakes: 'private', members: 3 });
  expect(await ann.lines(group)).toContainEqual(expect.objectContaining({ kind: 'created', handshakes: 'private' }));

  // a commit race: each of these takes effect, one after the other
  const raced = await Promise.all([ann, ben, cem].map(({ chat }) => chat.rotate(group)));
  expect(raced).toEqual([{ kind: 'done' }, { kind: 'done' }, { kind: 'done' }]);
  await agree(group, ann, ben, cem);

  expect(await cem.chat.rejoin(group)).toEqual({ kind: 'done' });
  await cem.chat.send(group, 'here again');
  for (const who of [ann, ben]) await who.waitForText(group, 'here again');

  expect(await ben.chat.leave(group)).toEqual({ kind: 'done' });
  await until(async () => (await statusIn(ben, group))?.state === 'removed');
  await ann.chat.send(group, 'two of us');
  await cem.waitForText(group, 'two of us');
  await agree(group, ann, cem);
  expect(await ann.chat.remove(group, ['cem'])).toEqual([{ name: 'cem', kind: 'done' }]);
  await until(async () => (await statusIn(cem, group))?.state === 'removed');
  for (const who of [ann, ben, cem]) expect(await warningsOf(who, group)).toEqual([]);
});

test('the last administrator names another before leaving or stepping back; policy says who may invite', async () => {
  const [dan, eva, fil] = [await chatter('dan'), await chatter('eva'), await chatter('fil')];
  const group = await founded(dan, 'roles');
  await dan.chat.invite(group, ['eva']);
  await eva.chat.caughtUp(WAIT_MS);
  const last = { kind: 'refused', reason: expect.stringContaining('/promote NAME') };
  expect(await dan.chat.leave(group)).toEqual(last);
  expect(await dan.chat.demote(group, ['dan'])).toEqual([{ name: 'dan', ...last }]);
  expect(await eva.chat.invite(group, ['fil'])).toMatchObject([{ kind: 'refused' }]);
  expect(await eva.chat.promote(group, ['eva'])).toMatchObject([{ kind: 'refused' }]);

  expect(await dan.chat.setPolicy(group, { invite: 'members' })).toEqual({ kind: 'done' });
  await eva.chat.caughtUp(WAIT_MS);
  expect(await eva.chat.invite(group, ['fil'])).toEqual([{ name: 'fil', kind: 'done' }]);
  expect(await eva.lines(group)).toContainEqual(
    expect.objectContaining({ kind: 'membership', invite: 'members', rotated: false }),
  );
  await dan.chat.caughtUp(WAIT_MS);
  expect(await dan.chat.promote(group, ['eva', 'dan'])).toEqual([
    { name: 'eva', kind: 'done' },
    { name: 'dan', kind: 'already' },
  ]);
  expect(await dan.chat.demote(group, ['dan'])).toEqual([{ name: 'dan', kind: 'done' }]);
  await eva.chat.caughtUp(WAIT_MS);
  expect(await eva.chat.members(group)).toMatchObject([
    { name: 'dan', role: 'member' },
    { name: 'eva', role: 'admin' },
    { name: 'fil', role: 'member' },
  ]);
  expect(await dan.chat.leave(group)).toEqual({ kind: 'done' });
  await until(async () => (await statusIn(dan, group))?.state === 'removed');
  await fil.chat.caughtUp(WAIT_MS);
  await agree(group, eva, fil);
});

test('a member that oversteps its role, or tells the server another roster than it made, is told of to the others', async () => {
  const [hal, ivy] = [await chatter('hal'), await chatter('ivy')];
  const eve = await TestDevice.register(() => server().url(), 'eve');
  const group = await founded(hal, 'watched');
  expect((await hal.chat.invite(group, ['eve', 'ivy'])).map(({ kind }) => kind)).toEqual(['done', 'done']);
  await ivy.chat.caughtUp(WAIT_MS);
  await eve.catchUp();
  const bytes = fromBase64Url(group)!;
  const { account, device } = (await ivy.chat.status()).me;
  const leaf = eve.leafOf(bytes, { identity: `mimi://localhost/d/${account}/${device}`, name: 'ivy' } as TestDevice);
  const made = await eve.prepareCommit(bytes, { remove: [leaf], handshakes: 'private' });
  const { commit, groupInfo } = made;
  const body = { commit, groupInfo, roster: { added: [], removed: [] } };
  okValue(await eve.http.request('POST', `${pathOf(bytes)}/commits`, { body, idempotencyKey: newId() }));
  await until(async () => (await warningsOf(hal, group)).length > 0);
  expect(await warningsOf(hal, group)).toEqual([
    'eve did what its role does not allow: removed ivy; ' +
      'eve told the server otherwise than it did: removed ivy without a word.',
  ]);
  // the commit counts, and an administrator puts it right
  await until(async () => (await statusIn(ivy, group))?.state === 'removed');
  expect(await hal.chat.remove(group, ['eve'])).toEqual([{ name: 'eve', kind: 'done' }]);
  expect(await hal.chat.members(group)).toMatchObject([{ name: 'hal' }]);
});
