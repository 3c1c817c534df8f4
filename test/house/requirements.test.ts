import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');
/** D17 and D19 do not exist; F1–F5 are of servers among each other. */
const REQUIREMENTS = [
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 21].map((number) => `D${number}`),
  ...[2, 3, 4, 5, 6, 7, 8].map((number) => `S${number}`),
];

interface Shown {
  readonly requirement: string;
  readonly file: string;
  readonly title: string;
}

const rows = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8').matchAll(/^\| \*\*([DS]\d+)\*\* [^|]+ \| (.+) \|$/gm);
const shown: Shown[] = [...rows].flatMap(([, requirement = '', cell = '']) =>
  cell.split('<br>').map((claim) => {
    const [, file = '', title = ''] = /^`(test\/\S+\.test\.ts)` › (.+)$/.exec(claim) ?? [];
    return { requirement, file, title };
  }),
);

/** A string of the source that begins a test. */
const isTitleIn = (text: string, title: string): boolean =>
  ["'", '"', '`'].some(
    (quote) => text.includes(`(${quote}${title}${quote}`) || text.includes(`(\n    ${quote}${title}${quote}`),
  );

test('SECURITY.md names, for every requirement, tests that show it', () => {
  expect([...new Set(shown.map(({ requirement }) => requirement))]).toEqual(REQUIREMENTS);
  expect(shown.filter(({ file, title }) => file === '' || title === '')).toEqual([]);
});

test('every test that SECURITY.md names stands in the named file, which names the requirement', () => {
  const missing = shown.filter(({ requirement, file, title }) => {
    const path = join(ROOT, file);
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    return !isTitleIn(text, title) || !new RegExp(`\\b${requirement}\\b`).test(text);
  });
  expect(missing).toEqual([]);
});
