import { join } from 'node:path';
import { type ChildLines, spawnLines } from '../support/process.ts';

const MLSCHAT = join(import.meta.dirname, '../../dist/bin/mlschat.js');
const GROUP = 'tea';

/** One person's whole life in the chat: several processes of `mlschat`, one after another, on one folder. */
export interface Life {
  readonly name: string;
  /** Of the process that runs now. */
  readonly pid: number;
  say(text: string): void;
  /** Ends its process as it is, and starts another one that goes on at the last line this one printed. */
  dieAndReturn(): Promise<void>;
  /** Stops the process for as long as `work` takes. */
  pauseDuring(work: () => Promise<void>): Promise<void>;
  /** The texts it has shown, in order. */
  texts(): string[];
  /** What it was told to say, in order. Where it died, the last of it may have died in the pipe. */
  readonly said: readonly string[];
  readonly deaths: number;
  waitFor(what: RegExp, why: string): Promise<void>;
  end(): Promise<void>;
}

interface PrintedLine {
  readonly kind?: string;
  readonly cursor?: string;
  readonly text?: string;
}

export const IS_IN = /"kind":"(created|joined)"/;
export const WAITS = /Ask to be invited/;

export function beginLife(name: string, folder: string, url: string, env: NodeJS.ProcessEnv = {}): Life {
  const past: string[] = [];
  const said: string[] = [];
  let deaths = 0;
  const start = (since: string | undefined): ChildLines => {
    const from = since === undefined ? [] : ['--since-cursor', since];
    const args = ['--server', url, '--config', join(folder, name), '--json', ...from, GROUP, name];
    return spawnLines(process.execPath, [MLSCHAT, ...args], env);
  };
  let child = start(undefined);
  const printed = (): PrintedLine[] =>
    [...past, ...child.lines].filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as PrintedLine);
  return {
    name,
    said,
    get pid() {
      return child.pid;
    },
    get deaths() {
      return deaths;
    },
    say(text) {
      child.write(`${text}\n`);
      if (!text.startsWith('/')) said.push(text);
    },
    async dieAndReturn() {
      await child.kill('SIGKILL');
      deaths += 1;
      past.push(...child.lines);
      const cursor = printed().findLast((line) => line.cursor !== undefined)?.cursor ?? 'start';
      child = start(cursor);
    },
    async pauseDuring(work) {
      process.kill(child.pid, 'SIGSTOP');
      try {
        await work();
      } finally {
        process.kill(child.pid, 'SIGCONT');
      }
    },
    texts: () => printed().flatMap(({ kind, text }) => (kind === 'message' && text !== undefined ? [text] : [])),
    async waitFor(what, why) {
      if (!past.some((line) => what.test(line))) await child.waitForLine((line) => what.test(line), `${name}: ${why}`);
    },
    end: () => child.kill('SIGKILL'),
  };
}
