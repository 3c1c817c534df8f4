import { describe, expect, test } from 'vitest';
import type { HistoryLine } from '../../src/client/chat-client.ts';
import { newLineWrites } from '../../src/client/runner/new-lines.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { formatLine } from '../../src/client/terminal/format-line.ts';
import { createPalette } from '../../src/client/terminal/palette.ts';
import { parseInput } from '../../src/client/terminal/parse-input.ts';
import { runCommand } from '../../src/client/terminal/run-command.ts';
import { createUnsent } from '../../src/client/terminal/unsent.ts';
import type { AccountId, GroupId } from '../../src/wire/ids.ts';
import type { TestChatter } from '../support/chat-clients.ts';
import { deviceOf, statusIn, together, useChatters, WAIT_MS } from '../support/chatters.ts';
import { createFakeServer, type FakeServer } from '../support/fake-server.ts';
import { until } from '../support/until.ts';

const open = useChatters();

async function tea(server: FakeServer) {
  const [alice, bob] = [await open(server, 'alice'), await open(server, 'bob')];
  return { alice, bob, group: await together([alice, bob]) };
}

type Message = Extract<HistoryLine, { kind: 'message' }>;
const messages = async (who: TestChatter, group: GroupId): Promise<Message[]> =>
  (await who.chat.recent(group, 100)).filter((line): line is Message => line.kind === 'message');
const rows = async (who: TestChatter, group: GroupId): Promise<string[]> => {
  const style = { palette: createPalette(0), me: (await who.chat.status()).me.account };
  const lines = (await who.chat.recent(group, 100)).filter((line) => line.kind !== 'joined' && line.kind !== 'created');
  return lines.filter((line) => line.kind !== 'membership').flatMap((line) => formatLine(line, style));
};

/** Types a command as a person does; gives what was said back. */
async function type(who: TestChatter, group: GroupId, line: string): Promise<string[]> {
  const input = parseInput(line);
  if (input.kind !== 'command') return [input.kind === 'mistake' ? input.reason : input.kind];
  const said: string[] = [];
  await runCommand(input.name, input.args, {
    client: who.chat,
    current: await statusIn(who, group),
    say: (more) => said.push(...more),
    show: () => {},
    switchTo: async () => {},
    send: (text, how) => who.chat.send(group, text, how),
    quit: () => {},
    away: () => false,
  });
  return said;
}

