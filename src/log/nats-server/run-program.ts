import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const OUTPUT_MAX_BYTES = 4 * 1024 * 1024;
/** A package index and a package over a slow line. */
const DEFAULT_TIMEOUT_MS = 180_000;

export interface RunOptions {
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/** Runs a program to its end without standard input. @throws Error with the last line it wrote to standard error. */
export async function runProgram(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const running = execute(program, [...args], {
    timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    maxBuffer: OUTPUT_MAX_BYTES,
    env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  running.child.stdin?.end();
  try {
    return (await running).stdout;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new Error(`there is no ${program} on this machine`, { cause });
    }
    const stderr = (cause as { stderr?: unknown }).stderr;
    const said = typeof stderr === 'string' ? stderr.trim().split('\n').at(-1) : undefined;
    throw new Error(said === undefined || said === '' ? `${program} failed` : said, { cause });
  }
}
