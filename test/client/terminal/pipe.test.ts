import { describe, expect, test } from 'vitest';
import { createPalette } from '../../../src/client/terminal/palette.ts';
import { EXIT, runPipe } from '../../../src/client/terminal/pipe.ts';
import type { GroupId } from '../../../src/wire/ids.ts';
import { START_CURSOR } from '../../../src/wire/ids.ts';
import { createFakeChatClient, type FakeChatClient, fakePerson } from '../../support/fake-chat-client.ts';
import { until } from '../../support/until.ts';
import { teaClient } from './chat-on-fake-terminal.ts';

const tea = 'tea'.padEnd(22, 'A') as GroupId;
const OFFLINE = { state: 'offline', reason: 'connection refused', retryInMs: 1000 } as const;

function startPipe(
  client: FakeChatClient,
  input: readonly string[] | AsyncIterable<string> | undefined,
  more: { json?: boolean; follow?: boolean; since?: string; group?: string } = {},
) {
  const out: string[] = [];
  const err: string[] = [];
  const ending = new AbortController();
  const lines = input === undefined || Symbol.asyncIterator in input ? input : asynchronous(input);
  const ended = runPipe({
    client,
    group: more.group ?? 'tea',
    userName: 'alice',
    since: more.since as never,
    json: more.json ?? false,
    follow: more.follow,
    input: lines,
    out: (row) => out.push(row),
    err: (row) => err.push(row),
    palette: createPalette(0),
    signal: ending.signal,
  });
  return { out, err, ended, abort: () => ending.abort() };
}

async function* asynchronous(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines;
}

/** Input that stays open until the test closes it. */
async function* openInput(closed: Promise<void>): AsyncGenerator<string> {
  await closed;
  yield* [];
}

describe('sending', () => {
  test('every line of input is sent, and the end comes when the outbox is empty', async () => {
    const pipe = startPipe(teaClient(), ['hi', '', 'there']);
    expect(await pipe.ended).toBe(EXIT.done);
    expect(pipe.out).toEqual(['Connected to group: tea', '#tea <alice> hi', '#tea <alice> there', 'Goodbye!']);
    expect(pipe.err).toEqual([]);
  });

  test('commands work in pipes, in the order of the lines; what follows /quit is not read', async () => {
    const client = teaClient();
    const pipe = startPipe(client, ['/invite carol', 'welcome', '/list', '/quit', 'never said']);
    expect(await pipe.ended).toBe(EXIT.done);
    expect(client.control.calls).toEqual(['invite(carol)', 'send(tea, "welcome")']);
    expect(pipe.out).toContain('#tea members: alice, bob, carol');
    expect(pipe.out.at(-1)).toBe('Goodbye!');
  });

  test('a mistake is told on standard error, and the exit code says that something failed', async () => {
    const pipe = startPipe(teaClient(), ['/invite', 'hi']);
    expect(await pipe.ended).toBe(EXIT.error);
    expect(pipe.err).toEqual(['/invite needs a name; use it like this: /invite NAME…']);
    expect(pipe.out).toContain('#tea <alice> hi');
  });

  test('a message that is refused later makes the exit code an error', async () => {
    const client = teaClient();
    const { send } = client;
    client.send = async (group, text) => {
      const sent = await send(group, text);
      client.control.emit({ type: 'sent', id: 'other', refused: 'you may not write there' });
      return sent;
    };
    expect(await startPipe(client, ['hi']).ended).toBe(EXIT.error);
  });

  test('JSON that is printed holds no character that a terminal obeys', async () => {
    const client = teaClient();
    client.control.receive(tea, {
      kind: 'message',
      id: 'x',
      sender: fakePerson('bob'),
      text: '\u009b2J\u202etxt\u007f',
      own: false,
    });
    const pipe = startPipe(client, [], { json: true, since: START_CURSOR });
    await pipe.ended;
    const row = pipe.out.find((each) => each.includes('2J'))!;
    expect(row).not.toMatch(/[\u007f-\u009f\u202e]/);
    expect(JSON.parse(row)).toMatchObject({ text: '\u009b2J\u202etxt\u007f' });
  });

  test('a line too long for a message is refused, and the rest is sent', async () => {
    const client = teaClient();
    const pipe = startPipe(client, ['x'.repeat(70_000), 'short']);
    expect(await pipe.ended).toBe(EXIT.error);
    expect(pipe.err).toEqual(['not sent: a message has at most 65536 characters, this one has 70000']);
    expect(client.control.calls).toEqual(['send(tea, "short")']);
  });

  test('fault 11: without the server the messages stay in the outbox, and the exit code is 3', async () => {
    const client = teaClient();
    client.control.setConnection(OFFLINE);
    const pipe = startPipe(client, ['one', 'two']);
    expect(await pipe.ended).toBe(EXIT.unsent);
    expect((await client.status()).unsent).toBe(2);
    expect(pipe.err.at(-1)).toBe(
      'the server cannot be reached: 2 messages are not sent yet; they are kept and go out at the next start',
    );
  });

  test('/quit without the server and with nothing to send is done at once', async () => {
    const client = teaClient();
    client.control.setConnection(OFFLINE);
    const pipe = startPipe(client, ['/quit']);
    expect(await pipe.ended).toBe(EXIT.done);
    expect(pipe.out.at(-1)).toBe('Goodbye!');
  });

  test('without the server and with nothing to send the exit code is 1', async () => {
    const client = teaClient();
    client.control.setConnection(OFFLINE);
    const pipe = startPipe(client, []);
    expect(await pipe.ended).toBe(EXIT.error);
    expect(pipe.err.at(-1)).toBe('the server does not answer');
  });
});

