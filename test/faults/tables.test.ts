import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { entryKey } from '../../src/projections/fold/keys.ts';
import { changeRow, flipped } from '../projections/change-row.ts';
import { createFakeLog } from '../projections/fake-log.ts';
import { openTest, tempFolder } from '../projections/open.ts';
import { spawnLines } from '../support/process.ts';
import { startServer } from '../support/server.ts';
import { problemOf } from '../support/signed-client.ts';
import { follow } from '../support/stream-reader.ts';
import { TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';
import { damageableLog, type Size } from './damageable-log.ts';

const FLIPS = Number(process.env['MLSD_TEST_FLIPS'] ?? 150);
const LARGE_FLIPS = Math.ceil(FLIPS / 10);
const CUTS = 6;
/** How often damage may end the process before it is got rid of: once while rows are looked at beside, once while all are. */
const ENDS_MAX = { small: 1, large: 2 };
const PROGRAM = join(import.meta.dirname, 'open-damaged.ts');

/** Tables of the log, closed, and what a dump of them gives. */
async function goodTables(size: Size): Promise<{ dir: string; dump: string }> {
  const dir = join(await tempFolder(), 'good');
  await mkdir(dir);
  const projections = await openTest(createFakeLog(damageableLog(size)), { dir });
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
async function damageTables(how: 'flip' | 'cut', times: number, size: Size) {
  const { dir, dump } = await goodTables(size);
  const outcomes = new Map<string, number>();
  const strange: string[] = [];
  let next = 0;
  let ends = 0;
  while (next < times) {
    const args = [PROGRAM, dir, dump, how, String(next), String(times), ends > 0 ? 'again' : 'anew', size];
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
    ends = child.lines.length === 0 ? ends + 1 : 1;
    if (ends > ENDS_MAX[size]) {
      strange.push(`${how} ${next} ends every start (${code}): ${child.errors.at(-1)}`);
      next += 1;
      ends = 0;
    }
  }
  return { outcomes, strange };
}

it(`${FLIPS} times one bit of the tables is flipped: what is served is the same as before, or made anew, never something else`, async () => {
  const { outcomes, strange } = await damageTables('flip', FLIPS, 'small');
  expect(strange).toEqual([]);
  expect(outcomes.get('damaged') ?? outcomes.get('made anew while in use')).toBeGreaterThan(0);
});

it('of tables too large to be read before they are used, a flipped bit anywhere is found soon: they are made anew while the server runs', async () => {
  const { outcomes, strange } = await damageTables('flip', LARGE_FLIPS, 'large');
  expect(strange).toEqual([]);
  expect(outcomes.get('made anew while in use')).toBeGreaterThan(0);
});

it('tables that are cut short anywhere end one start at most; the next makes them anew from the log', async () => {
  const { strange } = await damageTables('cut', CUTS, 'small');
  expect(strange).toEqual([]);
});

it('tables that are gone are made anew from the log', async () => {
  const { dir, dump } = await goodTables('small');
  await rm(join(dir, 'data.mdb'));
  const opened = await openTest(createFakeLog(damageableLog('small')), { dir });
  await opened.ready;
  expect(opened.dumpTables()).toBe(dump);
});

it('a server that meets damage while it runs refuses with a time to come again, makes its tables anew, and serves what is right', async () => {
  await using server = await startServer();
  const [alice, bob] = [await TestDevice.register(server.url, 'alice'), await TestDevice.register(server.url, 'bob')];
  const group = await alice.createGroup();
  await alice.invite(group, bob);
  for (const text of ['one', 'two', 'three']) await alice.send(group, text);
  await server.running().projections.checked;
  const { body } = await bob.http.fetch('GET', '/v1/sync?cursor=start', { accept: 'application/cbor-seq' });
  let isCaughtUp = false;
  const stream = follow(body!, ({ caughtUp }) => {
    isCaughtUp = caughtUp > 0;
    return false;
  });
  await until(() => isCaughtUp);
  await changeRow(join(server.folder, 'tables'), entryKey(1, 4), flipped);
  await alice.send(group, 'four');
  const refused = await bob.http.request('GET', '/v1/sync?cursor=start');
  expect([refused.status, problemOf(refused).code]).toEqual([503, 'not-ready']);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await stream).closing).toMatchObject({ reason: 'not-ready', resumable: true });
  await until(async () => (await fetch(`${server.url()}/readyz`)).status === 200);
  expect(await bob.catchUp()).toEqual(['one', 'two', 'three', 'four']);
  expect(await (await fetch(`${server.url()}/metrics`)).text()).toContain(
    'mlsd_projection_restarts_total{how="rebuilt"} 1',
  );
});
