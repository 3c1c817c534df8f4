import { expect, test } from 'vitest';
import type { ChatClient, HistoryLine } from '../../../src/client/chat-client.ts';
import { packHistory } from '../../../src/client/history/pack-history.ts';
import { unpackHistory } from '../../../src/client/history/unpack-history.ts';
import { type GroupId, START_CURSOR } from '../../../src/wire/ids.ts';
import { useChats } from '../../support/chats.ts';
import { until } from '../../support/until.ts';

const { folderOf, start, stop, link } = useChats();
const linkTo = async (chat: ChatClient, dir: string, userName: string): Promise<ChatClient> => {
  await link(chat, dir);
  return start(userName, dir);
};
type Message = HistoryLine & { readonly kind: 'message' };
const messages = async (chat: ChatClient, group: GroupId): Promise<Message[]> =>
  (await chat.history(START_CURSOR, { group, limit: 1_000 })).filter(
    (line): line is Message => line.kind === 'message',
  );
const texts = async (chat: ChatClient, group: GroupId): Promise<string[]> =>
  (await messages(chat, group)).map(({ text }) => text);
const has = (chat: ChatClient, group: GroupId, text: string): Promise<unknown> =>
  until(async () => (await texts(chat, group)).includes(text));

test('a second device gets what was written before it joined: replies, edits, files; nothing twice, and nothing that was taken back', async () => {
  const [cat, dan] = [await start('cat'), await start('dan')];
  const opened = await cat.openGroup('tea');
  if (opened.kind !== 'created') throw new Error(opened.kind);
  const { group } = opened;
  await cat.invite(group, ['dan']);
  await dan.caughtUp(240_000);
  const said = async (chat: ChatClient, text: string): Promise<Message> => {
    await chat.send(group, text);
    await has(dan, group, text);
    await has(cat, group, text);
    return (await messages(chat, group)).find((line) => line.text === text)!;
  };
  const first = await said(cat, 'the first thing');
  await said(cat, 'a secret');
  const late = await said(dan, 'to be changed late');
  await dan.send(group, 'an answer', { inReplyTo: first.messageId! });
  await cat.send(group, 'the first thing, corrected', { replaces: first.messageId! });
  const bytes = new TextEncoder().encode('what is in the file');
  await cat.sendFile(group, { name: 'plan.txt', mediaType: 'text/plain', bytes });
  await until(async () => (await messages(dan, group)).some(({ file }) => file !== undefined));
  await has(dan, group, 'the first thing, corrected');
  await has(dan, group, 'an answer');

  const phone = await linkTo(dan, 'dan-phone', 'dan');
  await until(async () => (await phone.groups())[0]?.state === 'member');
  await said(cat, 'after the join');
  await has(phone, group, 'after the join');
  const path = folderOf('packed');
  const { code } = await packHistory(dan, path);

  // between packing and unpacking
  const secret = (await messages(cat, group)).find(({ text }) => text === 'a secret')!;
  await cat.send(group, '', { replaces: secret.messageId!, deleted: true });
  await dan.send(group, 'changed late', { replaces: late.messageId! });
  await until(async () => (await messages(dan, group)).filter(({ deleted }) => deleted === true).length === 2);
  await until(async () => (await messages(phone, group)).some(({ deleted }) => deleted === true));
  for (const chat of [dan, phone]) await has(chat, group, 'changed late');
  expect(await texts(phone, group)).not.toContain('the first thing, corrected');

  const outcome = await unpackHistory(phone, path, code);
  expect(outcome).toMatchObject({ kind: 'done', unknown: [] });
  const look = (lines: readonly Message[]) =>
    lines.map(({ position, text, sender, own, edited, deleted, inReplyTo, file }) => ({
      ...{ position, text, sender: sender.device, own, edited, deleted, inReplyTo, file: file?.name },
    }));
  const expected = look(await messages(dan, group));
  expect(look(await messages(phone, group))).toEqual(expected);
  expect(await texts(phone, group)).not.toContain('a secret');
  expect(await unpackHistory(phone, path, code)).toMatchObject({ kind: 'done', added: 0 });
  expect(look(await messages(phone, group))).toEqual(expected);
  expect(await unpackHistory(dan, path, code)).toMatchObject({ kind: 'done', added: 0 });

  // what came is used like what was read: found, quoted, fetched, changed
  const found = await phone.search(group, 'corrected', 10);
  expect(found.lines.map((line) => line.kind === 'message' && line.text)).toContain('the first thing, corrected');
  const answer = (await messages(phone, group)).find(({ text }) => text === 'an answer');
  expect(answer?.quote).toMatchObject({ name: 'cat', text: 'the first thing, corrected' });
  const file = (await messages(phone, group)).find((line) => line.file !== undefined)!;
  expect(await phone.fetchFile(group, file.position!)).toMatchObject({ kind: 'done', bytes });
  await phone.send(group, 'changed by the phone', { replaces: late.messageId! });
  await until(
    async () =>
      (await messages(dan, group)).find(({ position }) => position === late.position)?.text === 'changed by the phone',
  );
  await until(
    async () =>
      (await messages(phone, group)).find(({ position }) => position === late.position)?.text ===
      'changed by the phone',
  );

  await stop(phone);
  const again = await start('dan', 'dan-phone');
  expect((await again.recent(group, 1_000)).length).toBeGreaterThan(expected.length);
  expect(await texts(again, group)).toContain('the first thing, corrected');

  // and to nobody else
  expect(await unpackHistory(cat, path, code)).toMatchObject({
    kind: 'refused',
    reason: expect.stringMatching(/another account/),
  });
  const elsewhere = await start('eve');
  expect(await unpackHistory(elsewhere, path, code)).toMatchObject({ kind: 'refused' });
});