describe('printing', () => {
  test('what was not read is printed once: the next run begins after it', async () => {
    const client = teaClient();
    client.control.message(tea, 'bob', 'one');
    client.control.message(tea, 'bob', 'two');
    const first = startPipe(client, []);
    expect(await first.ended).toBe(EXIT.done);
    expect(first.out).toEqual(['Connected to group: tea', '#tea <bob> one', '#tea <bob> two', 'Goodbye!']);
    client.control.message(tea, 'bob', 'three');
    const second = startPipe(client, []);
    await second.ended;
    expect(second.out).toEqual(['Connected to group: tea', '#tea <bob> three', 'Goodbye!']);
  });

  test('lines that arrive while input is open are printed at once', async () => {
    const client = teaClient();
    let close: () => void = () => {};
    const pipe = startPipe(client, openInput(new Promise((resolve) => (close = resolve))));
    await until(() => pipe.out.includes('Connected to group: tea'));
    client.control.message(tea, 'bob', 'live');
    await until(() => pipe.out.includes('#tea <bob> live'));
    close();
    expect(await pipe.ended).toBe(EXIT.done);
  });

  test('--follow goes on after the end of input, until the signal', async () => {
    const client = teaClient();
    const pipe = startPipe(client, ['hi'], { follow: true });
    await until(() => pipe.out.includes('#tea <alice> hi'));
    client.control.message(tea, 'bob', 'hello');
    await until(() => pipe.out.includes('#tea <bob> hello'));
    pipe.abort();
    expect(await pipe.ended).toBe(EXIT.done);
  });

  test('other people cannot write control characters into a pipe', async () => {
    const client = teaClient();
    client.control.message(tea, 'bob', '\u001b[2Jgone\n#tea <carol> not me');
    const pipe = startPipe(client, []);
    await pipe.ended;
    expect(pipe.out).toContain('#tea <bob> ␛[2Jgone');
    expect(pipe.out).toContain('  #tea <carol> not me');
  });
});

describe('for scripts', () => {
  test('--json prints one object a line, each with its cursor, and nothing else', async () => {
    const client = teaClient();
    client.control.message(tea, 'bob', 'two\nrows \u001b[2J');
    const pipe = startPipe(client, ['hi'], { json: true, follow: false, since: START_CURSOR });
    expect(await pipe.ended).toBe(EXIT.done);
    const lines = pipe.out.map((row) => JSON.parse(row) as Record<string, unknown>);
    expect(lines).toMatchObject([
      { group: 'tea', kind: 'message', text: 'two\nrows \u001b[2J', own: false, sender: { name: 'bob' }, position: 1 },
      { group: 'tea', kind: 'message', text: 'hi', own: true, sender: { name: 'alice' }, position: 2 },
    ]);
    expect(new Set(lines.map((line) => line['cursor'])).size).toBe(2);
    expect(lines[0]!['time']).toBe(new Date(lines[0]!['time'] as string).toISOString());
    expect(pipe.err).toEqual([]);
  });

  test('--json while it follows answers commands on standard error', async () => {
    const pipe = startPipe(teaClient(), ['/list'], { json: true });
    expect(await pipe.ended).toBe(EXIT.done);
    expect(pipe.out).toEqual([]);
    expect(pipe.err.slice(0, 2)).toEqual(['Connected to group: tea', '#tea members: alice, bob']);
  });

  test('the cursor of the last line printed is where the next run goes on: nothing twice, nothing missed', async () => {
    const client = teaClient();
    const seen: string[] = [];
    let since: string = START_CURSOR;
    for (let run = 0; run < 5; run += 1) {
      for (let i = 0; i < run; i += 1) client.control.message(tea, 'bob', `${run}.${i}`);
      const pipe = startPipe(client, undefined, { json: true, follow: false, since });
      expect(await pipe.ended).toBe(EXIT.done);
      for (const row of pipe.out) {
        const line = JSON.parse(row) as { cursor: string; text: string };
        seen.push(line.text);
        since = line.cursor;
      }
    }
    expect(seen).toEqual(['1.0', '2.0', '2.1', '3.0', '3.1', '3.2', '4.0', '4.1', '4.2', '4.3']);
  });

  test('a cursor this device does not know fails with its code', async () => {
    const pipe = startPipe(teaClient(), undefined, { json: true, since: `c${'A'.repeat(22)}` });
    await expect(pipe.ended).rejects.toMatchObject({ code: 'unknown-cursor' });
  });
});