describe('messages have ids that all their readers agree about', () => {
  test('so replies, edits and deletions name the same message everywhere, and the history has its latest form', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await tea(server);
    await alice.chat.send(group, 'shall we have tee?');
    await bob.waitForText(group, 'shall we have tee?');
    expect(await type(bob, group, '/reply  1  yes,  please')).toEqual([]);
    await alice.waitForText(group, 'yes,  please');
    const [asked, answered] = await messages(alice, group);
    expect(answered).toMatchObject({
      inReplyTo: asked!.messageId,
      quote: { name: 'alice', text: 'shall we have tee?' },
    });
    expect((await messages(bob, group)).map(({ messageId }) => messageId)).toEqual([
      asked!.messageId,
      answered!.messageId,
    ]);
    expect(await type(alice, group, '/edit shall we have tea?')).toEqual([]);
    await until(async () => (await messages(bob, group))[0]?.text === 'shall we have tea?');
    for (const who of [alice, bob]) {
      await until(async () => (await messages(who, group)).length === 3);
      expect(await rows(who, group)).toEqual([
        '#tea <alice> shall we have tea? [edited]',
        '#tea <bob> [re alice: shall we have tea?] yes,  please',
        '#tea <alice> [edited] shall we have tea?',
      ]);
    }
    expect(await type(bob, group, '/delete')).toEqual([]);
    await until(async () => (await messages(alice, group))[1]?.deleted === true);
    await alice.restart();
    expect((await rows(alice, group)).slice(1)).toEqual([
      '#tea <bob> [taken back]',
      '#tea <alice> [edited] shall we have tea?',
      '#tea <bob> [took back a message]',
    ]);
    // what was taken back is nowhere in the store
    const stored = [...alice.rows.values()].map((bytes) => Buffer.from(bytes).toString('utf8')).join('\n');
    expect(stored).not.toContain('yes,  please');
    expect(await type(bob, group, '/edit again')).toEqual(['you have sent nothing here that could be changed']);
  });

  test('what a message said before it was changed or taken back is nowhere in the store, nor in what told of the change', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await tea(server);
    await alice.chat.send(group, 'the first wording');
    await bob.waitForText(group, 'the first wording');
    for (const wording of ['the second wording', 'the third wording']) {
      await type(alice, group, `/edit ${wording}`);
      await until(async () => (await messages(bob, group))[0]?.text === wording);
    }
    const said = (who: TestChatter): readonly string[] => {
      const stored = [...who.rows.values()].map((bytes) => Buffer.from(bytes).toString('utf8')).join('\n');
      return ['the first wording', 'the second wording', 'the third wording'].filter((text) => stored.includes(text));
    };
    await until(async () => (await messages(alice, group)).length === 3);
    for (const who of [alice, bob]) await until(() => said(who).length === 1);
    for (const who of [alice, bob]) expect(said(who)).toEqual(['the third wording']);
    await type(alice, group, '/delete');
    for (const who of [alice, bob]) {
      await until(async () => (await messages(who, group))[0]?.deleted === true);
      await until(() => said(who).length === 0);
      expect(await rows(who, group)).toEqual([
        '#tea <alice> [taken back]',
        '#tea <alice> [edited a message]',
        '#tea <alice> [edited a message]',
        '#tea <alice> [took back a message]',
      ]);
    }
  });

  test('only the sender can change a message: for anybody else it stays, with one warning', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await tea(server);
    await alice.chat.send(group, 'mine');
    await bob.waitForText(group, 'mine');
    const [{ messageId }] = (await messages(bob, group)) as [Message];
    const theirs = { replaces: messageId!, deleted: true } as const;
    await expect(bob.chat.send(group, '', theirs)).rejects.toMatchObject({ code: 'refused' });
    // a program that does not ask before it does it
    const store = createMemoryStore(alice.rows);
    const [line] = (await messages(alice, group)) as [Message];
    const mallory = { ...line.sender, account: 'm'.repeat(32) as AccountId, name: 'mallory' };
    const forged: Message = { ...line, messageId: 'x', text: 'yours', sender: mallory, replaces: messageId! };
    const notice = { line: forged as HistoryLine };
    const { bytes } = server.groups.get(group)!;
    await store.commit(await newLineWrites(store, [{ ordinal: 9_999, group: bytes, notice }]));
    expect(notice.line).toMatchObject({
      kind: 'warning',
      text: 'mallory tried to change a message of alice: it stays as it was',
    });
    expect((await messages(alice, group))[0]).toMatchObject({ text: 'mine' });
  });

  test('changes of one page fall into place, and what is not here stays a line', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await tea(server);
    const join = server.cut(await deviceOf(bob));
    await alice.chat.send(group, 'one');
    await alice.waitForText(group, 'one');
    await type(alice, group, '/edit two');
    await until(async () => (await messages(alice, group))[0]?.edited === true);
    await type(alice, group, '/edit three');
    await type(alice, group, '/me drinks');
    await alice.waitForText(group, 'drinks');
    const unknown = Buffer.alloc(32, 1).toString('base64url');
    join();
    server.dropStreams();
    await bob.waitForText(group, 'drinks');
    expect(await rows(bob, group)).toEqual([
      '#tea <alice> three [edited]',
      '#tea <alice> [edited a message]',
      '#tea <alice> [edited] three',
      '#tea * alice drinks',
    ]);
    await bob.chat.send(group, 'to nobody', { inReplyTo: unknown });
    await alice.waitForText(group, 'to nobody');
    expect((await rows(alice, group)).at(-1)).toBe('#tea <bob> [reply] to nobody');
    await expect(bob.chat.send(group, 'x', { inReplyTo: 'short' })).rejects.toMatchObject({ code: 'refused' });
  });
});

