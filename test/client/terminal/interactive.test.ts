import { describe, expect, test } from 'vitest';
import type { GroupId } from '../../../src/wire/ids.ts';
import { createFakeChatClient, FAKE_NOW, fakePerson } from '../../support/fake-chat-client.ts';
import { until } from '../../support/until.ts';
import { startChat, teaClient } from './chat-on-fake-terminal.ts';

const tea = 'tea'.padEnd(22, 'A') as GroupId;

describe('start and end', () => {
  test('the start says where one is, then the commands, then shows the prompt', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    const screen = chat.terminal.screen();
    expect(screen[0]).toBe('Connected to group: tea');
    expect(screen[1]).toMatch(/^ {2}\/invite \/remove /);
    expect(screen.at(-1)).toBe('#tea alice>');
    expect(chat.terminal.raw).toBe(true);
    expect(chat.terminal.bracketedPaste).toBe(true);
    await chat.quit();
  });

  test.each(['/quit', '/exit'])('%s prints Goodbye! and gives the terminal back', async (command) => {
    const chat = await startChat();
    chat.enter(command);
    await chat.ended;
    expect(chat.terminal.screen().at(-1)).toBe('Goodbye!');
    expect(chat.terminal.raw).toBe(false);
    expect(chat.terminal.bracketedPaste).toBe(false);
  });

  test.each([
    ['Ctrl-C', '\u0003'],
    ['Ctrl-D on an empty line', '\u0004'],
  ])('%s ends like /quit', async (_name, key) => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    chat.terminal.type(key);
    await chat.ended;
    expect(chat.terminal.screen().at(-1)).toBe('Goodbye!');
  });

  test('the end of input ends like /quit', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    chat.terminal.input.end();
    await chat.ended;
    expect(chat.terminal.screen().at(-1)).toBe('Goodbye!');
  });

  test('a second Ctrl-C while it closes forces the end', async () => {
    const client = teaClient();
    let release: (left: number) => void = () => {};
    client.flushed = () => new Promise((resolve) => (release = resolve));
    client.control.setAccepting(false);
    const chat = await startChat({ client });
    chat.enter('wait for me');
    await chat.sees('#tea <alice> wait for me …');
    chat.terminal.type('\u0003');
    await until(() => !chat.terminal.screen().includes('#tea alice>'));
    chat.terminal.type('\u0003');
    await until(() => chat.forced() === 1);
    release(1);
    await chat.ended;
    expect(chat.terminal.screen().slice(-2)).toEqual([
      '1 message is not sent yet; it is kept and goes out at the next start',
      'Goodbye!',
    ]);
  });

  test('of a long text that was read before only the beginning is shown again; /history has it whole', async () => {
    const client = teaClient();
    client.control.message(tea, 'bob', Array.from({ length: 30 }, (_, index) => `row ${index}`).join('\n'));
    await client.markRead(tea);
    const chat = await startChat({ client, rows: 60 });
    await chat.sees('  … 25 more rows');
    const rows = ['row 1', 'row 2', 'row 3', 'row 4'].map((row) => `  ${row}`);
    expect(chat.talk()).toEqual(['#tea <bob> row 0', ...rows, '  … 25 more rows']);
    chat.enter('/history');
    await chat.sees('  row 29');
    await chat.quit();
  });

  test('history from a cursor on is shown, then what arrives, each line once', async () => {
    const client = teaClient();
    const [first] = ['one', 'two', 'three'].map((text) => client.control.message(tea, 'bob', text));
    const chat = await startChat({ client, since: first!.cursor! });
    await chat.sees('#tea <bob> three');
    client.control.message(tea, 'bob', 'four');
    await chat.sees('#tea <bob> four');
    expect(chat.talk()).toEqual(['#tea <bob> two', '#tea <bob> three', '#tea <bob> four']);
    await chat.quit();
  });

  test('a cursor that the store does not know ends the chat with its failure', async () => {
    const client = teaClient();
    const line = createFakeChatClient({ me: 'x' });
    const group = line.control.addGroup('other', ['x']);
    const chat = await startChat({ client, since: line.control.message(group, 'y', 'z').cursor! });
    await expect(chat.ended).rejects.toMatchObject({ code: 'unknown-cursor' });
    expect(chat.terminal.raw).toBe(false);
  });

  test('lines unread since the last time stand under a mark', async () => {
    const client = teaClient();
    client.control.message(tea, 'bob', 'old');
    await client.markRead(tea);
    client.control.message(tea, 'bob', 'new');
    const chat = await startChat({ client });
    await chat.sees('#tea <bob> new');
    const screen = chat.terminal.screen();
    expect(screen.indexOf('── unread ──')).toBe(screen.indexOf('#tea <bob> old') + 1);
    await chat.quit();
  });
});

