import { expect, test } from 'vitest';
import { createNotifier, mentions } from '../../../src/client/terminal/mention.ts';
import type { GroupId } from '../../../src/wire/ids.ts';
import { FAKE_NOW, fakePerson } from '../../support/fake-chat-client.ts';
import { until } from '../../support/until.ts';
import { startChat, teaClient } from './chat-on-fake-terminal.ts';

const tea = 'tea'.padEnd(22, 'A') as GroupId;

test('a name is called when it stands as a word of its own, whatever its case', () => {
  for (const text of ['alice?', 'hi @Alice', 'ALICE: look', 'ask (alice)', 'malice and alice']) {
    expect(mentions(text, 'alice'), text).toBe(true);
  }
  for (const text of ['malice', 'alice-2', 'alice2', 'alicé', '']) expect(mentions(text, 'alice'), text).toBe(false);
});

test('one call for many mentions, none for old messages, own ones or muted groups, and none that does harm', () => {
  let now = FAKE_NOW;
  const call = createNotifier('osc9', () => now);
  const line = (text: string, time = now, own = false) =>
    ({ kind: 'message', id: 'm', group: tea, groupName: 'tea', time, text, own, sender: fakePerson('bob') }) as const;
  expect(call(line('alice', now - 10 * 60_000), 'alice', false)).toBeUndefined();
  expect(call(line('alice', now, true), 'alice', false)).toBeUndefined();
  expect(call(line('alice'), 'alice', true)).toBeUndefined();
  expect(call(line('alice \u0007\u001b]0;evil\u0007'), 'alice', false)).toBe(
    '\u001b]9;#tea bob: alice ␇␛]0;evil␇\u0007',
  );
  expect(call(line('alice'), 'alice', false)).toBeUndefined();
  now += 60_000;
  expect(call(line('alice'), 'alice', false)).toBeDefined();
  expect(createNotifier('off', () => now)(line('alice'), 'alice', false)).toBeUndefined();
});

test('the terminal rings for a mention when asked to, in another group as well', async () => {
  const client = teaClient();
  const salt = client.control.addGroup('salt', ['alice', 'bob']);
  const chat = await startChat({ client, notify: 'bell' });
  await chat.sees('#tea alice>');
  client.control.message(salt, 'bob', 'alice, are you there?', FAKE_NOW);
  await until(() => chat.terminal.written.includes('\u0007'));
  await chat.quit();
});