describe('a topic', () => {
  test('is what the newest says, and is told again by whoever lets somebody in', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await tea(server);
    await type(alice, group, '/topic Assam or Darjeeling');
    await until(async () => (await statusIn(bob, group))?.topic === 'Assam or Darjeeling');
    await type(bob, group, '/topic Oolong');
    await until(async () => (await statusIn(alice, group))?.topic === 'Oolong');
    const carol = await open(server, 'carol');
    await alice.chat.invite(group, ['carol']);
    await until(async () => (await carol.chat.groups())[0]?.topic === 'Oolong');
    expect((await rows(carol, group)).at(-1)).toBe('#tea <alice> [set the topic: Oolong]');
    // those who knew it see nothing, and it survives a restart
    await bob.chat.caughtUp(WAIT_MS);
    expect((await bob.lines(group)).filter((line) => line.kind === 'topic')).toHaveLength(2);
    await bob.restart();
    expect((await statusIn(bob, group))?.topic).toBe('Oolong');
    await expect(bob.chat.send(group, 'x'.repeat(201), { as: 'topic' })).rejects.toMatchObject({ code: 'refused' });
  });
});

test('a topic that is not sent yet is shown as one, also after a restart', async () => {
  const server = createFakeServer();
  const { alice, bob, group } = await tea(server);
  const join = server.cut(await deviceOf(alice));
  await type(alice, group, '/topic Assam');
  await alice.chat.send(group, '', { as: 'topic' });
  await alice.restart();
  expect((await rows(alice, group)).slice(-2)).toEqual([
    '#tea <alice> [set the topic: Assam]',
    '#tea <alice> [removed the topic]',
  ]);
  const unsent = createUnsent();
  for (const line of await messages(alice, group)) unsent.restore(line);
  expect(unsent.inGroup(group).map(({ text }) => text)).toEqual(['[set the topic: Assam]', '[removed the topic]']);
  join();
  await until(async () => (await rows(bob, group)).at(-1) === '#tea <alice> [removed the topic]');
});

describe('receipts of people', () => {
  test('are sent by nobody until it is asked for; then many in one message, and shown to whoever does the same', async () => {
    const server = createFakeServer();
    const { alice, bob, group } = await tea(server);
    const placed = () => server.log.filter(({ entry }) => entry.kind === 'message').length;
    await alice.chat.send(group, 'before');
    await bob.waitForText(group, 'before');
    await bob.chat.markRead(group);
    expect((await alice.chat.status()).receipts).toBe(false);
    expect(await type(alice, group, '/receipts on')).toHaveLength(1);
    await type(bob, group, '/receipts on');
    for (let i = 0; i < 5; i += 1) await alice.chat.send(group, `text ${i}`);
    await bob.waitForText(group, 'text 4');
    await bob.chat.markRead(group);
    const marks = async () => (await alice.chat.members(group)).find(({ name }) => name === 'bob')?.marks;
    const { position } = (await messages(alice, group)).at(-1)!;
    await until(async () => (await marks())?.read === position);
    // six texts, and one report of five messages
    expect(placed()).toBe(7);
    expect((await messages(alice, group)).length).toBe(6);
    expect((await bob.lines(group)).every((line) => line.kind !== 'warning')).toBe(true);
    await alice.restart();
    expect(await marks()).toEqual({ delivered: position, read: position });
    expect((await statusIn(alice, group))?.unread).toBe(0);
    await type(alice, group, '/receipts off');
    expect(await marks()).toBeUndefined();
    await alice.restart();
    expect((await alice.chat.status()).receipts).toBe(false);
  });
});

test('commands that send something need a text, keep its spaces, and say what cannot be done', async () => {
  expect(parseInput('/me')).toMatchObject({ kind: 'mistake' });
  expect(parseInput('/me  looks   up ')).toEqual({ kind: 'command', name: 'me', args: ['looks   up'] });
  expect(parseInput('//me')).toEqual({ kind: 'message', text: '/me' });
  const { alice, group } = await tea(createFakeServer());
  expect(await type(alice, group, '/delete')).toEqual(['you have sent nothing here that could be changed']);
  expect(await type(alice, group, '/reply 7 hello')).toEqual(['there is no message 7 back here to reply to']);
});
