import type { Cursor } from '../../wire/ids.ts';
import type { ChatClient, HistoryLine } from '../chat-client.ts';
import { recoveryRows } from './account-rows.ts';
import { type Conversation, createConversation } from './conversation.ts';
import { errorCode, explain, isUnreachable } from './explain.ts';
import { aborted, FLUSH_ROUND_MS, flushOutbox, unsentReason } from './flush.ts';
import { formatLine } from './format-line.ts';
import { lineToJson } from './line-json.ts';
import type { Palette } from './palette.ts';
import { parseInput } from './parse-input.ts';
import { runCommand } from './run-command.ts';

/** How long the end waits for the server to say that nothing more is there. */
const CATCH_UP_MS = 30_000;

/** What the process ends with, also in the manual. */
export const EXIT = { done: 0, error: 1, usage: 2, unsent: 3 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface PipeOptions {
  readonly client: ChatClient;
  readonly group: string;
  readonly userName: string;
  readonly since?: Cursor | undefined;
  /** One JSON object a line on `out`; everything that is not a line of the conversation goes to `err`. */
  readonly json: boolean;
  /** `true`: goes on after the end of input, until the signal. `false`: ends when caught up and everything is sent. */
  readonly follow: boolean | undefined;
  /** Lines to send; without it nothing is read. */
  readonly input?: AsyncIterable<string> | undefined;
  readonly out: (row: string) => void;
  readonly err: (row: string) => void;
  readonly palette: Palette;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A chat without a screen, for pipes and scripts: every line of input is sent, lines of the conversation are printed
 * plainly, and the outbox is emptied before it ends. Resolves with the exit code; the client is not closed.
 *
 * @throws what opening the group throws, but for a server that is not there
 */
export async function runPipe(options: PipeOptions): Promise<ExitCode> {
  const { client, json, out, err, palette } = options;
  const ended = aborted(options.signal);
  // Run by a clock, a program that says something on standard error is taken for one that has failed.
  const quiet = json && options.follow === false;
  let troubled = false;
  let quitting = false;
  let entered: () => void = () => {};
  const hasEntered = new Promise<void>((resolve) => {
    entered = resolve;
  });
  const aside = (rows: readonly string[]) => rows.forEach(err);
  const say = (rows: readonly string[]) => rows.forEach(json ? err : out);
  const warn = (text: string) => {
    troubled = true;
    err(text);
  };
  const { account } = (await client.status()).me;
  const code = await client.takeRecoveryCode();
  // never on standard output, which scripts keep
  if (code !== undefined) {
    aside(recoveryRows(code));
    await client.recoveryCodeShown();
  }
  const print = (line: HistoryLine) =>
    (json ? [lineToJson(line)] : formatLine(line, { palette, me: account })).forEach(out);
  const conversation: Conversation = createConversation({
    client,
    wanted: options.group,
    userName: options.userName,
    since: options.since,
    contextLines: 0,
    waits: options.follow !== false,
    greeting: quiet ? undefined : [],
    view: {
      lines: (lines) => lines.forEach(print),
      say,
      aside,
      warn,
      changed: () => {
        if (conversation.current() !== undefined) entered();
      },
    },
  });

  const perform = async (text: string): Promise<void> => {
    const input = parseInput(text);
    if (input.kind === 'message') {
      await conversation.send(input.text);
      return;
    }
    if (input.kind === 'mistake') return warn(input.reason);
    if (input.kind === 'nothing') return;
    const quit = () => {
      quitting = true;
    };
    const { current, switchTo, send, away } = conversation;
    const style = { palette, me: account };
    const show = (lines: readonly HistoryLine[]) => say(lines.flatMap((line) => formatLine(line, style)));
    await runCommand(input.name, input.args, {
      ...{ client, current: current(), say, show, switchTo, send, quit, away },
    });
  };

  const sendAll = async (): Promise<void> => {
    for await (const text of options.input ?? []) {
      if (options.signal?.aborted === true) return;
      await perform(text).catch((error: unknown) => warn(explain(error)));
      if (quitting) return;
    }
  };

  const unsubscribe = client.subscribe((event) => {
    if (event.type === 'sent' && event.refused !== undefined) troubled = true; // its line says what and why
    conversation.onEvent(event);
  });
  try {
    const opening = await Promise.race([conversation.open(), ended]);
    if (opening === 'not-invited' && options.follow !== false) {
      await Promise.race([hasEntered.then(() => conversation.open()), ended]);
    } else if (opening === 'not-invited' || opening === 'unreachable') return EXIT.error;
    await Promise.race([sendAll(), ended]);
    if (options.follow === true && !quitting) await ended;
    const code = await finish(client, err, options.signal, quitting);
    await conversation.pull();
    if (code === EXIT.done && !quiet) say(['Goodbye!']);
    return code === EXIT.done && troubled ? EXIT.error : code;
  } finally {
    conversation.stop();
    unsubscribe();
  }
}

/** Sends what waits and, unless one just wants to leave, reads what is there; the exit code says how far that came. */
async function finish(
  client: ChatClient,
  err: (row: string) => void,
  signal: AbortSignal | undefined,
  quitting: boolean,
): Promise<ExitCode> {
  const unsent = await flushOutbox(client, signal);
  if (unsent > 0) {
    err(await unsentReason(client, unsent));
    return EXIT.unsent;
  }
  if (quitting) return EXIT.done;
  const { connection } = await client.status();
  const patience = connection.state === 'offline' ? FLUSH_ROUND_MS : CATCH_UP_MS;
  try {
    await Promise.race([client.caughtUp(patience), aborted(signal)]);
    return EXIT.done;
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    err(explain(error));
    return EXIT.error;
  }
}

/** A cursor the local store doesn't know is a mistake of the caller, not a failure. */
export function exitCodeOf(error: unknown): ExitCode {
  return errorCode(error) === 'unknown-cursor' ? EXIT.usage : EXIT.error;
}
