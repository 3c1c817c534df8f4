import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

/** A child of a test, its output as lines, and a way to wait for one of them. */
export interface ChildLines {
  readonly child: ChildProcess;
  readonly pid: number;
  /** All lines of standard output so far. */
  readonly lines: readonly string[];
  readonly errors: readonly string[];
  write(text: string): void;
  /** Resolves with the first line (past ones included) that satisfies the predicate. Rejects when the process ends first. */
  waitForLine(predicate: (line: string) => boolean, what: string): Promise<string>;
  /** Sends the signal and resolves when the process has ended. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Resolves with the exit code, `undefined` after a signal. */
  exited: Promise<number | undefined>;
}

const LINE_TIMEOUT_MS = 240_000;
const TAIL_LINES = 10;

/** Starts `command`; output is kept as lines. */
export function spawnLines(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildLines {
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1', ...env },
  });
  const lines: string[] = [];
  const errors: string[] = [];
  const watchers = new Set<() => void>();
  const notify = () => {
    for (const watcher of [...watchers]) watcher();
  };
  collectLines(child.stdout!, lines, notify);
  collectLines(child.stderr!, errors, notify);
  child.stdin!.on('error', () => notify()); // a killed child's pipe: its exit is what the test looks at
  let ended = false;
  const exited = once(child, 'close').then(([code]) => {
    ended = true;
    notify();
    return (code as number | null) ?? undefined;
  });
  return {
    child,
    pid: child.pid!,
    lines,
    errors,
    write: (text) => void child.stdin!.write(text),
    waitForLine: (predicate, what) =>
      new Promise((resolve, reject) => {
        const stop = (why: string) => {
          settle();
          const tail = [...lines.slice(-TAIL_LINES), '-- standard error', ...errors.slice(-TAIL_LINES)].join('\n');
          reject(new Error(`${why}: ${what}\n${tail}`));
        };
        const timer = setTimeout(() => stop('never came'), LINE_TIMEOUT_MS);
        const settle = () => {
          clearTimeout(timer);
          watchers.delete(look);
        };
        const look = () => {
          const found = lines.find(predicate) ?? errors.find(predicate);
          if (found !== undefined) {
            settle();
            resolve(found);
          } else if (ended) stop('the process ended before');
        };
        watchers.add(look);
        look();
      }),
    kill: async (signal) => {
      if (!ended) child.kill(signal);
      await exited;
    },
    exited,
  };
}

/** Direct children of a process whose command contains `name`. Linux only; empty elsewhere. */
export function childrenOf(pid: number, name: string): number[] {
  if (process.platform !== 'linux') return [];
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(/\s+/)
    .filter(Boolean)
    .map(Number);
  return children.flatMap((child) => {
    const command = readFileSync(`/proc/${child}/cmdline`, 'utf8');
    return command.includes(name) ? [child] : childrenOf(child, name);
  });
}

function collectLines(stream: NodeJS.ReadableStream, into: string[], notify: () => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop()!;
    into.push(...parts);
    if (parts.length > 0) notify();
  });
}
