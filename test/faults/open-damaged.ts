/**
 * Run by `tables.test.ts`, because damaged tables may end a process: flips one bit of good tables, or cuts them short, opens them, and says
 * what became of it; again and again, from a number on. With `again` the first one is opened as the last run left it.
 */
import { copyFile, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openProjections } from '../../src/projections/open-projections.ts';
import { bytesOf, fakeHandshakes } from '../projections/builders.ts';
import { createFakeLog } from '../projections/fake-log.ts';
import { seeded } from '../support/seeded.ts';
import { until } from '../support/until.ts';
import { damageableLog, type Size } from './damageable-log.ts';

const [good = '', expected, how, first, end, again, size] = process.argv.slice(2);
const damaged = join(good, '..', 'damaged');
const events = damageableLog(size as Size);

for (let number = Number(first); number < Number(end); number += 1) {
  if (!(again === 'again' && number === Number(first))) {
    await rm(damaged, { recursive: true, force: true });
    await mkdir(damaged);
    await copyFile(join(good, 'data.mdb'), join(damaged, 'data.mdb'));
    await damage(join(damaged, 'data.mdb'), number);
  }
  process.stdout.write(`${number} ${await outcome()}\n`);
}
process.exit(0); // a damaged environment may keep timers of the library

async function outcome(): Promise<string> {
  try {
    const projections = await openProjections({
      dir: damaged,
      log: createFakeLog(events),
      cursorKey: bytesOf('cursor key'),
      handshakes: fakeHandshakes,
    });
    try {
      await projections.ready;
      await projections.checked;
      await until(() => projections.read.readiness().ready);
      const isRebuilt = projections.read.restarts().rebuilt > 0;
      const kind = projections.discarded ?? (isRebuilt ? 'made anew while in use' : 'kept');
      return projections.dumpTables() === expected ? kind : `wrong after ${kind}`;
    } finally {
      await projections.close();
    }
  } catch (error) {
    return `refused ${(error as { code?: string }).code ?? (error as Error).name}`;
  }
}

async function damage(path: string, number: number): Promise<void> {
  const random = seeded(number);
  const file = await open(path, 'r+');
  try {
    const at = random.below((await file.stat()).size);
    if (how === 'cut') return await file.truncate(at);
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    byte[0]! ^= 1 << random.below(8);
    await file.write(byte, 0, 1, at);
  } finally {
    await file.close();
  }
}