describe('fault 12: typed text survives arriving messages', () => {
  test('fault 12: text and cursor stay as they are while messages arrive, between any two keys', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    for (const [index, key] of [...'hello, wörld'].entries()) {
      chat.terminal.type(key);
      chat.client.control.message(tea, 'bob', `message ${index}`);
    }
    await chat.sees('#tea alice> hello, wörld');
    await chat.sees('#tea <bob> message 11');
    chat.terminal.type('\u001b[D\u001b[D');
    chat.client.control.message(tea, 'bob', 'and one more');
    await chat.sees('#tea <bob> and one more');
    chat.terminal.type('X\r');
    await chat.sees('#tea <alice> hello, wörXld');
    expect(chat.talk()).toEqual([
      ...Array.from({ length: 12 }, (_, index) => `#tea <bob> message ${index}`),
      '#tea <bob> and one more',
      '#tea <alice> hello, wörXld',
    ]);
    await chat.quit();
  });

  test('fault 12: a line longer than the screen is drawn anew in its place', async () => {
    const chat = await startChat({ columns: 30 });
    const long = 'a-long-line-that-needs-three-rows-and-has-no-space-to-lose';
    chat.terminal.type(long);
    for (let i = 0; i < 5; i += 1) chat.client.control.message(tea, 'bob', `ping ${i}`);
    await chat.sees('#tea <bob> ping 4');
    await until(() => chat.terminal.screen().slice(-3).join('') === `#tea alice> ${long}`);
    expect(chat.terminal.screen().filter((row) => row.startsWith('#tea alice>'))).toHaveLength(1);
    await chat.quit();
  });
});

describe('sending', () => {
  test('an own message is shown once, when it is accepted', async () => {
    const chat = await startChat();
    chat.enter('hello');
    await chat.sees('#tea <alice> hello');
    expect(chat.talk()).toEqual(['#tea <alice> hello']);
    await chat.quit();
  });

  test('an unsent message waits above the prompt and moves into the conversation when it is accepted', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    chat.client.control.setAccepting(false);
    chat.enter('are you there?');
    await chat.sees('#tea <alice> are you there? …');
    chat.client.control.message(tea, 'bob', 'news');
    await chat.sees('#tea <bob> news');
    expect(chat.talk()).toEqual(['#tea <bob> news', '#tea <alice> are you there? …']);
    chat.client.control.setAccepting(true);
    await chat.sees('#tea <alice> are you there?');
    expect(chat.talk()).toEqual(['#tea <bob> news', '#tea <alice> are you there?']);
    await chat.quit();
  });

  test('a message left from an earlier run is shown as waiting', async () => {
    const client = teaClient();
    client.control.setAccepting(false);
    await client.send(tea, 'from yesterday');
    const chat = await startChat({ client });
    await chat.sees('#tea <alice> from yesterday …');
    await chat.quit();
  });

  test('a paste of several rows is one message, and does not run commands', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    chat.terminal.paste('/quit\r\nsecond\tline\r\n');
    await chat.sees(/^ {2}second {4}line/);
    expect(chat.client.control.calls).toEqual([]);
    chat.terminal.type('\r');
    await until(() => chat.client.control.calls.length > 0);
    expect(chat.client.control.calls).toEqual(['send(tea, "/quit\\nsecond    line")']);
    await chat.sees('#tea <alice> /quit');
    await chat.quit();
  });

  test('a paste that is cut anywhere between two reads is the same message', async () => {
    const whole = '\u001b[200~one\rtwo\u001b[201~';
    for (let cut = 1; cut < whole.length; cut += 1) {
      const chat = await startChat();
      await chat.sees('#tea alice>');
      chat.terminal.type(whole.slice(0, cut));
      chat.terminal.type(whole.slice(cut));
      chat.terminal.type('\r');
      await until(() => chat.client.control.calls[0] === 'send(tea, "one\\ntwo")');
      await chat.quit();
    }
  });

  test('fault 14: an empty line, or one of spaces, sends nothing', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    for (const line of ['', '   ', '\t']) chat.enter(line);
    chat.enter('something');
    await chat.sees('#tea <alice> something');
    expect(chat.client.control.calls).toEqual(['send(tea, "something")']);
    await chat.quit();
  });

  test('two slashes say a text that begins with one', async () => {
    const chat = await startChat();
    chat.enter('//etc/hosts');
    await chat.sees('#tea <alice> /etc/hosts');
    await chat.quit();
  });
});

