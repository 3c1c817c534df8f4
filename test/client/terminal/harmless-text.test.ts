import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatLine } from '../../../src/client/terminal/format-line.ts';
import { neutralise, neutraliseRows } from '../../../src/client/terminal/neutralise.ts';
import { colourLevel, createPalette } from '../../../src/client/terminal/palette.ts';
import { graphemesOf, textWidth, truncate } from '../../../src/client/terminal/text-width.ts';
import { wrapRows } from '../../../src/client/terminal/wrap.ts';
import type { Cursor, GroupId } from '../../../src/wire/ids.ts';
import { fakePerson } from '../../support/fake-chat-client.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: the test looks for them
const DANGEROUS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('\u001b', '[', '2', 'J', '\r', '\n', 'a', ' ', '\u009b', '世', '😀', '\u0301') }),
);

test('whatever is sent, no control character, direction change or line break is left', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      for (const row of neutraliseRows(text)) expect(row).not.toMatch(DANGEROUS);
      expect(neutralise(text)).not.toMatch(DANGEROUS);
    }),
  );
});

test('ordinary text of any script and emoji stay as they are', () => {
  for (const text of ['hello', 'Grüße', '世界', 'שלום', '👩‍👩‍👧 ❤️', 'a — “b”']) expect(neutralise(text)).toBe(text);
});

test('whatever is sent, only the first row of a line begins at the edge, and none is wider than the screen', () => {
  fc.assert(
    fc.property(anyText, fc.integer({ min: 20, max: 120 }), (text, columns) => {
      const message = { kind: 'message', id: 'm', sender: fakePerson('bob'), text, own: false } as const;
      const place = { cursor: 'c' as Cursor, group: 'g' as GroupId, groupName: 'tea', time: 0, position: 1 };
      const rows = formatLine({ ...place, ...message }, { palette: createPalette(0), me: 'me', columns });
      expect(rows[0]).toMatch(/^#tea <bob>/);
      for (const row of rows.slice(1)) expect(row.startsWith('  ')).toBe(true);
      for (const row of rows) expect(textWidth(row)).toBeLessThanOrEqual(columns);
    }),
  );
});

test('wrapping loses no character but spaces', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', 'bc', ' ', '世', 'é') }), (text) => {
      const squeezed = (rows: readonly string[]) => rows.join('').replaceAll(' ', '');
      expect(squeezed(wrapRows([text], 20))).toBe(squeezed([text]));
    }),
  );
});

test('a cut text fits, and a wide character is never cut in half', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 2, max: 30 }), (text, cells) => {
      expect(textWidth(truncate(neutralise(text), cells))).toBeLessThanOrEqual(cells);
    }),
  );
});

test('wide characters count twice, combining marks not at all, an emoji of many parts once', () => {
  expect(['abc', '世界', 'e\u0301', '👩‍👩‍👧', ''].map(textWidth)).toEqual([3, 4, 1, 2, 0]);
});

test('a text is parted into the same clusters however long it is', () => {
  const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
  const parts = ['a', '\n', '世', 'e\u0301', '\u0301', '🇩', '🇪', '👩', '\u200d', '🏽', '👍🏽', '\ud83c', '\u0600'];
  const text = fc.string({ unit: fc.constantFrom(...parts), minLength: 200, maxLength: 1000 });
  fc.assert(
    fc.property(text, (long) => {
      expect(graphemesOf(long)).toEqual(Array.from(segmenter.segment(long), ({ segment }) => segment));
    }),
  );
  const climbing = `a${'\u0301'.repeat(2000)}b`;
  expect(graphemesOf(climbing)).toEqual([climbing.slice(0, -1), 'b']);
});

test('a text takes no longer than its pieces do, so that a long paste can be typed in', () => {
  const piece = 'a row of words, 世界, e\u0301\n'.repeat(20);
  const cost = (job: () => void) => {
    const runs = Array.from({ length: 3 }, () => {
      const before = process.cpuUsage();
      job();
      const { user, system } = process.cpuUsage(before);
      return user + system;
    });
    return Math.min(...runs);
  };
  const text = piece.repeat(120);
  const pieces = Array.from({ length: 120 }, () => piece);
  expect(cost(() => graphemesOf(text))).toBeLessThan(10 * cost(() => pieces.forEach(graphemesOf)));
});

test.each([
  [{ NO_COLOR: '1' }, true, 0],
  [{ NO_COLOR: '1', FORCE_COLOR: '1' }, true, 0],
  [{ NO_COLOR: '' }, true, 2],
  [{}, true, 2],
  [{}, false, 0],
  [{ TERM: 'dumb' }, true, 0],
  [{ FORCE_COLOR: '1' }, false, 2],
  [{ FORCE_COLOR: '0' }, true, 0],
] as const)('colours with %o on a terminal (%s): level %i', (env, isTty, level) => {
  expect(colourLevel(env, isTty, 2)).toBe(level);
});
