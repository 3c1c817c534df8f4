import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { ChatSettings } from '../../src/bin/mlschat-args.ts';
import { type ChatProcess, runMlschat } from '../../src/bin/mlschat-run.ts';
import { ROTATION } from '../../src/client/engine/rotation.ts';
import type { Cursor, GroupId } from '../../src/wire/ids.ts';
import { teaClient } from '../client/terminal/chat-on-fake-terminal.ts';
import type { FakeChatClient } from '../support/fake-chat-client.ts';
import { createFakeTerminal } from '../support/fake-terminal.ts';
import { until } from '../support/until.ts';

const tea = 'tea'.padEnd(22, 'A') as GroupId;
const SETTINGS: ChatSettings = {
  server: 'http://localhost:4000',
  config: '/nowhere',
  group: 'tea',
  userName: 'alice',
  since: undefined,
  follow: undefined,
  json: false,
  notify: 'off',
  rotation: ROTATION,
};

function piped(input: string) {
  const stdin = new PassThrough();
  stdin.end(input);
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const io: ChatProcess = {
    ...{ stdin, stdout, stderr, env: {}, colours: 3, signal: new AbortController().signal },
    force: () => {},
    suspend: async () => {},
  };
  const text = (stream: PassThrough) => String(stream.read() ?? '');
  return { io, out: () => text(stdout), err: () => text(stderr) };
}

async function run(settings: Partial<ChatSettings>, input: string, client: FakeChatClient = teaClient()) {
  const { io, out, err } = piped(input);
  const code = await runMlschat({ ...SETTINGS, ...settings }, io, async () => client);
  return { code, out: out(), err: err(), client };
}

describe('pipes', () => {
  test("printf 'hi\\n' | mlschat tea alice: sent, printed without colour, closed, exit 0", async () => {
    const { code, out, client } = await run({}, 'hi\n');
    expect(code).toBe(0);
    expect(out).toBe('Connected to group: tea\n#tea <alice> hi\nGoodbye!\n');
    expect(client.control.closed).toBe(true);
  });

  test('a last line without a line break is sent too', async () => {
    const { client } = await run({}, 'one\r\ntwo');
    expect(client.control.calls).toEqual(['send(tea, "one")', 'send(tea, "two")']);
  });

  test('a thousand lines of input are all sent, in order', async () => {
    const lines = Array.from({ length: 1_000 }, (_, index) => `line ${index}`);
    const client = teaClient();
    await run({ json: true }, lines.join('\n'), client);
    expect(client.control.calls).toEqual(lines.map((line) => `send(tea, "${line}")`));
  });

  test('a cursor that this device does not know is wrong use: exit 2', async () => {
    const { code, err } = await run({ since: `c${'A'.repeat(22)}` as Cursor }, '');
    expect(code).toBe(2);
    expect(err).toContain('mlschat: this cursor is not known on this device');
  });

  test('a client that cannot be opened is told in a sentence, exit 1', async () => {
    const { io, err } = piped('');
    const code = await runMlschat(SETTINGS, io, async () => {
      throw new Error('bob has this name already');
    });
    expect(code).toBe(1);
    expect(err()).toBe('mlschat: bob has this name already\n');
  });
});

describe('terminals', () => {
  test('on a terminal the chat is interactive, and /quit is exit 0', async () => {
    const terminal = createFakeTerminal();
    const { io } = piped('');
    const client = teaClient();
    const stdin = Object.assign(terminal.input, { isTTY: true });
    const stdout = Object.assign(terminal.output, { isTTY: true }) as unknown as ChatProcess['stdout'];
    const code = runMlschat(SETTINGS, { ...io, stdin, stdout }, async () => client);
    await until(() => terminal.screen().includes('#tea alice>'));
    terminal.type('hi\r/quit\r');
    expect(await code).toBe(0);
    expect(client.control.calls).toEqual(['send(tea, "hi")']);
    expect(client.control.closed).toBe(true);
  });

  test('a terminal that can only print is written on as a pipe is', async () => {
    const { io, out } = piped('hi\n/quit\n');
    const stdin = Object.assign(io.stdin, { isTTY: true });
    const stdout = Object.assign(io.stdout, { isTTY: true });
    const dumb = { ...io, stdin, stdout, env: { TERM: 'dumb' } };
    expect(await runMlschat(SETTINGS, dumb, async () => teaClient())).toBe(0);
    expect(out()).toBe('Connected to group: tea\n#tea <alice> hi\nGoodbye!\n');
  });

  test('on a terminal with --no-follow the news are printed and nobody is waited for', async () => {
    const { io, out } = piped('');
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    const client = teaClient();
    client.control.message(tea, 'bob', 'news');
    const stdout = Object.assign(io.stdout, { isTTY: true });
    const code = await runMlschat(
      { ...SETTINGS, follow: false },
      { ...io, stdin, stdout, env: { NO_COLOR: '1' } },
      async () => client,
    );
    expect(code).toBe(0);
    expect(out()).toContain('#tea <bob> news\n');
  });
});
