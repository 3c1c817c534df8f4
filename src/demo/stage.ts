import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from './child.ts';
import { type PrintedLine, parsePrintedLine } from './histories.ts';
import type { Narrator } from './narrator.ts';

const GROUP = 'tea';
const MLSD = fileURLToPath(new URL('../bin/mlsd.js', import.meta.url));
const MLSCHAT = fileURLToPath(new URL('../bin/mlschat.js', import.meta.url));
const READY = /^mlsd listening on (http:\/\/\S+)/;

export interface RunningServer {
  readonly url: string;
  /** The line it said when it was ready. */
  readonly greeting: string;
  readonly child: Child;
}

/** One `mlschat` process that is open: a person at a keyboard, read and written by the demonstration. */
export interface Session {
  /** Types a line. */
  types(line: string): void;
  /** Waits until a message with this text was read. */
  reads(text: string): Promise<PrintedLine>;
  /** Waits until the program said something that matches. */
  hears(pattern: RegExp): Promise<string>;
  /** Everything read in this session. */
  lines(): PrintedLine[];
  /** Closes the keyboard and waits for the end. @throws when the exit code is not 0 */
  leaves(): Promise<void>;
}

export interface Stage extends AsyncDisposable {
  startServer(): Promise<RunningServer>;
  /** Opens `mlschat --json` for a person, following until `leaves`. */
  session(name: string, since?: string): Session;
  /** Runs `mlschat --json --no-follow` to its end. */
  look(
    name: string,
    since?: string,
  ): Promise<{ readonly code: number; readonly lines: PrintedLine[]; readonly said: string }>;
}

/** Settings of programs that are in use here, a cluster say, are not those of the demonstration; a nats-server is. */
const SETTINGS = /^(MLSD|MLSCHAT)_/;
const KEPT = 'MLSD_NATS_SERVER';

/** The environment of every process on the stage: plain text, and nobody's settings. */
export function stageEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) => (name === KEPT || !SETTINGS.test(name)) && name !== 'FORCE_COLOR',
  );
  return { ...Object.fromEntries(kept), NO_COLOR: '1' };
}

/** A folder of its own for server and people, gone at the end, with every process that was started. */
export async function openStage(narrator: Narrator, signal: AbortSignal): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'mlsd-demo-'));
  const children: Child[] = [];
  const env = stageEnvironment(process.env);
  // Should the demonstration itself break, nothing is left running.
  const killAll = () => {
    for (const child of children) child.kill('SIGKILL');
  };
  process.on('exit', killAll);
  let port = '0';
  let url = '';

  const start = (name: string, args: readonly string[]): Child => {
    const child = startChild(name, args, env, signal);
    children.push(child);
    return child;
  };
  const chatArguments = (name: string, since: string | undefined): string[] => [
    ...[MLSCHAT, '--server', url, '--config', join(folder, name), '--json'],
    ...(since === undefined ? [] : ['--since-cursor', since]),
    ...[GROUP, name],
  ];

  return {
    startServer: async () => {
      const child = start('mlsd', [MLSD, 'serve', '--port', port, '--data', join(folder, 'server')]);
      const greeting = await child.sees('it was ready', ({ out }) => out.find((line) => READY.test(line)));
      url = READY.exec(greeting)?.[1] ?? '';
      // Started again it has to be where the others look for it.
      port = new URL(url).port;
      return { url, greeting, child };
    },
    session: (name, since) => sessionOf(name, start(name, chatArguments(name, since)), narrator),
    look: async (name, since) => {
      const child = start(name, [...chatArguments(name, since), '--no-follow']);
      child.endInput();
      const code = await child.ended();
      return { code: Number(code), lines: child.out.map(parsePrintedLine), said: child.err.join('\n') };
    },
    [Symbol.asyncDispose]: async () => {
      for (const child of children.reverse()) await child[Symbol.asyncDispose]();
      process.off('exit', killAll);
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function sessionOf(name: string, child: Child, narrator: Narrator): Session {
  let told = 0;
  const lines = () => child.out.map(parsePrintedLine);
  const tell = () => {
    for (const line of lines().slice(told)) {
      narrator.reads(name, line);
      told += 1;
    }
  };
  return {
    types: (line) => child.write(line),
    reads: async (text) => {
      const line = await child.sees(`${name} read "${text}"`, () => lines().find((each) => each.text === text));
      tell();
      return line;
    },
    hears: async (pattern) => {
      const row = await child.sees(`${name} heard ${pattern}`, ({ err }) => err.find((each) => pattern.test(each)));
      tell();
      return row;
    },
    lines,
    leaves: async () => {
      child.endInput();
      const ending = await child.ended();
      tell();
      if (ending !== 0) throw new Error(`${name}'s mlschat ended with ${ending}: ${child.err.slice(-3).join(' / ')}`);
    },
  };
}
