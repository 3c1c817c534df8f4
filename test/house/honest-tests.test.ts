import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';

const TESTS = join(import.meta.dirname, '..');

/** The one place that polls: what a real terminal shows has no position to wait for. */
const POLLING = 'test/support/until.ts';

const sources = readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && join(TESTS, file) !== import.meta.filename)
  .map((file) => ({ file: relative('.', join(TESTS, file)), text: readFileSync(join(TESTS, file), 'utf8') }));

/** Lines that match, as `file:line text`, so that a failure says where to look. */
function linesMatching(pattern: RegExp): string[] {
  return sources.flatMap(({ file, text }) =>
    text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : [])),
  );
}

test('fault 17: no test is switched off or runs alone; what an environment lacks is skipped by a condition, visibly', () => {
  expect(linesMatching(/\b(?:test|it|describe)\.(?:skip|only|todo)\(/)).toEqual([]);
});

test('fault 17: no test sleeps: a timer may bound a wait, never be one', () => {
  const sleeping = linesMatching(
    /setTimeout\((?:r|resolve|done|ok)\b|await (?:sleep|delay)\(|from 'node:timers\/promises'/,
  );
  expect(sleeping.filter((line) => !line.startsWith(POLLING))).toEqual([]);
});

test('no wait ends before a minute: a machine that is slow just then is no failure', () => {
  const hasty = /AbortSignal\.timeout\([1-5]?\d?_?\d{1,3}\)|\btimeout: [1-5]?\d_\d{3}\b/;
  expect(linesMatching(hasty)).toEqual([]);
});

test('every test file holds claims that can fail', () => {
  const without = sources.filter(({ file, text }) => file.endsWith('.test.ts') && !/\bexpect\b|fc\.assert/.test(text));
  expect(without.map(({ file }) => file)).toEqual([]);
});