describe('commands', () => {
  test('fault 14: /invite without a name says how to use it', async () => {
    const chat = await startChat();
    chat.enter('/invite');
    await chat.sees('/invite needs a name; use it like this: /invite NAME…');
    expect(chat.client.control.calls).toEqual([]);
    await chat.quit();
  });

  test('an unknown command says so, names /help, and is not sent as text', async () => {
    const chat = await startChat();
    chat.enter('/inviet bob');
    await chat.sees(/unknown command \/inviet; \/help shows the commands/);
    expect(chat.client.control.calls).toEqual([]);
    await chat.quit();
  });

  test('/invite invites several at once, and says who is unknown', async () => {
    const chat = await startChat();
    chat.enter('/invite carol nobody bob');
    await chat.sees('#tea <alice> [updated group membership] added carol');
    await chat.sees('carol is invited to #tea');
    await chat.sees('no such user: nobody');
    await chat.sees('bob is in #tea already');
    await chat.quit();
  });

  test('inviting only a name nobody has changes nothing', async () => {
    const chat = await startChat();
    chat.enter('/invite nobody');
    await chat.sees('no such user: nobody');
    chat.enter('/list');
    await chat.sees('#tea members: alice, bob');
    await chat.sees('#tea administrators: alice');
    await chat.quit();
  });

  test('/remove, /rotate, /leave and /rejoin do their work and say so', async () => {
    const chat = await startChat();
    for (const line of ['/remove bob', '/rotate', '/leave', '/rejoin']) chat.enter(line);
    await chat.sees('bob is removed from #tea');
    await chat.sees('#tea <alice> [updated group membership] removed bob');
    await chat.sees('#tea <alice> [updated group membership] renewed keys');
    await chat.sees('your keys in #tea are renewed');
    await chat.sees('not done: the last administrator cannot leave');
    await chat.sees('you joined #tea again');
    await chat.quit();
  });

  test('without the server a command says so, and the chat goes on', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    chat.client.control.setConnection({ state: 'offline', reason: 'connection refused', retryInMs: 2000 });
    chat.enter('/invite carol');
    await chat.sees('the server does not answer');
    chat.enter('still here');
    await chat.sees('#tea <alice> still here …');
    await chat.quit();
  });

  test('after having been removed, commands and text say so, and nothing is sent', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    chat.client.control.setState(tea, 'removed');
    chat.enter('/list');
    await chat.sees('you are no longer a member of #tea');
    chat.enter('hello?');
    await chat.sees('not sent to #tea: you are no longer a member');
    expect(chat.client.control.calls).toEqual([]);
    await chat.quit();
  });

  test('a group that has stopped says why at the start, and how to go on', async () => {
    const client = teaClient();
    client.control.setState(tea, 'parked', 'entry 7 cannot be read');
    const chat = await startChat({ client });
    await chat.sees('#tea is stopped: entry 7 cannot be read; /rejoin');
    await chat.quit();
  });

  test('Tab completes commands and names', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    await until(() => {
      chat.terminal.type('\u0015/rem\tb\t');
      return chat.terminal.screen().at(-1) === '#tea alice> /remove bob' || undefined;
    });
    chat.terminal.type('\u0015/r\t');
    await chat.sees(/^\/receipts {2}\/rejoin {2}\/remove .* {2}\/rotate$/);
    await chat.quit();
  });
});

