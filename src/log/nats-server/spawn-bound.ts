import { type ChildProcess, spawn } from 'node:child_process';

/**
 * A child that cannot outlive its parent, on any POSIX system: the shell leaves a watcher behind that reads a pipe
 * from the parent, then becomes the program itself (so pid, signals and exit code are the program's own). The pipe
 * ends when the parent does, also by SIGKILL; the watcher then stops the program. A line on the pipe means that the
 * parent saw the program end, so that the watcher never signals a number that has passed to somebody else.
 */
const WATCHED = `exec 4<&0
program=$$
(
  if read -r ended; then exit 0; fi
  kill -TERM "$program"
  n=0
  while [ $n -lt 100 ] && kill -0 "$program"; do sleep 0.1; n=$((n + 1)); done
  kill -KILL "$program"
) <&4 >/dev/null 2>/dev/null 3>&- &
exec "$@" </dev/null 4<&-`;

const STDERR_KEPT_LINES = 20;
const STOP_TIMEOUT_MS = 10_000;

/** A running child; `ended` settles once, when it is gone. */
export interface BoundChild {
  readonly pid: number;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** The last lines the program wrote to standard error. */
  lastLines(): readonly string[];
  /** SIGTERM, then SIGKILL after ten seconds; settles when the program is gone. */
  stop(): Promise<void>;
}

/**
 * Starts a program that ends with this process. `keepOpen` is inherited as descriptor 3 and held while it runs.
 *
 * The child has a process group of its own: Ctrl-C in a terminal reaches only the parent, which can then close in order.
 */
export async function spawnBound(program: string, args: readonly string[], keepOpen: number): Promise<BoundChild> {
  const child = spawn('/bin/sh', ['-c', WATCHED, program, program, ...args], {
    stdio: ['pipe', 'ignore', 'pipe', keepOpen],
    detached: true,
  });
  await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  const lines = collectLines(child);
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => {
      child.stdin?.end('ended\n');
      resolve({ code, signal });
    });
  });
  // The watcher may be gone before it reads the line (killed together with the program): nothing is owed to it then.
  child.stdin?.on('error', () => undefined);
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  };
  return { pid: child.pid!, ended, lastLines: () => lines, stop };
}

function collectLines(child: ChildProcess): string[] {
  const lines: string[] = [];
  let rest = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    const parts = `${rest}${text}`.split('\n');
    rest = (parts.pop() ?? '').slice(-1000);
    lines.push(...parts.filter((line) => line.trim() !== ''));
    lines.splice(0, Math.max(0, lines.length - STDERR_KEPT_LINES));
  });
  return lines;
}
