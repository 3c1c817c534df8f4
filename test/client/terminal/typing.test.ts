import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deviceNames } from '../../../src/client/terminal/account-rows.ts';
import { complete } from '../../../src/client/terminal/complete.ts';
import { type EditAction, type Editor, EMPTY_EDITOR, edit, enter } from '../../../src/client/terminal/editor.ts';
import { createInOrder, WAITING_MAX } from '../../../src/client/terminal/in-order.ts';
import { createPalette } from '../../../src/client/terminal/palette.ts';
import { parseInput } from '../../../src/client/terminal/parse-input.ts';
import { layOut } from '../../../src/client/terminal/screen.ts';
import { graphemesOf, textWidth } from '../../../src/client/terminal/text-width.ts';
import type { DeviceId } from '../../../src/wire/ids.ts';

const kinds = [
  ...['backspace', 'delete', 'left', 'right', 'word-left', 'word-right', 'home', 'end'],
  ...['cut-to-start', 'cut-to-end', 'cut-word', 'yank', 'older', 'newer'],
] as EditAction['kind'][];
const action: fc.Arbitrary<EditAction> = fc.oneof(
  fc.record({ kind: fc.constant('insert' as const), text: fc.string({ unit: 'grapheme' }) }),
  fc.constantFrom(...kinds).map((kind) => ({ kind }) as EditAction),
);

function typed(text: string): Editor {
  return edit(EMPTY_EDITOR, { kind: 'insert', text });
}

describe('the line being typed', () => {
  test('after any keys the cursor stands inside the text, between two graphemes', () => {
    fc.assert(
      fc.property(fc.array(action), (actions) => {
        const editor = actions.reduce(edit, EMPTY_EDITOR);
        expect(editor.cursor).toBeGreaterThanOrEqual(0);
        expect(editor.cursor).toBeLessThanOrEqual(editor.text.length);
        const ends = new Set([0]);
        let end = 0;
        for (const grapheme of graphemesOf(editor.text)) {
          end += grapheme.length;
          ends.add(end);
        }
        // Joining two texts may join their graphemes; the cursor is then where they were joined.
        if (actions.every((each) => each.kind !== 'insert' && each.kind !== 'yank'))
          expect(ends).toContain(editor.cursor);
      }),
    );
  });

  test('backspace takes away what looks like one character', () => {
    for (const last of ['e\u0301', '👩‍👩‍👧', '🇩🇪', '世']) {
      expect(edit(typed(`a${last}`), { kind: 'backspace' }).text).toBe('a');
    }
  });

  test('words are cut and put back', () => {
    const cut = edit(typed('one two  '), { kind: 'cut-word' });
    expect(cut.text).toBe('one ');
    expect(edit(cut, { kind: 'yank' }).text).toBe('one two  ');
  });

  test('the arrow keys bring back older lines, and then what was being typed', () => {
    const two = enter(edit(enter(typed('first')), { kind: 'insert', text: 'second' }));
    let editor = edit(two, { kind: 'insert', text: 'draft' });
    const seen = [];
    for (const kind of ['older', 'older', 'older', 'newer', 'newer', 'newer'] as const) {
      editor = edit(editor, { kind });
      seen.push(editor.text);
    }
    expect(seen).toEqual(['second', 'first', 'first', 'second', 'draft', 'draft']);
  });

  test('in a text of several rows the arrow keys go from row to row first, and Ctrl-U takes the row, then its break', () => {
    let editor = edit(enter(typed('before')), { kind: 'insert', text: 'first row\n世界\nthird' });
    const places = [];
    for (const kind of ['older', 'older', 'newer', 'older', 'older', 'newer'] as const) {
      editor = edit(editor, { kind });
      places.push(`${editor.text.slice(0, editor.cursor)}|`.split('\n').at(-1));
    }
    expect(places).toEqual(['世界|', 'fi|', '世界|', 'fi|', 'before|', 'third|']);
    for (const left of ['first row\n世界\n', 'first row\n世界', 'first row\n', 'first row', '', '']) {
      editor = edit(editor, { kind: 'cut-to-start' });
      expect(editor.text).toBe(left);
    }
  });

  test('control characters are not taken in, line breaks of any kind are one', () => {
    expect(typed('a\r\nb\rc\nd\u001b[2J\u0007').text).toBe('a\nb\nc\nd[2J');
  });
});

describe('what a line means', () => {
  test.each([
    ['hello', { kind: 'message', text: 'hello' }],
    [' spaced ', { kind: 'message', text: ' spaced ' }],
    ['', { kind: 'nothing' }],
    [' \t ', { kind: 'nothing' }],
    ['//slash', { kind: 'message', text: '/slash' }],
    ['//', { kind: 'message', text: '/' }],
    ['/etc/hosts:\n127.0.0.1', { kind: 'message', text: '/etc/hosts:\n127.0.0.1' }],
    ['/quit', { kind: 'command', name: 'quit', args: [] }],
    ['/QUIT ', { kind: 'command', name: 'quit', args: [] }],
    ['/invite bob carol bob', { kind: 'command', name: 'invite', args: ['bob', 'carol'] }],
    ['/invite @bob', { kind: 'command', name: 'invite', args: ['bob'] }],
    ['/switch #cake', { kind: 'command', name: 'switch', args: ['cake'] }],
  ])('%j', (line, meaning) => {
    expect(parseInput(line)).toEqual(meaning);
  });

  test.each([
    '/invite',
    '/switch',
    '/switch a b',
    '/list now',
    '/save',
    '/revoke',
    '/',
    '/constructor',
    '/invite ../../etc',
  ])('%j is a mistake that says how to do it', (line) => {
    expect(parseInput(line)).toMatchObject({ kind: 'mistake', reason: expect.stringMatching(/\/\w*/) });
  });
});