describe('several groups', () => {
  test('fault 13: an invitation to another group does not take the current one away', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    chat.client.control.invite('cake', 'bob');
    await chat.sees('#cake <bob> [added you to the group]');
    chat.enter('still at tea');
    await chat.sees('#tea <alice> still at tea');
    await chat.sees('#tea alice>');
    await chat.quit();
  });

  test('fault 13: after a switch, /list, text and prompt belong to the new group', async () => {
    const client = teaClient();
    client.control.addGroup('cake', ['alice', 'carol']);
    const chat = await startChat({ client });
    chat.enter('/switch cake');
    await chat.sees('Switched to group: cake');
    await chat.sees('#cake alice>');
    chat.enter('/list');
    await chat.sees('#cake members: alice, carol');
    chat.enter('hello');
    await chat.sees('#cake <alice> hello');
    expect(client.control.calls).toEqual(['send(cake, "hello")']);
    await chat.quit();
  });

  test('messages of other groups are counted above the prompt, and shown when one goes there', async () => {
    const client = teaClient();
    const cake = client.control.addGroup('cake', ['alice', 'carol']);
    const chat = await startChat({ client });
    await chat.sees('#tea alice>');
    client.control.message(cake, 'carol', 'anyone?');
    client.control.message(cake, 'carol', 'hello?');
    await chat.sees('unread: #cake 2');
    expect(chat.terminal.screen().join('\n')).not.toContain('anyone?');
    chat.enter('/groups');
    await chat.sees('* #tea   2 members');
    await chat.sees('  #cake  2 members, 2 unread');
    chat.enter('/switch #CAKE');
    await chat.sees('#cake <carol> hello?');
    await until(() => !chat.terminal.screen().join('\n').includes('unread: #cake'));
    await chat.quit();
  });

  test('/switch to a group one is not in says so', async () => {
    const chat = await startChat();
    chat.enter('/switch coffee');
    await chat.sees('you are in no group #coffee; /groups lists yours, /join coffee tries to get in');
    await chat.quit();
  });
});

describe('without an invitation', () => {
  test('fault 2: an existing group is not made a second time: whom to ask is said, and the invitation opens it', async () => {
    const client = createFakeChatClient({ me: 'alice', knownUsers: ['bob'] });
    client.control.existsWithout('tea', ['bob', 'carol']);
    const chat = await startChat({ client });
    await chat.sees('The group #tea exists already, and there is no invitation for you.');
    await chat.sees('Ask to be invited: bob, carol. It opens here when the invitation comes.');
    chat.enter('let me in');
    await chat.sees('not sent: you are in no group yet; #tea opens when somebody has invited you');
    await chat.sees('alice> let me in');
    client.control.invite('tea', 'bob');
    await chat.sees('Connected to group: tea');
    await chat.sees('#tea alice> let me in');
    expect(chat.talk().filter((row) => row.includes('added you'))).toEqual(['#tea <bob> [added you to the group]']);
    await chat.quit();
  });

  test('fault 11: the server being away at the start is waited for', async () => {
    const client = createFakeChatClient({ me: 'alice' });
    client.control.setConnection({ state: 'offline', reason: 'connection refused', retryInMs: 3000 });
    const chat = await startChat({ client });
    await chat.sees('offline: connection refused; trying again in 3 s, what you write is kept');
    await chat.sees('#tea is not on this device yet, and the server does not answer');
    client.control.setConnection({ state: 'online' });
    await chat.sees('Connected to group: tea');
    await chat.quit();
  });
});

describe('connection', () => {
  test('fault 11: going away and coming back is said once each, and text written in between is sent', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    for (const retryInMs of [1000, 2000, 4000]) {
      chat.client.control.setConnection({ state: 'offline', reason: 'connection reset', retryInMs });
      chat.client.control.emit({ type: 'connection', connection: { state: 'connecting' } });
    }
    chat.enter('into the void');
    await chat.sees('#tea <alice> into the void …');
    chat.client.control.setConnection({ state: 'online' });
    await chat.sees('#tea <alice> into the void');
    expect(chat.talk()).toEqual([
      'offline: connection reset; trying again in 1 s, what you write is kept',
      'online again',
      '#tea <alice> into the void',
    ]);
    await chat.quit();
  });

  test('a long catch-up shows how far it is', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    chat.client.control.emit({ type: 'progress', done: 1240 });
    await chat.sees('catching up 1,240');
    chat.client.control.emit({ type: 'progress', done: 1340, group: { name: 'tea', done: 1240, of: 8000 } });
    await chat.sees('catching up #tea 1,240/8,000');
    chat.client.control.emit({ type: 'caught-up', cursor: (await chat.client.status()).cursor });
    await until(() => !chat.terminal.screen().some((row) => row.startsWith('catching up')));
    await chat.quit();
  });
});

