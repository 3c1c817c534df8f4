import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import type { Order } from '../../support/terminal-under-test.ts';
import { hasTmux, openWindow, type Window } from '../../support/tmux.ts';
import { until } from '../../support/until.ts';

const PROGRAM = fileURLToPath(new URL('../../support/terminal-under-test.ts', import.meta.url));
const PROMPT = '#tea alice>';

interface Chat {
  readonly window: Window;
  order(order: Order): void;
  /** Resizes the window and waits until the program knows. */
  resize(columns: number, rows: number): Promise<void>;
  close(): Promise<void>;
}

const open: Chat[] = [];
afterEach(async () => {
  for (const chat of open.splice(0)) await chat.close();
});

async function startChat(columns = 80, rows = 30): Promise<Chat> {
  const folder = mkdtempSync(join(tmpdir(), 'mlschat-chat-'));
  const path = join(folder, 'orders');
  const command = [process.execPath, '--import', 'tsx', PROGRAM, path];
  const window = await openWindow(command, { columns, rows }, { TZ: 'UTC' });
  await window.sees((screen) => screen.at(-1) === PROMPT);
  const socket = await connected(path);
  const widths: string[] = [];
  createInterface({ input: socket }).on('line', (line) => widths.push(line));
  const chat: Chat = {
    window,
    // tmux tells the program a quarter of a second later; before, nobody knows the new width.
    resize: async (columns, rows) => {
      await window.resize(columns, rows);
      await until(() => widths.at(-1) === String(columns));
    },
    order: (order) => void socket.write(`${JSON.stringify(order)}\n`),
    close: async () => {
      socket.destroy();
      await window.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  open.push(chat);
  return chat;
}

async function connected(path: string): Promise<Socket> {
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket;
}

const talk = (screen: readonly string[]) => screen.filter((row) => /^#tea <|^ {2}[^/ ]/.test(row));

describe.skipIf(!hasTmux)('in a real terminal (tmux)', () => {
  test('fault 12: what is typed while messages arrive is neither lost nor mixed with them', async () => {
    const { window, order } = await startChat();
    for (const [index, word] of ['one ', 'two ', 'three ', 'four'].entries()) {
      order({ kind: 'message', from: 'bob', text: `message ${index}` });
      await window.type(word);
    }
    await window.press('Left', 'Left', 'Left', 'Left');
    order({ kind: 'message', from: 'bob', text: 'last' });
    await window.type('or ');
    const screen = await window.sees(
      (rows) => rows.at(-1) === `${PROMPT} one two three or four` && rows.includes('#tea <bob> last'),
    );
    expect(talk(screen)).toEqual([0, 1, 2, 3].map((index) => `#tea <bob> message ${index}`).concat('#tea <bob> last'));
    expect(await window.cursor()).toEqual({ column: `${PROMPT} one two three or `.length, row: screen.length - 1 });
    await window.press('Enter');
    const sent = await window.sees(
      (rows) => rows.at(-1) === PROMPT && rows.at(-2) === '#tea <alice> one two three or four',
    );
    expect(sent.filter((row) => row.includes('one two'))).toHaveLength(1);
  });

  test('a paste of several rows is one message', async () => {
    const { window } = await startChat();
    await window.paste('first row\n/quit\nthird row\n');
    await window.sees((rows) => rows.includes('  third row'));
    await window.press('Enter');
    const screen = await window.sees((rows) => rows.at(-1) === PROMPT && rows.includes('#tea <alice> first row'));
    expect(talk(screen)).toEqual(['#tea <alice> first row', '  third row']);
    expect(screen).toContain('  /quit');
  });

  test('narrower, wider, lower: one prompt, the typed text complete, the messages above it', async () => {
    const { window, order, resize } = await startChat(90, 30);
    const text = 'these words are long enough to need a second row in a window that is narrow';
    order({ kind: 'message', from: 'bob', text: 'before' });
    await window.type(text);
    await window.sees((rows) => rows.at(-1) === `${PROMPT} ${text}` && rows.includes('#tea <bob> before'));
    for (const [columns, rows] of [
      [40, 30],
      [28, 20],
      [100, 24],
      [50, 12],
      [90, 30],
    ] as const) {
      const whole = (seen: readonly string[]) => {
        const typed = seen.slice(seen.findIndex((row) => row.startsWith(PROMPT)));
        return (
          typed.every((row) => row.length < columns) &&
          typed.join('').replaceAll(' ', '') === `${PROMPT} ${text}`.replaceAll(' ', '')
        );
      };
      await resize(columns, rows);
      await window.type('!');
      await window.press('BSpace');
      order({ kind: 'message', from: 'bob', text: `at ${columns}` });
      const screen = await window.sees((seen) => whole(seen) && seen.includes(`#tea <bob> at ${columns}`));
      expect(screen.filter((row) => row.includes(PROMPT))).toHaveLength(1);
    }
  });

  test('fault 15: no message can clear the screen, move the cursor, set a title or turn the text', async () => {
    const { window, order } = await startChat();
    order({ kind: 'message', from: 'bob', text: 'before' });
    const attacks = [
      '\u001b[2J\u001b[H',
      '\u001b]0;pwned\u0007',
      '\u009b2J',
      '\r#tea <carol> not me',
      '\u001b[10A\u001b[31mup',
      '\u001bc',
      'a\b\b\b\bb',
      '\u202eabc',
    ];
    for (const text of attacks) order({ kind: 'message', from: 'bob', text });
    order({ kind: 'message', from: 'bob', text: 'after' });
    await window.type('still typing');
    const screen = await window.sees(
      (rows) => rows.includes('#tea <bob> after') && rows.at(-1) === `${PROMPT} still typing`,
    );
    expect(screen[0]).toBe('Connected to group: tea');
    expect(screen).toContain('#tea <bob> ␛[2J␛[H');
    expect(screen.filter((row) => row.startsWith('#tea <'))).toHaveLength(attacks.length + 2);
    expect(screen.filter((row) => row.startsWith('#tea <carol>'))).toEqual([]);
    expect(await window.title()).not.toContain('pwned');
  });

  test('wide characters and emoji: the cursor stands where the next one comes', async () => {
    const { window, order } = await startChat();
    await window.type('世界 ok');
    await window.press('Left', 'Left', 'Left');
    order({ kind: 'message', from: 'bob', text: 'ping' });
    const screen = await window.sees((rows) => rows.includes('#tea <bob> ping') && rows.at(-1) === `${PROMPT} 世界 ok`);
    expect(await window.cursor()).toEqual({ column: PROMPT.length + 1 + 4, row: screen.length - 1 });
  });

  test('unsent messages wait above the prompt and move up when they are accepted', async () => {
    const { window, order } = await startChat();
    order({ kind: 'accepting', value: false });
    await window.type('hello?');
    await window.press('Enter');
    await window.sees((rows) => rows.at(-2) === '#tea <alice> hello? …' && rows.at(-1) === PROMPT);
    order({ kind: 'message', from: 'bob', text: 'anyone?' });
    await window.sees((rows) => rows.at(-3) === '#tea <bob> anyone?' && rows.at(-2) === '#tea <alice> hello? …');
    order({ kind: 'accepting', value: true });
    const screen = await window.sees((rows) => rows.at(-2) === '#tea <alice> hello?');
    expect(talk(screen)).toEqual(['#tea <bob> anyone?', '#tea <alice> hello?']);
  });

  test('a conversation longer than the window scrolls, and the prompt stays the last row', async () => {
    const { window, order } = await startChat(60, 12);
    await window.type('draft');
    for (let i = 0; i < 100; i += 1) order({ kind: 'message', from: 'bob', text: `line ${i}` });
    const screen = await window.sees((rows) => rows.at(-2) === '#tea <bob> line 99');
    expect(screen.slice(0, -1)).toEqual(Array.from({ length: 11 }, (_, index) => `#tea <bob> line ${89 + index}`));
    expect(screen.at(-1)).toBe(`${PROMPT} draft`);
  });

  test('/quit leaves a clean last row', async () => {
    const { window } = await startChat();
    await window.type('/quit');
    await window.press('Enter');
    const screen = await window.sees((rows) => rows.includes('Goodbye!'));
    expect(screen.some((row) => row.startsWith(PROMPT))).toBe(false);
  });
});
