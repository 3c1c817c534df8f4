import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { entryKey, TABLE, textKey } from '../../src/projections/fold/keys.ts';
import { openProjections } from '../../src/projections/open-projections.ts';
import type { ReadModel } from '../../src/projections/read-model.ts';
import { until } from '../support/until.ts';
import { bytesOf, createScript, fakeHandshakes, largeLog, sampleLog, testDevice } from './builders.ts';
import { changeRow, flipped, gone } from './change-row.ts';
import { createFakeLog } from './fake-log.ts';
import { CURSOR_KEY, folded, openTest, ROOMY, readAll, tempFolder } from './open.ts';

const SIGNAL = () => AbortSignal.timeout(60_000);
const TEA = 1;

/** A log of many rows, folded and closed. */
async function largeTables() {
  const dir = await tempFolder();
  const log = createFakeLog(largeLog());
  const before = await openTest(log, { dir });
  await before.ready;
  const dump = before.dumpTables();
  const { entries } = readAll(before.read, testDevice('alice').device);
  await before.close();
  return { dir, log, dump, entries };
}

const isRefused = (read: () => unknown): boolean => {
  try {
    read();
    return false;
  } catch (error) {
    return ['damaged', 'rebuilding'].includes((error as { code: string }).code);
  }
};

/** Anything that is read from tables, by what it is called. */
const readsOf = (read: ReadModel, device = testDevice('alice').device): Record<string, () => unknown> => ({
  syncPage: () => read.syncPage(device, 'start', ROOMY),
  device: () => read.device(device),
  accountByName: () => read.accountByName('alice'),
  groupByName: () => read.groupByName('tea'),
  sequenceOfCursor: () => read.sequenceOfCursor('start'),
});

for (const [what, change] of [
  ['an entry that was changed', flipped],
  ['an entry that is gone', gone],
] as const) {
  test(`${what} is never given: the page is refused, the tables are made anew by themselves, and then it is right`, async () => {
    const { events, devices } = sampleLog();
    const [alice] = devices;
    const dir = await tempFolder();
    const log = createFakeLog(events.slice(0, -1));
    const interruptions: string[] = [];
    const projections = await openTest(log, { dir, onInterruption: (_, remedy) => interruptions.push(remedy) });
    await projections.ready;
    const { read } = projections;
    await changeRow(dir, entryKey(TEA, 3), change);
    await read.waitForSequence(log.append(events.at(-1)!), SIGNAL());

    expect(() => read.syncPage(alice!.device, 'start', ROOMY)).toThrow(expect.objectContaining({ code: 'damaged' }));
    expect(read.readiness()).toMatchObject({ ready: false });
    for (const [name, again] of Object.entries(readsOf(read))) expect([name, isRefused(again)]).toEqual([name, true]);
    expect(isRefused(() => projections.dumpTables())).toBe(true);

    await until(() => read.readiness().ready);
    const whole = await folded(events);
    expect(projections.dumpTables()).toBe(whole.dumpTables());
    expect(readAll(read, alice!.device).entries).toEqual(readAll(whole.read, alice!.device).entries);
    expect([interruptions, read.restarts()]).toEqual([['rebuild'], { resumed: 0, rebuilt: 1 }]);
    const next = createScript(events.at(-1)!.time).started('second');
    await read.waitForSequence(log.append(next), SIGNAL());
  });
}

test('a damaged row that the fold needs is not folded over: the tables are made anew, and whoever waited is told', async () => {
  const { events } = sampleLog();
  const dir = await tempFolder();
  const log = createFakeLog(events.slice(0, -2));
  const before = await openTest(log, { dir });
  await before.ready;
  await before.close();
  const reopened = await openTest(log, { dir });
  await reopened.ready; // nothing is in memory yet of what the account's row says
  await reopened.checked;
  await changeRow(dir, textKey(TABLE.account, testDevice('carol').account), flipped);
  const script = createScript(events.at(-1)!.time);
  await reopened.read.waitForSequence(log.append(script.started('second')), SIGNAL());
  const claim = script.claim(testDevice('alice'), testDevice('carol'), bytesOf('tea', 16), [bytesOf('none')]);
  const waiting = reopened.read.waitForSequence(log.append(claim), SIGNAL());
  await expect(waiting).rejects.toMatchObject({ code: 'damaged' });
  await until(() => reopened.read.readiness().ready);
  expect(reopened.dumpTables()).toBe((await folded(log.events)).dumpTables());
});

test('rows of a large table that nobody reads are looked at beside, and made anew when they are not what was written', async () => {
  const { dir, log, dump, entries } = await largeTables();
  // the last rows of all: which requests were answered, and how
  const request = textKey(TABLE.request, log.events[2]!.id);
  await changeRow(dir, request, flipped);
  const projections = await openTest(log, { dir });
  await projections.ready;
  expect(projections.discarded).toBeUndefined();
  expect(projections.read.readiness().ready).toBe(true);
  await projections.checked;
  await until(() => projections.read.restarts().rebuilt === 1 && projections.read.readiness().ready);
  expect(projections.dumpTables()).toBe(dump);
  expect(readAll(projections.read, testDevice('alice').device).entries).toEqual(entries);
});

test('whoever died while rows were looked at beside has the next start look at all of them first', async () => {
  const { dir, log, dump } = await largeTables();
  await changeRow(dir, textKey(TABLE.request, log.events[2]!.id), flipped);
  await writeFile(join(dir, 'checking'), '');
  const projections = await openTest(log, { dir });
  expect(projections.discarded).toBe('damaged');
  await projections.ready;
  expect(projections.dumpTables()).toBe(dump);
});

test('tables that are closed while their rows are looked at close in good order, and open again without a word', async () => {
  const { dir, log, dump } = await largeTables();
  for (let round = 0; round < 3; round += 1) {
    const projections = await openTest(log, { dir });
    await projections.close();
  }
  const projections = await openTest(log, { dir });
  await projections.checked;
  expect([projections.discarded, projections.dumpTables()]).toEqual([undefined, dump]);
});

test('damage met over a log that went back stops for good: nothing of two histories is mixed', async () => {
  const { events, devices } = sampleLog();
  const dir = await tempFolder();
  const log = createFakeLog(events.slice(0, -1));
  const failures: unknown[] = [];
  const projections = await openTest(log, { dir, onFailure: (error) => failures.push(error) });
  await projections.ready;
  await changeRow(dir, entryKey(TEA, 3), flipped);
  await projections.read.waitForSequence(log.append(events.at(-1)!), SIGNAL());
  log.cutTo(5);
  expect(() => projections.read.syncPage(devices[0]!.device, 'start', ROOMY)).toThrow();
  await until(() => failures.length > 0);
  expect(failures).toEqual([expect.objectContaining({ code: 'rolled-back' })]);
  expect(isRefused(readsOf(projections.read)['syncPage']!)).toBe(true);
  expect(projections.read.readiness()).toMatchObject({
    ready: false,
    reasons: [expect.stringContaining('rolled-back')],
  });
  await projections.close();
  const options = { dir, log, cursorKey: CURSOR_KEY, handshakes: fakeHandshakes };
  await expect(openProjections(options)).rejects.toMatchObject({ code: 'rolled-back' });
});