describe('fault 15: nothing but the conversation is on the screen', () => {
  const hostile = [
    ['a cleared screen', '\u001b[2J\u001b[Hgone'],
    ['a window title', '\u001b]0;pwned\u0007'],
    ['a C1 control', '\u009b2Jgone'],
    ['a carriage return', 'hi\r#tea <carol> I owe you money'],
    ['a reversed direction', 'abc\u202edef'],
    ['backspaces', 'abc\b\b\bxyz'],
  ] as const;

  test.each(hostile)('fault 15: a message cannot do more than be text: %s', async (_name, text) => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    chat.client.control.message(tea, 'bob', text);
    chat.client.control.message(tea, 'bob', 'after');
    await chat.sees('#tea <bob> after');
    // The terminal of the test throws on any sequence but the chat's own.
    expect(chat.terminal.screen()[0]).toBe('Connected to group: tea');
    expect(chat.terminal.screen()).not.toContain('#tea <carol> I owe you money');
    await chat.quit();
  });

  test('fault 15: names are harmless too', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    const sender = { ...fakePerson('mallory'), name: '\u001b[31mroot\n' };
    chat.client.control.receive(tea, { kind: 'message', id: 'm', sender, text: 'hi', own: false });
    await chat.sees('#tea <␛[31mroot␊> hi');
    await chat.quit();
  });

  test('fault 15: what the client has to warn of is a line like any other, above the prompt', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    chat.terminal.type('half a tho');
    chat.client.control.receive(tea, { kind: 'warning', text: '3 messages of bob are missing' });
    await chat.sees('#tea [warning] 3 messages of bob are missing');
    await chat.sees('#tea alice> half a tho');
    await chat.quit();
  });
});

describe('the window', () => {
  test('a resize draws the prompt once, in the new width', async () => {
    const chat = await startChat({ columns: 60 });
    await chat.sees('#tea alice>');
    chat.terminal.type('some words that are longer than the narrow window');
    await chat.sees('ow');
    chat.terminal.resize(100, 30);
    chat.client.control.message(tea, 'bob', 'hi');
    await chat.sees('#tea <bob> hi');
    await chat.sees('#tea alice> some words that are longer than the narrow window');
    expect(chat.terminal.screen().filter((row) => row.includes('#tea alice>'))).toHaveLength(1);
    await chat.quit();
  });

  test('long messages are broken between words, and further rows are indented', async () => {
    const chat = await startChat({ columns: 31 });
    await chat.sees('#tea alice>');
    chat.client.control.message(tea, 'bob', 'the quick brown fox jumps over the lazy dog');
    await chat.sees('  fox jumps over the lazy dog');
    const screen = chat.terminal.screen();
    expect(screen.slice(-3)).toEqual(['#tea <bob> the quick brown', '  fox jumps over the lazy dog', '#tea alice>']);
    await chat.quit();
  });

  test('another day and a long pause are marked, a quick exchange is not', async () => {
    const chat = await startChat();
    await chat.sees('#tea alice>');
    const hour = 60 * 60 * 1000;
    chat.client.control.message(tea, 'bob', 'yesterday', FAKE_NOW - 24 * hour);
    chat.client.control.message(tea, 'bob', 'at once', FAKE_NOW - 24 * hour + 1000);
    chat.client.control.message(tea, 'bob', 'today', FAKE_NOW);
    chat.client.control.message(tea, 'bob', 'later', FAKE_NOW + hour);
    await chat.sees('#tea <bob> later');
    expect(chat.terminal.screen().filter((row) => /^(──|#tea <)/.test(row))).toEqual([
      '── Saturday, 21 November 2026, 12:00 ──',
      '#tea <bob> yesterday',
      '#tea <bob> at once',
      '── Sunday, 22 November 2026, 12:00 ──',
      '#tea <bob> today',
      '── 13:00 ──',
      '#tea <bob> later',
    ]);
    await chat.quit();
  });

  test('people have colours where there are any, and none otherwise', async () => {
    const plain = await startChat();
    const coloured = await startChat({ colours: 1 });
    for (const chat of [plain, coloured]) {
      chat.client.control.message(tea, 'bob', 'hi');
      await chat.sees('#tea <bob> hi');
      await chat.quit();
    }
    expect(plain.terminal.written).not.toMatch(/\[[0-9;]+m/);
    expect(coloured.terminal.written).toMatch(/\[[0-9;]+m<bob>/);
  });
});