describe('Tab', () => {
  const known = {
    ...{ people: ['alice', 'bob', 'carol', 'carla'], members: ['alice', 'bob'] },
    ...{ groups: ['tea', 'cake'], devices: ['phone', 'x3p4'] },
  };

  test.each([
    ['/inv', '/invite '],
    ['/invite car', '/invite car'],
    ['/invite caro', '/invite carol '],
    ['/invite carol carl', '/invite carol carla '],
    ['/remove B', '/remove bob '],
    ['/switch t', '/switch tea '],
    ['hello al', 'hello alice '],
    ['/list a', '/list a'],
    ['hello zz', 'hello zz'],
    ['/revoke p', '/revoke phone '],
    ['/help rec', '/help receipts '],
    ['/INVITE caro', '/INVITE carol '],
    ['/me waves at b', '/me waves at bob '],
    ['/me ', '/me '],
    ['', ''],
  ])('completes %j to %j', (line, wanted) => {
    const found = complete(line, known);
    expect(found === undefined ? line : line.slice(0, found.from) + found.text).toBe(wanted);
  });

  test('a device is named by its label where that is one word of its own, else by its id; never this one, nor an ended one', () => {
    const device = (id: string, label: string, more: { me?: true; revoked?: true } = {}) => ({
      ...{ device: id.padEnd(32, 'a') as DeviceId, label, me: more.me === true, revoked: more.revoked === true },
    });
    const devices = [
      ...[device('one', 'laptop', { me: true }), device('two', 'phone'), device('three', 'box')],
      ...[device('four', 'box'), device('five', 'my old box'), device('six', 'phone', { revoked: true })],
    ];
    expect(deviceNames(devices)).toEqual(['phone', 'threeaaa', 'fouraaaa', 'fiveaaaa']);
  });

  test('says what would fit when it is not certain', () => {
    expect(complete('/invite c', known)).toMatchObject({ text: 'car', candidates: ['carla', 'carol'] });
    expect(complete('/', known)?.candidates).toContain('/invite');
  });
});

describe('the footer', () => {
  test('no row is wider than the screen, and the cursor stands where the next character would come', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '世', '\n', 'é') });
    fc.assert(
      fc.property(text, text, fc.integer({ min: 10, max: 60 }), (before, after, columns) => {
        const notes = [(after + before).replaceAll('\n', ' ')];
        const footer = { notes, prompt: '#tea a> ', text: before + after, cursor: before.length };
        const whole = layOut(footer, columns, 500, createPalette(0));
        for (const row of whole.rows) expect(textWidth(row)).toBeLessThan(columns);
        const laid = layOut({ ...footer, notes: [] }, columns, 500, createPalette(0));
        expect(whole.rows.slice(1)).toEqual(laid.rows);
        expect(laid.cursorColumn).toBeLessThan(columns);
        expect(laid.rows[laid.cursorRow]).toBeDefined();
        expect(laid.rows.join('').replaceAll(' ', '')).toBe(`#teaa>${footer.text}`.replaceAll(/[ \n]/g, ''));
      }),
    );
  });

  test('a text taller than the screen is shown around the cursor, with what is hidden counted and room for the talk', () => {
    const text = Array.from({ length: 50 }, (_, index) => `row ${index}`).join('\n');
    const shown = (cursor: number) => {
      const laid = layOut({ notes: ['note'], prompt: '> ', text, cursor }, 40, 10, createPalette(0));
      return [laid.rows[laid.cursorRow]?.trim(), laid.rows.map((row) => row.trim())];
    };
    expect(shown(0)).toEqual(['> row 0', ['note', '> row 0', 'row 1', 'row 2', 'row 3', 'row 4', '… 45']]);
    expect(shown(text.indexOf('row 20'))).toEqual([
      'row 20',
      ['note', '… 18', 'row 18', 'row 19', 'row 20', 'row 21', '… 28'],
    ]);
    expect(shown(text.length)).toEqual(['row 49', ['note', '… 45', 'row 45', 'row 46', 'row 47', 'row 48', 'row 49']]);
  });
});

describe('what was entered is done in order', () => {
  test('each job waits for those before it', async () => {
    const done: number[] = [];
    const jobs = createInOrder(Number.POSITIVE_INFINITY, () => {});
    for (const index of [3, 2, 1]) {
      jobs.add(async () => {
        for (let i = 0; i < index * 10; i += 1) await Promise.resolve();
        done.push(index);
      });
    }
    await jobs.idle();
    expect(done).toEqual([3, 2, 1]);
  });

  test('a job that takes longer than the patience does not hold up the next, and a failing one neither', async () => {
    const failures: unknown[] = [];
    const jobs = createInOrder(5, (error) => failures.push(error));
    let release: () => void = () => {};
    jobs.add(() => new Promise((resolve) => (release = resolve)));
    jobs.add(() => Promise.reject(new Error('no')));
    await new Promise<void>((resolve) => jobs.add(async () => resolve()));
    expect(failures).toHaveLength(1);
    release();
    await jobs.idle();
  });

  test('what waits is bounded', async () => {
    const jobs = createInOrder(Number.POSITIVE_INFINITY, () => {});
    let release: () => void = () => {};
    const first = new Promise<void>((resolve) => (release = resolve));
    for (let i = 0; i < WAITING_MAX; i += 1) expect(jobs.add(() => first)).toBe(true);
    expect(jobs.add(() => first)).toBe(false);
    release();
    await jobs.idle();
  });
});
