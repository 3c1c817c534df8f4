import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFakeServer } from '../../support/fake-server.ts';
import { spawnLines } from '../../support/process.ts';
import type { DamageKind } from './damages.ts';
import { playScene } from './scene.ts';

const PROGRAM = join(import.meta.dirname, 'damage-many.ts');
const root = mkdtempSync(join(tmpdir(), 'repair-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** How often each kind of damage is done to a store; more often by hand. */
const FACTOR = Number(process.env['MLSCHAT_TEST_DAMAGES'] ?? 1);
const TIMES: Readonly<Record<DamageKind, number>> = {
  'a bit is flipped': 40 * FACTOR,
  'a bit is flipped in the first pages': 30 * FACTOR,
  'bits are flipped': 5 * FACTOR,
  'it is cut short': 8 * FACTOR,
  'a page is zeroed': 8 * FACTOR,
  'half a page is zeroed': 8 * FACTOR,
  'a page is rubbish': 8 * FACTOR,
  'a page is an earlier one': 12 * FACTOR,
  'some pages are earlier ones': 6 * FACTOR,
  'it is something else': 5,
};

describe.each(['plain', 'encrypted'] as const)('%s: a store that is damaged in any way', (kind) => {
  const dir = join(root, kind);
  beforeAll(async () => {
    const scene = await playScene(createFakeServer(), dir, kind);
    await scene.alice.stop();
    writeFileSync(join(dir, 'earlier.mdb'), scene.earlier);
  });

  // what encrypts is above what is damaged
  const times = Object.entries(TIMES).map(
    ([each, plain]) => [each, kind === 'plain' ? plain : Math.ceil(plain / 4)] as const,
  );

  test('S7: is refused or whole; repaired, it has no key older than the last, and is good the second time', async () => {
    const child = spawnLines(process.execPath, [
      '--import',
      'tsx',
      PROGRAM,
      dir,
      JSON.stringify(Object.fromEntries(times)),
    ]);
    const code = await child.exited;
    const outcomes = new Map<string, number>();
    const strange: string[] = [];
    for (const line of child.lines) {
      const outcome = line.slice(line.indexOf(': ') + 2);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if (!/^(intact|lost|repaired (whole|in part|anew))$/.test(outcome)) strange.push(line);
    }
    expect(strange).toEqual([]);
    // a damaged file never ends the process
    expect([code, child.lines.length], child.errors.slice(-3).join(' ')).toEqual([
      0,
      times.reduce((total, [, each]) => total + each, 0),
    ]);
    for (const each of ['intact', 'lost', 'repaired whole', ...(kind === 'plain' ? ['repaired anew'] : [])]) {
      expect(outcomes.get(each), each).toBeGreaterThan(0);
    }
  });
});
