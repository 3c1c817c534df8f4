/**
 * A program for tests in real terminals: the interactive chat on a client in memory, which a test plays through a Unix
 * socket. Started as `node --import tsx terminal-under-test.ts SOCKET`; every line to it is one JSON order, every line from
 * it the width that the program has just learned.
 */
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import chalk from 'chalk';
import { runInteractive } from '../../src/client/terminal/interactive.ts';
import { colourLevel, createPalette } from '../../src/client/terminal/palette.ts';
import { createFakeChatClient } from './fake-chat-client.ts';

export type Order =
  | { readonly kind: 'message'; readonly from: string; readonly text: string }
  | { readonly kind: 'accepting'; readonly value: boolean }
  /** The server is away until it is there again; commands that need it wait that long. */
  | { readonly kind: 'away'; readonly value: boolean };

const [socketPath = ''] = process.argv.slice(2);
const client = createFakeChatClient({ me: 'alice', knownUsers: ['bob', 'carol'] });
const tea = client.control.addGroup('tea', ['alice', 'bob']);
let back: () => void = () => {};
let away: Promise<void> | undefined;
const { invite } = client;
client.invite = async (...args) => {
  await away;
  return invite(...args);
};
const server = createServer((socket) => {
  process.stdout.on('resize', () => socket.write(`${process.stdout.columns}\n`));
  createInterface({ input: socket }).on('line', (line) => {
    const order = JSON.parse(line) as Order;
    if (order.kind === 'message') client.control.message(tea, order.from, order.text);
    else if (order.kind === 'accepting') client.control.setAccepting(order.value);
    else if (order.value) {
      away = new Promise((resolve) => {
        back = resolve;
      });
      client.control.setConnection({ state: 'offline', reason: 'it is away', retryInMs: 1000 });
    } else {
      client.control.setConnection({ state: 'online' });
      back();
    }
  });
});
await new Promise<void>((resolve) => server.listen(socketPath, resolve));
const { stdin, stdout, env } = process;
await runInteractive({
  client,
  group: 'tea',
  userName: 'alice',
  input: stdin,
  output: stdout,
  palette: createPalette(colourLevel(env, true, chalk.level)),
  now: Date.now,
  force: () => process.exit(130),
  suspend: () =>
    new Promise((resolve) => {
      process.once('SIGCONT', () => resolve());
      process.kill(process.pid, 'SIGTSTP');
    }),
});
process.exit(0);
