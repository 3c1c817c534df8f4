import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { childrenOf } from '../../support/process.ts';
import type { Order } from '../../support/terminal-under-test.ts';
import { hasTmux, openWindow, type Window } from '../../support/tmux.ts';
import { until } from '../../support/until.ts';

const PROGRAM = fileURLToPath(new URL('../../support/terminal-under-test.ts', import.meta.url));
const PROMPT = '#tea alice>';

interface Chat {
  readonly window: Window;
  order(order: Order): void;
  /** Kills the program as `kill -9` does, and waits until it is there again, in the same window. */
  killAndRestart(): Promise<void>;
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
  const program = [process.execPath, '--import', 'tsx', PROGRAM, path];
  // killed, it is started again on the same screen, as by a person
  const command = ['sh', '-c', 'until "$@"; do :; done', 'sh', ...program];
  const window = await openWindow(command, { columns, rows }, { TZ: 'UTC' });
  await window.sees((screen) => screen.at(-1) === PROMPT);
  let socket: Socket;
  const widths: string[] = [];
  const listen = async () => {
    socket = await connected(path);
    createInterface({ input: socket }).on('line', (line) => widths.push(line));
  };
  await listen();
  const chat: Chat = {
    window,
    killAndRestart: async () => {
      const [pid] = childrenOf(await window.pid(), 'terminal-under-test');
      if (pid === undefined) throw new Error('there is no program to kill');
      rmSync(path);
      process.kill(pid, 'SIGKILL');
      await until(() => existsSync(path));
      await window.sees((screen) => screen.at(-1) === PROMPT);
      await listen();
    },
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

  test('the whole screen: what arrives while somebody types, resizes, pastes and is offline stands where it belongs', async () => {
    const { window, order, resize } = await startChat(80, 24);
    await window.press('C-l');
    await window.sees((rows) => rows[0] === PROMPT);
    order({ kind: 'message', from: 'bob', text: 'one' });
    await window.type('a draft that is so long that it needs two rows');
    await resize(40, 24);
    order({ kind: 'message', from: 'bob', text: 'two' });
    await window.sees((rows) => rows.includes('#tea <bob> two'));
    await resize(80, 24);
    await window.sees((rows) => rows.at(-1) === `${PROMPT} a draft that is so long that it needs two rows`);
    await window.press('Enter');
    await window.paste('three\nand its second row');
    order({ kind: 'message', from: 'bob', text: 'four' });
    await window.sees((rows) => rows.includes('#tea <bob> four') && rows.at(-1) === '  and its second row');
    await window.press('Enter');
    await window.sees((rows) => rows.includes('#tea <alice> three') && rows.at(-1) === PROMPT);
    order({ kind: 'away', value: true });
    await window.sees((rows) => rows.at(-2) === 'offline');
    await window.type('/invite carol');
    await window.press('Enter');
    await window.sees((rows) => rows.includes('> /invite carol …'));
    await window.type('five');
    await window.press('Enter');
    await window.type('six is not done');
    const offline = await window.sees(
      (rows) => rows.includes('#tea <alice> five …') && rows.at(-1) === `${PROMPT} six is not done`,
    );
    const above = [
      '#tea <bob> one',
      '#tea <bob> two',
      '#tea <alice> a draft that is so long that it needs two rows',
      '#tea <bob> four',
      '#tea <alice> three',
      '  and its second row',
      'offline: it is away; trying again in 1 s, what you write is kept',
      '> /invite carol',
    ];
    const withoutTimes = (rows: readonly string[]) => rows.filter((row) => !row.startsWith('──'));
    const note = 'offline: /invite needs the server; it is tried for a while';
    expect(withoutTimes(offline)).toEqual([
      ...[...above, note, '> /invite carol …', '#tea <alice> five …', 'offline'],
      `${PROMPT} six is not done`,
    ]);
    order({ kind: 'away', value: false });
    const after = [
      ...['online again', '#tea <alice> five', '#tea <alice> [updated group membership] added carol'],
      ...['> /invite carol', 'carol is invited to #tea', `${PROMPT} six is not done`],
    ];
    const online = await window.sees(
      (rows) => after.every((row) => rows.includes(row)) && !rows.some((row) => row === 'offline' || row.endsWith('…')),
    );
    expect(withoutTimes(online).slice(0, above.length)).toEqual(above);
    expect(
      withoutTimes(online)
        .slice(above.length + 1)
        .sort(),
    ).toEqual(after.sort());
    expect(online.at(-1)).toBe(`${PROMPT} six is not done`);
  });

  // whose child is whose is only known there
  test.skipIf(process.platform !== 'linux')(
    'kill -9 in the middle of a line: started again in the same window, the screen is whole and the keys work',
    async () => {
      const { window, order, killAndRestart } = await startChat(80, 24);
      await window.press('C-l');
      await window.sees((rows) => rows[0] === PROMPT);
      order({ kind: 'message', from: 'bob', text: 'before' });
      await window.type('half a thou');
      await window.sees((rows) => rows.includes('#tea <bob> before') && rows.at(-1) === `${PROMPT} half a thou`);
      await killAndRestart();
      order({ kind: 'message', from: 'bob', text: 'after' });
      await window.paste('two rows\nof one message');
      await window.sees((rows) => rows.includes('#tea <bob> after') && rows.at(-1) === '  of one message');
      await window.press('Enter');
      const screen = await window.sees((rows) => rows.at(-1) === PROMPT && rows.includes('#tea <alice> two rows'));
      // the row that it died in is the shell's
      expect(screen.filter((row) => row === PROMPT)).toEqual([PROMPT]);
      expect(screen.filter((row) => /^#tea <|^ {2}of|^Connected/.test(row))).toEqual([
        '#tea <bob> before',
        'Connected to group: tea',
        '#tea <bob> after',
        '#tea <alice> two rows',
        '  of one message',
      ]);
    },
  );

  test('a paste of fifty rows leaves the talk in sight, counts what is hidden, and is one message', async () => {
    const { window, order } = await startChat(60, 20);
    await window.press('C-l');
    // a screen that is cleared after the message came would not show it
    await window.sees((rows) => rows[0] === PROMPT);
    order({ kind: 'message', from: 'bob', text: 'still in sight' });
    await window.sees((rows) => rows.includes('#tea <bob> still in sight'));
    await window.paste(Array.from({ length: 50 }, (_, index) => `row ${index + 1}`).join('\n'));
    const typed = await window.sees((rows) => rows.at(-1) === '  row 50');
    expect(typed).toContain('#tea <bob> still in sight');
    expect(typed.slice(-11)).toEqual(['  … 40', ...Array.from({ length: 10 }, (_, index) => `  row ${index + 41}`)]);
    await window.press('Enter');
    const sent = await window.sees((rows) => rows.at(-1) === PROMPT && rows.at(-2) === '  row 50');
    expect(sent.slice(-19, -1)).toEqual(Array.from({ length: 18 }, (_, index) => `  row ${index + 33}`));
  });

  test('/quit leaves a clean last row', async () => {
    const { window } = await startChat();
    await window.type('/quit');
    await window.press('Enter');
    const screen = await window.sees((rows) => rows.includes('Goodbye!'));
    expect(screen.some((row) => row.startsWith(PROMPT))).toBe(false);
  });
});
