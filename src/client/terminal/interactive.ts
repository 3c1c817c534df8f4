import type { Cursor } from '../../wire/ids.ts';
import type { ChatClient, GroupStatus, HistoryLine } from '../chat-client.ts';
import { recoveryRows } from './account-rows.ts';
import { commandRows } from './command-table.ts';
import { type Conversation, createConversation } from './conversation.ts';
import { explain, unsentText } from './explain.ts';
import { formatLine } from './format-line.ts';
import { createInOrder } from './in-order.ts';
import { listenToKeys, type TerminalInput } from './keyboard.ts';
import type { KeyMeaning } from './keys.ts';
import { createLineInput } from './line-input.ts';
import { createNotifier, type Notify } from './mention.ts';
import { isMessageCommand } from './message-commands.ts';
import { neutralise } from './neutralise.ts';
import type { Palette } from './palette.ts';
import { type Input, parseInput } from './parse-input.ts';
import { runCommand } from './run-command.ts';
import { createScreen, type TerminalOutput } from './screen.ts';
import { truncate } from './text-width.ts';
import { timeMark } from './time-mark.ts';
import { createTypedLines, type Echo, type TypedLine } from './typed-lines.ts';
import { wrapRows } from './wrap.ts';

/** How long a command may hold up what was typed after it. */
const COMMAND_PATIENCE_MS = 2000;
/** Lines of the conversation shown when a group is entered, so that one sees what the talk was about. */
const CONTEXT_LINES = 12;
/** Rows of each of them: what was pasted once is not all of the screen again and again; /history has it whole. */
const CONTEXT_LINE_ROWS = 6;
/** How long leaving waits for messages to go out when the server is there. */
const QUIT_FLUSH_MS = 2000;

export interface InteractiveOptions {
  readonly client: ChatClient;
  readonly group: string;
  readonly userName: string;
  readonly since?: Cursor | undefined;
  readonly input: TerminalInput;
  readonly output: TerminalOutput & {
    on(event: 'resize', listener: () => void): unknown;
    off(event: 'resize', listener: () => void): unknown;
  };
  readonly palette: Palette;
  readonly now: () => number;
  readonly timeZone?: string | undefined;
  /** How the terminal calls when somebody names this person; by default not at all. */
  readonly notify?: Notify | undefined;
  /** Ends the chat as `/quit` does (a signal to the process, say). */
  readonly signal?: AbortSignal | undefined;
  /** Ctrl-C while the chat is closing already. */
  readonly force: () => void;
  /** Ctrl-Z: stops the process; returns when it goes on. Without it the key does nothing. */
  readonly suspend?: (() => Promise<void>) | undefined;
}

/**
 * A chat on a terminal: prompt at the bottom, messages above. Resolves when the person leaves; the client is not closed.
 *
 * @throws what opening the group throws, except that a server which is not there is waited for
 */