test('a signal while texts wait says that they are kept, and nothing of a server that is there', async () => {
  const client = teaClient();
  client.control.setAccepting(false);
  client.flushed = () => new Promise(() => {});
  const pipe = startPipe(client, ['hi']);
  await until(() => client.control.calls.includes('send(tea, "hi")'));
  pipe.abort();
  expect(await pipe.ended).toBe(EXIT.unsent);
  expect(pipe.err).toEqual(['1 message is not sent yet; it is kept and goes out at the next start']);
});

describe('without an invitation', () => {
  test('fault 2: with --no-follow the end is at once, exit code 1, and the administrators are named', async () => {
    const client = createFakeChatClient({ me: 'alice' });
    client.control.existsWithout('tea', ['bob']);
    const pipe = startPipe(client, ['hi'], { follow: false });
    expect(await pipe.ended).toBe(EXIT.error);
    expect(pipe.err.at(-1)).toBe('Ask to be invited: bob.'); // nobody is here when an invitation comes
    expect(client.control.calls).toEqual(['openGroup(tea)', 'joinGroup(tea)']);
  });

  test('an open group is entered, except by who was in it before and has left or was put out', async () => {
    const client = createFakeChatClient({ me: 'alice' });
    client.control.existsWithout('tea', ['bob']);
    client.joinGroup = async () => {
      const group = client.control.addGroup('tea', ['bob', 'alice']);
      client.control.receive(group, { kind: 'joined', by: fakePerson('alice'), epoch: 3 });
      return { kind: 'joined', group };
    };
    const pipe = startPipe(client, ['hi']);
    expect(await pipe.ended).toBe(EXIT.done);
    expect(pipe.err).toEqual([]);
    expect(pipe.out).toEqual([
      'Connected to group: tea',
      '#tea <alice> [joined the group]',
      '#tea <alice> hi',
      'Goodbye!',
    ]);
    client.control.setState(tea, 'removed');
    client.control.existsWithout('tea', ['bob']);
    client.openGroup = async () => ({ kind: 'not-invited', administrators: ['bob'] });
    expect(await startPipe(client, undefined, { follow: false }).ended).toBe(EXIT.error);
  });

  test('an open group that could not be entered asks nobody to be invited: it is said what went wrong', async () => {
    const client = createFakeChatClient({ me: 'alice' });
    client.control.existsWithout('tea', ['bob']);
    client.joinGroup = async () => ({ kind: 'refused', reason: 'the server did not answer' });
    const pipe = startPipe(client, ['hi'], { follow: false });
    expect(await pipe.ended).toBe(EXIT.error);
    expect(pipe.err).toEqual(['not joined: the server did not answer']);
  });

  test('otherwise the invitation is waited for, and then the input is sent', async () => {
    const client = createFakeChatClient({ me: 'alice' });
    client.control.existsWithout('tea', ['bob']);
    const pipe = startPipe(client, ['hi']);
    await until(() => pipe.err.length > 0);
    client.control.invite('tea', 'bob');
    expect(await pipe.ended).toBe(EXIT.done);
    expect(pipe.out).toEqual([
      'Connected to group: tea',
      '#tea <bob> [added you to the group]',
      '#tea <alice> hi',
      'Goodbye!',
    ]);
  });
});
