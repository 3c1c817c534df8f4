/** From Enter to the own line: the chat on a terminal, its client in a worker as always, a real server. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openChatClient } from '../src/client/open-chat-client.ts';
import { runInteractive } from '../src/client/terminal/interactive.ts';
import { createPalette } from '../src/client/terminal/palette.ts';
import { createFakeTerminal, type FakeTerminal } from '../test/support/fake-terminal.ts';
import { startServerProcess } from '../test/support/server.ts';
import { type Figure, quantile, round } from './figure.ts';
import { lessThanMs, type Machine } from './machine.ts';

const SAMPLES = 100;
/** What comes first is compiled while it runs. */
const WARM_UP = 20;
const OWN_LINE_MS = 30;
const WAIT_MS = 60_000;
const PROMPT = '#tea bob> ';
/** Stands behind a line that is not sent yet. */
const UNSENT = '…';

export async function run(machine: Machine): Promise<readonly Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'mlsd-bench-typing-'));
  try {
    await using server = await startServerProcess();
    const client = await openChatClient({ dir: folder, server: server.url(), userName: 'bob' });
    const screen = watch(createFakeTerminal(80, 24));
    const leaving = new AbortController();
    const { input, output } = screen.terminal;
    const chat = runInteractive({
      ...{ client, group: 'tea', userName: 'bob', input, output, palette: createPalette(0) },
      now: Date.now,
      signal: leaving.signal,
      force: () => {},
    });
    const shown: number[] = [];
    const sent: number[] = [];
    for (let i = 0; i < WARM_UP + SAMPLES; i += 1) {
      const text = `message number ${i}`;
      screen.terminal.type(text);
      await screen.until((rows) => rows.at(-1) === `${PROMPT}${text}`);
      const entered = performance.now();
      screen.terminal.type('\r');
      const isOwn = (row: string): boolean => row.includes(text) && !row.startsWith(PROMPT);
      await screen.until((rows) => rows.some(isOwn));
      const shownAt = performance.now();
      await screen.until((rows) => rows.some((row) => isOwn(row) && !row.endsWith(UNSENT)));
      if (i < WARM_UP) continue;
      shown.push(shownAt - entered);
      sent.push(performance.now() - entered);
    }
    leaving.abort();
    await chat;
    await client.close();
    const [middle, worst] = [quantile(shown, 0.5), quantile(shown, 0.99)];
    const target = lessThanMs(machine, OWN_LINE_MS);
    return [
      {
        name: 'from Enter to the own line',
        value: `median ${round(middle, 1)} ms, p99 ${round(worst, 1)} ms; placed by the server: median ${round(quantile(sent, 0.5), 1)} ms, p99 ${round(quantile(sent, 0.99), 1)} ms`,
        target: `median ${target.target}`,
        met: target.met(middle),
      },
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A terminal whose screen can be waited for. */
function watch(terminal: FakeTerminal) {
  const { output } = terminal;
  const written = output.write;
  let look = (): void => {};
  output.write = (text) => {
    const result = written(text);
    look();
    return result;
  };
  const until = (isThere: (rows: readonly string[]) => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not seen:\n${terminal.screen().join('\n')}`)), WAIT_MS);
      look = () => {
        if (!isThere(terminal.screen())) return;
        look = () => {};
        clearTimeout(timer);
        resolve();
      };
      look();
    });
  return { terminal, until };
}