export async function runInteractive(options: InteractiveOptions): Promise<void> {
  const { client, output, palette } = options;
  const screen = createScreen(output, palette);
  let lastTime: number | undefined;
  let drawing = false;
  const newRows: string[] = [];
  let closing = false;
  let finish: (failure?: { readonly error: unknown }) => void = () => {};
  const finished = new Promise<{ readonly error: unknown } | undefined>((resolve) => {
    finish = resolve;
  });

  const notifier = createNotifier(options.notify ?? 'off', options.now);
  const wrapped = (rows: readonly string[]) => rows.flatMap((row) => wrapRows([row], screen.columns - 1));
  const typed = createTypedLines({
    say: (rows) => print(rows),
    echo: (row) => print([palette.faint(truncate(row, screen.columns - 1))]),
    changed: () => redraw(),
  });
  const say = (rows: readonly string[]) => {
    typed.interrupted();
    print(wrapped(rows));
  };
  const warning = (text: string) => wrapped([text]).map((row) => palette.warning(row));
  const warn = (text: string) => {
    typed.interrupted();
    print(warning(text));
  };
  const conversation: Conversation = createConversation({
    client,
    wanted: options.group,
    userName: options.userName,
    since: options.since,
    contextLines: CONTEXT_LINES,
    greeting: commandRows(),
    view: { lines: showLines, say, aside: say, warn, changed: () => redraw(), arrived },
  });

  function arrived(line: HistoryLine, name: string, muted: boolean): void {
    const call = notifier(line, name, muted);
    if (call !== undefined && !closing) output.write(call);
  }

  function showLines(lines: readonly HistoryLine[], read?: 'read'): void {
    const rowsMax = read === undefined ? undefined : CONTEXT_LINE_ROWS;
    const style = { palette, me: status.me.account, columns: screen.columns - 1, rowsMax };
    const rows: string[] = [];
    typed.interrupted();
    for (const line of lines) {
      const mark = timeMark(lastTime, line.time, options.now(), options.timeZone);
      if (mark !== undefined) rows.push(palette.faint(mark));
      rows.push(...formatLine(line, style));
      lastTime = Math.max(line.time, lastTime ?? line.time);
    }
    print(rows);
  }

  /** Lines that were asked for: their times stand among themselves. */
  function showAgain(lines: readonly HistoryLine[]): void {
    const before = lastTime;
    lastTime = undefined;
    showLines(lines);
    lastTime = before;
  }

  function print(rows: readonly string[]): void {
    for (const row of rows) newRows.push(row);
    redraw();
  }

  /** One drawing for all changes of one moment: a paste of a thousand keys is drawn once. */
  function redraw(): void {
    if (drawing) return;
    drawing = true;
    queueMicrotask(drawNow);
  }

  function drawNow(): void {
    drawing = false;
    if (closing) return;
    const { text, cursor } = input.editor();
    const notes = [...typed.notes(), ...conversation.notes()];
    screen.draw({ notes, prompt: conversation.prompt(), text, cursor }, newRows.splice(0));
  }

  const inputs = createInOrder(COMMAND_PATIENCE_MS, (error) => warn(explain(error)));
  const perform = async (meant: Input, line: string, mine: TypedLine, isLate: () => boolean): Promise<void> => {
    switch (meant.kind) {
      case 'nothing':
        return;
      case 'mistake':
        return mine.say(warning(meant.reason));
      case 'message':
        if (!(await conversation.send(meant.text.replace(/\n+$/, '')))) input.giveBack(line);
        return;
      case 'command': {
        const { current, send, away } = conversation;
        const answer = (rows: readonly string[]) => mine.say(wrapped(rows));
        const switchTo = async (group: GroupStatus) => {
          // what is being typed meanwhile is meant for where it is typed
          if (isLate() && input.editor().text !== '') {
            const name = neutralise(group.name);
            return answer([`you are in #${name} now; /switch ${name} goes there`]);
          }
          lastTime = undefined; // another talk: when it was held is said again
          return conversation.switchTo(group);
        };
        const quit = () => finish();
        const context = { client, current: current(), say: answer, show: showAgain, switchTo, send, quit, away };
        return runCommand(meant.name, meant.args, context);
      }
      default:
        return meant satisfies never;
    }
  };

  const entered = (line: string) => {
    const meant = parseInput(line);
    if (meant.kind === 'nothing') return;
    const mine = typed.add(line, echoOf(meant));
    const job = async (isLate: () => boolean) => {
      mine.begin();
      try {
        await perform(meant, line, mine, isLate);
      } catch (error) {
        mine.say(warning(explain(error)));
      } finally {
        mine.done();
      }
    };
    if (inputs.add(job)) return;
    mine.done();
    warn('too much waits already; this was not taken');
    input.giveBack(line);
  };

  const onMeaning = (meaning: KeyMeaning): void => {
    if (!closing) input.onMeaning(meaning);
    else if (meaning.kind === 'interrupt') options.force();
  };

  const suspend = async () => {
    if (options.suspend === undefined) return;
    screen.close();
    keyboard.pause();
    await options.suspend();
    keyboard.resume();
    screen.resized();
  };

  const input = createLineInput({
    known: () => conversation.known(),
    entered,
    leave: () => finish(),
    clear: () => screen.clear(),
    suspend: () => void suspend().catch((error: unknown) => warn(explain(error))),
    changed: () => redraw(),
    fitting: (words) => say([palette.faint(words.join('  '))]),
    failed: (error) => warn(explain(error)),
  });
  const status = await client.status();
  const unsubscribe = client.subscribe((event) => conversation.onEvent(event));
  const keyboard = listenToKeys(options.input, output, () => input.editor().text === '', onMeaning);
  const onResize = () => screen.resized();
  const onAbort = () => finish();
  output.on('resize', onResize);
  options.signal?.addEventListener('abort', onAbort);
  if (options.signal?.aborted === true) finish();
  redraw();
  conversation.onEvent({ type: 'connection', connection: status.connection });
  inputs.add(async () => {
    try {
      const code = await client.takeRecoveryCode();
      if (code !== undefined) {
        say(recoveryRows(code));
        await client.recoveryCodeShown();
      }
      await conversation.open();
    } catch (error) {
      finish({ error });
    }
  });

  const failure = await finished;
  drawNow();
  closing = true;
  typed.stop();
  conversation.stop();
  unsubscribe();
  options.signal?.removeEventListener('abort', onAbort);
  output.off('resize', onResize);
  screen.close();
  try {
    if (failure === undefined) await sayGoodbye(client, conversation.online(), output);
  } finally {
    keyboard.close();
  }
  if (failure !== undefined) throw failure.error;
}

function echoOf(input: Input): Echo {
  if (input.kind === 'message') return 'never';
  return input.kind === 'command' && isMessageCommand(input.name) ? 'with-answer' : 'at-once';
}

async function sayGoodbye(client: ChatClient, online: boolean, output: TerminalOutput): Promise<void> {
  let { unsent } = await client.status();
  if (unsent > 0 && online) unsent = await client.flushed(QUIT_FLUSH_MS);
  if (unsent > 0) output.write(`${unsentText(unsent)}\r\n`);
  output.write('Goodbye!\r\n');
}
