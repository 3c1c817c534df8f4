import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { ColorSupportLevel } from 'chalk';
import type { ChatClient } from '../client/chat-client.ts';
import { explain } from '../client/terminal/explain.ts';
import { runInteractive } from '../client/terminal/interactive.ts';
import type { TerminalInput } from '../client/terminal/keyboard.ts';
import { colourLevel, createPalette } from '../client/terminal/palette.ts';
import { EXIT, type ExitCode, exitCodeOf, runPipe } from '../client/terminal/pipe.ts';
import { runTask } from '../client/terminal/run-task.ts';
import type { ChatSettings } from './mlschat-args.ts';

/** What of the process the chat uses, so that it can be run on other streams. */
export interface ChatProcess {
  readonly stdin: TerminalInput & { readonly isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream & {
    readonly isTTY?: boolean;
    readonly columns?: number;
    readonly rows?: number;
  };
  readonly stderr: NodeJS.WritableStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly colours: ColorSupportLevel;
  readonly signal: AbortSignal;
  force(): void;
  suspend(): Promise<void>;
}

export type OpenClient = (settings: ChatSettings) => Promise<ChatClient>;

/** Opens the client, chats in the fitting way, closes the client. Resolves with the exit code and never rejects. */
export async function runMlschat(settings: ChatSettings, io: ChatProcess, open: OpenClient): Promise<ExitCode> {
  const complain = (error: unknown) => void io.stderr.write(`mlschat: ${explain(error)}\n`);
  let client: ChatClient;
  try {
    client = await Promise.race([open(settings), interruption(io.signal)]);
  } catch (error) {
    complain(error);
    return EXIT.error;
  }
  let code: ExitCode;
  try {
    code = await chat(settings, io, client);
  } catch (error) {
    complain(error);
    code = exitCodeOf(error);
  }
  try {
    await client.close();
  } catch (error) {
    complain(error);
    return code === EXIT.done ? EXIT.error : code;
  }
  return code;
}

async function chat(settings: ChatSettings, io: ChatProcess, client: ChatClient): Promise<ExitCode> {
  const { stdin, stdout, stderr, signal } = io;
  const { group, userName, since, json, follow, notify } = settings;
  const palette = createPalette(colourLevel(io.env, stdout.isTTY === true, io.colours));
  const row = (stream: NodeJS.WritableStream) => (text: string) => void stream.write(`${text}\n`);
  if (settings.task !== undefined) {
    return runTask({
      ...{ client, group, json, palette, signal },
      task: settings.task,
      readInput: () => text(stdin),
      out: row(stdout),
      err: row(stderr),
    });
  }
  // a terminal that cannot move its cursor is written on as a pipe is
  const canDraw = stdin.isTTY === true && stdout.isTTY === true && io.env['TERM'] !== 'dumb';
  if (canDraw && !json && follow !== false) {
    const { force } = io;
    const suspend = () => io.suspend();
    const common = { client, group, userName, since, palette, signal, suspend, now: Date.now, notify };
    await runInteractive({ ...common, input: stdin, output: stdout, force: () => force() });
    return EXIT.done;
  }
  // With --no-follow and a person at the keyboard there is no end of input to wait for.
  const reads = !(stdin.isTTY === true && follow === false);
  return runPipe({
    ...{ client, group, userName, since, json, follow, palette, signal },
    input: reads ? linesOf(stdin) : undefined,
    out: row(stdout),
    err: row(stderr),
  });
}

/** Reads nothing before the first line is asked for: readline drops lines that come while nobody listens. */
async function* linesOf(input: NodeJS.ReadableStream): AsyncGenerator<string> {
  yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
}

/** Rejects at the first signal: nobody has to wait for a server that does not answer. */
function interruption(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const interrupt = () => reject(new Error('interrupted before the chat was open'));
    if (signal.aborted) interrupt();
    signal.addEventListener('abort', interrupt, { once: true });
  });
}
