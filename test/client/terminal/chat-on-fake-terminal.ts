import { runInteractive } from '../../../src/client/terminal/interactive.ts';
import type { Notify } from '../../../src/client/terminal/mention.ts';
import { createPalette } from '../../../src/client/terminal/palette.ts';
import type { Cursor } from '../../../src/wire/ids.ts';
import { createFakeChatClient, FAKE_NOW, type FakeChatClient } from '../../support/fake-chat-client.ts';
import { createFakeTerminal, type FakeTerminal } from '../../support/fake-terminal.ts';
import { until } from '../../support/until.ts';

export interface RunningChat {
  readonly client: FakeChatClient;
  readonly terminal: FakeTerminal;
  readonly ended: Promise<void>;
  readonly forced: () => number;
  readonly abort: () => void;
  /** Waits until a row of the screen is this text or matches it. */
  sees(row: string | RegExp): Promise<string>;
  /** Rows above the prompt that are neither help nor greeting nor time. */
  talk(): string[];
  enter(line: string): void;
  quit(): Promise<void>;
}

export interface ChatSetup {
  readonly client?: FakeChatClient;
  readonly group?: string;
  readonly since?: Cursor;
  readonly columns?: number;
  readonly rows?: number;
  readonly colours?: 0 | 1;
  readonly notify?: Notify;
}

/** Starts the interactive chat of `alice` in `#tea` on a terminal without a window, and waits for its prompt. */
export async function startChat(setup: ChatSetup = {}): Promise<RunningChat> {
  const client = setup.client ?? teaClient();
  const terminal = createFakeTerminal(setup.columns ?? 80, setup.rows ?? 40);
  const ending = new AbortController();
  let forced = 0;
  const ended = runInteractive({
    client,
    group: setup.group ?? 'tea',
    userName: 'alice',
    since: setup.since,
    input: terminal.input,
    output: terminal.output,
    palette: createPalette(setup.colours ?? 0),
    now: () => FAKE_NOW,
    timeZone: 'UTC',
    notify: setup.notify,
    signal: ending.signal,
    force: () => {
      forced += 1;
    },
  });
  ended.catch(() => {});
  const sees = (row: string | RegExp) =>
    until(
      () => terminal.screen().find((each) => (typeof row === 'string' ? each === row : row.test(each))),
      () => `${String(row)} in\n${terminal.screen().join('\n')}`,
    );
  return {
    client,
    terminal,
    ended,
    forced: () => forced,
    abort: () => ending.abort(),
    sees,
    talk: () => terminal.screen().filter((row) => !/^(Connected| {2}\/|──|#\w+ alice>|alice>|$)/.test(row)),
    enter: (line) => terminal.type(`${line}\r`),
    quit: async () => {
      ending.abort();
      await ended;
    },
  };
}

/** alice's client, in `#tea` with bob. */
export function teaClient(): FakeChatClient {
  const client = createFakeChatClient({ me: 'alice', knownUsers: ['bob', 'carol', 'dave'] });
  client.control.addGroup('tea', ['alice', 'bob']);
  return client;
}
