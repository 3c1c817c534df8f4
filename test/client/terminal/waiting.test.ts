import { describe, expect, test } from 'vitest';
import type { PersonOutcome } from '../../../src/client/chat-client.ts';
import { COMMAND_NAMES, COMMANDS, helpRows } from '../../../src/client/terminal/command-table.ts';
import type { GroupId } from '../../../src/wire/ids.ts';
import { until } from '../../support/until.ts';
import { startChat, teaClient } from './chat-on-fake-terminal.ts';

const tea = 'tea'.padEnd(22, 'A') as GroupId;
const ENTER = '\r';
const UP = '\u001b[A';
const CTRL_C = '\u0003';

/** A client whose invitations are answered when the test says so. */
function slowToInvite() {
  const client = teaClient();
  const asked: string[] = [];
  const answers: ((outcomes: readonly PersonOutcome[]) => void)[] = [];
  client.invite = (_group, names) => {
    asked.push(...names);
    return new Promise((resolve) => answers.push(resolve));
  };
  return { client, asked, answer: (outcomes: readonly PersonOutcome[]) => answers.shift()?.(outcomes) };
}

describe('what was entered is on the screen until it is done', () => {
  test('an own text stands above the prompt with the key that enters it, whatever the client does', async () => {
    const client = teaClient();
    client.send = () => new Promise(() => {});
    const chat = await startChat({ client });
    await chat.sees('#tea alice>');
    chat.terminal.type(`hello${ENTER}`);
    // the key's own turn of the loop, and no other: nothing is asked of anybody before
    await new Promise((resolve) => setImmediate(resolve));
    expect(chat.terminal.screen().slice(-2)).toEqual(['#tea <alice> hello …', '#tea alice>']);
    await chat.quit();
  });

  test('an own text wider than the screen waits on one row, and nothing of that is left when it is sent', async () => {
    const client = teaClient();
    client.control.setAccepting(false);
    const chat = await startChat({ client, columns: 40 });
    await chat.sees('#tea alice>');
    const text = 'a long text, '.repeat(8).trim();
    chat.enter(text);
    await chat.sees(/^#tea <alice> a long text, .*…$/);
    client.control.setAccepting(true);
    await chat.sees('  long text,');
    await until(() => !chat.terminal.screen().some((row) => row.endsWith('…')));
    const talk = chat.talk().join(' ').replaceAll(/ +/g, ' ');
    expect(talk.slice(talk.indexOf('#tea'))).toBe(`#tea <alice> ${text}`);
    await chat.quit();
  });

  test('a slow command, and what waits behind it, stand above the prompt; its answer stands under its words', async () => {
    const { client, answer, asked } = slowToInvite();
    const chat = await startChat({ client });
    await chat.sees('#tea alice>');
    chat.enter('/invite carol');
    chat.enter('welcome');
    await chat.sees('> /invite carol …');
    await until(() => asked.includes('carol'));
    client.control.message(tea, 'bob', 'in between');
    await chat.sees('#tea <bob> in between');
    answer([{ kind: 'done', name: 'carol' }]);
    await chat.sees('carol is invited to #tea');
    await chat.sees('#tea <alice> welcome');
    await until(() => !chat.terminal.screen().some((row) => row.endsWith('…')));
    const talk = chat.talk();
    expect(talk.slice(0, talk.indexOf('carol is invited to #tea') + 1)).toEqual([
      '> /invite carol',
      '#tea <bob> in between',
      '> /invite carol',
      'carol is invited to #tea',
    ]);
    await chat.quit();
  });

  test('two commands that end the other way round each have their answer under their own words', async () => {
    const { client, answer, asked } = slowToInvite();
    const chat = await startChat({ client });
    await chat.sees('#tea alice>');
    chat.enter('/invite carol');
    chat.enter('/groups');
    await chat.sees('* #tea  2 members');
    expect(asked).toEqual(['carol']);
    answer([{ kind: 'refused', name: 'carol', reason: 'no answer' }]);
    await chat.sees('carol was not invited: no answer');
    expect(chat.talk()).toEqual([
      '> /invite carol',
      '> /groups',
      '* #tea  2 members',
      '> /invite carol',
      'carol was not invited: no answer',
    ]);
    await chat.quit();
  });

  test('while the server is away a slow command says whether it is kept; one that is refused at once only says that', async () => {
    const client = teaClient();
    client.control.setConnection({ state: 'offline', reason: 'no route', retryInMs: 1000 });
    client.demote = async () => [
      { kind: 'refused', name: 'bob', reason: 'only administrators may demote here (carol)' },
    ];
    client.rotate = () => new Promise(() => {});
    const chat = await startChat({ client });
    await chat.sees('#tea alice>');
    chat.enter('/demote bob');
    chat.enter('/rotate');
    await chat.sees('offline: /rotate is kept, and done when the server answers');
    await chat.sees('> /rotate …');
    expect(chat.talk().filter((row) => row.startsWith('offline: /'))).toEqual([
      'offline: /rotate is kept, and done when the server answers',
    ]);
    expect(chat.talk()).toContain('not done for bob: only administrators may demote here (carol)');
    await chat.quit();
  });

  test('while the server is tried again, and is as silent as before, a slow command still says so', async () => {
    const client = teaClient();
    client.rotate = () => new Promise(() => {});
    const chat = await startChat({ client });
    await chat.sees('#tea alice>');
    client.control.setConnection({ state: 'offline', reason: 'no route', retryInMs: 1000 });
    client.control.setConnection({ state: 'connecting' });
    chat.enter('/rotate');
    await chat.sees('offline: /rotate is kept, and done when the server answers');
    await chat.quit();
  });

  test('a group that took long to come does not take what is being typed with it', async () => {
    const client = teaClient();
    let make: () => void = () => {};
    client.openGroup = () =>
      new Promise((resolve) => {
        make = () => resolve({ kind: 'created', group: client.control.addGroup('jar', ['alice']) });
      });
    const chat = await startChat({ client });
    await chat.sees('#tea alice>');
    chat.enter('/create jar');
    chat.enter('/groups'); // it no longer waits for what is before it
    await chat.sees('* #tea  2 members');
    chat.terminal.type('meant for tea');
    await chat.sees('#tea alice> meant for tea');
    make();
    await chat.sees('you are in #jar now; /switch jar goes there');
    expect(chat.terminal.screen().at(-1)).toBe('#tea alice> meant for tea');
    await chat.quit();
  });

  test('an action and a reply wait above the prompt like any text', async () => {
    const client = teaClient();
    client.control.receive(tea, {
      ...{ kind: 'message', id: 'm1', messageId: 'A'.repeat(43), text: 'tea?', own: false },
      sender: (await client.status()).me,
    });
    client.control.setAccepting(false);
    const chat = await startChat({ client });
    await chat.sees('#tea alice>');
    chat.enter('/me nods');
    chat.enter('/reply yes');
    await chat.sees('#tea * alice nods …');
    await chat.sees('#tea <alice> [reply] yes …');
    expect(chat.talk().some((row) => row.startsWith('>'))).toBe(false);
    chat.enter('/delete');
    await chat.sees('your last message is not sent yet; when it is, /delete works on it');
    await chat.quit();
  });
});

describe('nothing that was typed is lost', () => {
  test('a text that cannot be sent is in the line again, unless another one is', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    chat.client.control.setState(tea, 'removed');
    await chat.sees('you are not in #tea any more');
    chat.enter('hello?');
    await chat.sees('not sent to #tea: you are no longer a member');
    await chat.sees('#tea alice> hello?');
    chat.terminal.type(CTRL_C);
    await chat.sees('#tea alice>');
    chat.terminal.type(`again${ENTER}more`);
    await until(() => chat.talk().filter((row) => row.startsWith('not sent')).length === 2);
    await chat.sees('#tea alice> more');
    chat.terminal.type(UP);
    await chat.sees('#tea alice> again');
    chat.terminal.type(UP);
    await chat.sees('#tea alice> hello?');
    expect(chat.client.control.calls).toEqual([]);
    await chat.quit();
  });

  test('Ctrl-C clears the line first, the arrow key brings it back, and Ctrl-C on an empty line leaves', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    chat.terminal.type('half a thought');
    await chat.sees('#tea alice> half a thought');
    chat.terminal.type(CTRL_C);
    await chat.sees('#tea alice>');
    chat.terminal.type(UP);
    await chat.sees('#tea alice> half a thought');
    chat.terminal.type(CTRL_C);
    await chat.sees('#tea alice>');
    chat.terminal.type(CTRL_C);
    await chat.ended;
    expect(chat.terminal.screen().at(-1)).toBe('Goodbye!');
    expect(chat.client.control.calls).toEqual([]);
  });
});

describe('/help', () => {
  test('no row is wider than a terminal of 80 columns, and every command has one', () => {
    const rows = helpRows();
    for (const row of rows) expect(row.length).toBeLessThan(80);
    expect(rows).toHaveLength(COMMAND_NAMES.length + 1);
  });

  test('names one command, with or without its slash', () => {
    expect(helpRows('save')).toEqual(helpRows('/SAVE'));
    expect(helpRows('save')[0]).toContain(COMMANDS.save.usage);
    expect(helpRows('nothing')).toEqual(['there is no command nothing; /help shows them all']);
  });
});
