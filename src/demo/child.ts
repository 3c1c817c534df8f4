import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** The longest the demonstration waits for one thing to happen. */
export const STEP_MAX_MS = 30_000;

/** How a process ended: its exit code, or the signal that ended it. */
export type Ending = number | NodeJS.Signals;

export interface Child extends AsyncDisposable {
  /** Lines of standard output and of standard error so far. */
  readonly out: readonly string[];
  readonly err: readonly string[];
  write(line: string): void;
  endInput(): void;
  /** Waits until some line of either output gives a value. @throws when it ends, or {@link STEP_MAX_MS} pass, without one */
  sees<Seen>(what: string, look: (child: Child) => Seen | undefined): Promise<Seen>;
  /** @throws when it does not end in time */
  ended(): Promise<Ending>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts a script in this Node. The process never outlives `signal` nor its disposal. */
export function startChild(name: string, args: readonly string[], env: NodeJS.ProcessEnv, signal: AbortSignal): Child {
  signal.throwIfAborted();
  const process_: ChildProcessByStdio<Writable, Readable, Readable> = spawn(process.execPath, [...args], {
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const out: string[] = [];
  const err: string[] = [];
  const lookers = new Set<() => void>();
  let ending: Ending | undefined;
  const changed = () => {
    for (const look of [...lookers]) look();
  };
  const collect = (stream: Readable, lines: string[]) =>
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      changed();
    });
  collect(process_.stdout, out);
  collect(process_.stderr, err);
  process_.stdin.on('error', () => {
    // It ended while it was written to; `ended` tells how.
  });
  process_.on('error', (error) => {
    err.push(error.message);
    ending ??= 1;
    changed();
  });
  process_.on('close', (code, killedBy) => {
    ending = code ?? killedBy ?? 1;
    changed();
  });

  const wait = <Seen>(what: string, look: () => Seen | undefined, mayEnd: boolean): Promise<Seen> =>
    new Promise((resolve, reject) => {
      const finish = (act: () => void) => {
        clearTimeout(timer);
        lookers.delete(check);
        signal.removeEventListener('abort', onAbort);
        act();
      };
      const fail = (why: string) => {
        const tail = [...out.slice(-3), ...err.slice(-5)].map((line) => `\n    ${line}`).join('');
        finish(() => reject(new Error(`${name} ${why} before ${what}; it said last:${tail}`)));
      };
      const check = () => {
        let seen: Seen | undefined;
        try {
          seen = look();
        } catch (error) {
          return finish(() => reject(error));
        }
        if (seen !== undefined) finish(() => resolve(seen));
        else if (ending !== undefined && !mayEnd) fail(`ended (${ending})`);
      };
      const onAbort = () => finish(() => reject(signal.reason));
      const timer = setTimeout(() => fail(`took longer than ${STEP_MAX_MS / 1000} s`), STEP_MAX_MS);
      lookers.add(check);
      signal.addEventListener('abort', onAbort);
      check();
    });

  const kill = (killSignal: NodeJS.Signals) => {
    if (ending === undefined) process_.kill(killSignal);
  };
  const child: Child = {
    out,
    err,
    write: (line) => void process_.stdin.write(`${line}\n`),
    endInput: () => void process_.stdin.end(),
    sees: (what, look) => wait(what, () => look(child), false),
    ended: () => wait('its end', () => ending, true),
    kill,
    [Symbol.asyncDispose]: async () => {
      kill('SIGKILL');
      if (ending === undefined) await new Promise<void>((resolve) => process_.once('close', () => resolve()));
    },
  };
  return child;
}
