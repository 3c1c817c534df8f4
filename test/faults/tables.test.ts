import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createFakeLog } from '../projections/fake-log.ts';
import { openTest, tempFolder } from '../projections/open.ts';
import { spawnLines } from '../support/process.ts';
import { damageableLog } from './damageable-log.ts';

const FLIPS = Number(process.env['MLSD_TEST_FLIPS'] ?? 150);
const CUTS = 6;
const PROGRAM = join(import.meta.dirname, 'open-damaged.ts');

/** Tables of the log, closed, and what a dump of them gives. */
async function goodTables(): Promise<{ dir: string; dump: string }> {
  const dir = join(await tempFolder(), 'good');
  await mkdir(dir);
  const projections = await openTest(createFakeLog(damageableLog()), { dir });
  await projections.ready;
  const dump = projections.dumpTables();
  await projections.close();
  return { dir, dump };
}

/**
 * Damages copies of the tables, one after another, and opens each. What ends the process is opened once more by the
 * next one.
 *
 * @returns how often each outcome came, and those that must not be
 */
async function damageTables(how: 'flip' | 'cut', times: number) {
  const { dir, dump } = await goodTables();
  const outcomes = new Map<string, number>();
  const strange: string[] = [];
  let next = 0;
  let again = false;
  while (next < times) {
    const args = [PROGRAM, dir, dump, how, String(next), String(times), again ? 'again' : 'anew'];
    const child = spawnLines(process.execPath, ['--import', 'tsx', ...args]);
    const code = await child.exited;
    for (const line of child.lines) {
      const [, number, outcome] = /^(\d+) (.*)$/.exec(line) ?? [];
      if (outcome === undefined) throw new Error(line);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if (/^(wrong|refused)/.test(outcome)) strange.push(`${how} ${line}`);
      next = Number(number) + 1;
    }
    if (next >= times) break;
    const endedAtOnce = child.lines.length === 0;
    if (endedAtOnce && again) {
      strange.push(`${how} ${next} ends every start (${code}): ${child.errors.at(-1)}`);
      next += 1;
    }
    again = !(endedAtOnce && again);
  }
  return { outcomes, strange };
}

it(`${FLIPS} times one bit of the tables is flipped: what is served is the same as before, or made anew, never something else`, async () => {
  const { outcomes, strange } = await damageTables('flip', FLIPS);
  expect(strange).toEqual([]);
  expect(outcomes.get('damaged')).toBeGreaterThan(0);
});

it('tables that are cut short anywhere end one start at most; the next makes them anew from the log', async () => {
  const { strange } = await damageTables('cut', CUTS);
  expect(strange).toEqual([]);
});

it('tables that are gone are made anew from the log', async () => {
  const { dir, dump } = await goodTables();
  await rm(join(dir, 'data.mdb'));
  const opened = await openTest(createFakeLog(damageableLog()), { dir });
  await opened.ready;
  expect(opened.dumpTables()).toBe(dump);
});
