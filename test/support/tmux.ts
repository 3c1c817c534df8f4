import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from './until.ts';

const run = promisify(execFile);

/** Whether real-terminal tests can run here. */
export const hasTmux = ((): boolean => {
  try {
    execFileSync('tmux', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** One terminal window with a shell command in it, on a tmux server of its own. */
export interface Window {
  /** The rows of the screen, without colour, spaces at the ends dropped. */
  screen(): Promise<string[]>;
  /** Waits until the screen satisfies a look; gives the screen. */
  sees(look: (rows: readonly string[]) => boolean): Promise<string[]>;
  /** Types text as it is. */
  type(text: string): Promise<void>;
  /** Presses named keys: `Enter`, `Left`, `C-c`, … */
  press(...keys: string[]): Promise<void>;
  /** Pastes as a terminal does: bracketed when the program asked for it. */
  paste(text: string): Promise<void>;
  resize(columns: number, rows: number): Promise<void>;
  /** Column and row of the cursor, from 0. */
  cursor(): Promise<{ column: number; row: number }>;
  title(): Promise<string>;
  /** Process id of the program. */
  pid(): Promise<number>;
  close(): Promise<void>;
}

/** @param command argument vector of the program */
export async function openWindow(
  command: readonly string[],
  size: { columns: number; rows: number },
  env: Readonly<Record<string, string>> = {},
): Promise<Window> {
  const folder = mkdtempSync(join(tmpdir(), 'mlschat-tmux-'));
  const socket = join(folder, 'tmux');
  const tmux = async (...args: string[]) => (await run('tmux', ['-S', socket, '-f', '/dev/null', ...args])).stdout;
  const variables = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
  const dimensions = ['-x', String(size.columns), '-y', String(size.rows)];
  await tmux(
    'start-server',
    ';',
    'set-option',
    '-g',
    'remain-on-exit',
    'on',
    ';',
    'new-session',
    '-d',
    '-s',
    'w',
    ...dimensions,
    ...variables,
    ...command,
  );
  const screen = async () =>
    (await tmux('capture-pane', '-p', '-t', 'w'))
      .replace(/\n+$/, '')
      .split('\n')
      .map((row) => row.trimEnd());
  return {
    screen,
    sees: async (look) => {
      let last: string[] = [];
      const found = async () => {
        last = await screen();
        return look(last) ? last : undefined;
      };
      return until(found, () => last.join('\n'));
    },
    type: async (text) => void (await tmux('send-keys', '-t', 'w', '-l', text)),
    press: async (...keys) => void (await tmux('send-keys', '-t', 'w', ...keys)),
    paste: async (text) => {
      await tmux('set-buffer', '-b', 'p', text);
      await tmux('paste-buffer', '-p', '-b', 'p', '-t', 'w');
    },
    resize: async (columns, rows) =>
      void (await tmux('resize-window', '-t', 'w', '-x', String(columns), '-y', String(rows))),
    cursor: async () => {
      const [column = 0, row = 0] = (await tmux('display-message', '-p', '-t', 'w', '#{cursor_x} #{cursor_y}'))
        .trim()
        .split(' ')
        .map(Number);
      return { column, row };
    },
    title: async () => (await tmux('display-message', '-p', '-t', 'w', '#{pane_title}')).trim(),
    pid: async () => Number((await tmux('display-message', '-p', '-t', 'w', '#{pane_pid}')).trim()),
    close: async () => {
      await tmux('kill-server').catch(() => '');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
