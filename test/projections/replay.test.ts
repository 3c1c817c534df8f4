import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { LogEvent } from '../../src/log/events.ts';
import { ProjectionError } from '../../src/projections/errors.ts';
import { Draft } from '../../src/projections/fold/draft.ts';
import { type FoldRules, foldEvent } from '../../src/projections/fold/fold-event.ts';
import { TABLE } from '../../src/projections/fold/keys.ts';
import { TABLES_CONTRACT } from '../../src/projections/open-projections.ts';
import { rebuildProjections } from '../../src/projections/rebuild.ts';
import { openEnvironment, storedCheckpoint } from '../../src/projections/store/environment.ts';
import { Tables } from '../../src/projections/store/tables.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { until } from '../support/until.ts';
import { bytesOf, createScript, fakeHandshakes, sampleLog, sha256 } from './builders.ts';
import { createFakeLog } from './fake-log.ts';
import { CURSOR_KEY, folded, openTest, tempFolder } from './open.ts';
import { randomLog } from './random-log.ts';

const RULES: FoldRules = { handshakes: fakeHandshakes, sha256 };
/** Of 512 bytes: room for a few batches. */
const FILE_MAX_BLOCKS = 3_000;
const SIGNAL = () => AbortSignal.timeout(60_000);

/** Folds events in drafts of given sizes, each over the one before it, as the projector does when it is behind. */
async function foldInto(tables: Tables, events: readonly LogEvent[], sizes: readonly number[]): Promise<void> {
  let below: Draft | undefined;
  for (let at = 0, turn = 0; at < events.length; turn += 1) {
    const part = events.slice(at, at + sizes[turn % sizes.length]!);
    const draft: Draft = new Draft(below ?? tables);
    part.forEach((event, i) => {
      foldEvent(draft, event, at + i + 1, RULES);
    });
    at += part.length;
    const standing = { incarnation: draft.incarnation, sequence: at, eventId: part.at(-1)!.id };
    // Every other draft is folded over one that is not in the tables yet.
    if (turn % 2 === 0 && at < events.length) {
      below = draft;
      const next = events.slice(at, at + 1);
      const over = new Draft(draft);
      next.forEach((event, i) => {
        foldEvent(over, event, at + i + 1, RULES);
      });
      await tables.write(draft, standing);
      tables.publish(draft, standing);
      over.rebase(tables);
      at += next.length;
      const after = { incarnation: over.incarnation, sequence: at, eventId: next.at(-1)!.id };
      await tables.write(over, after);
      tables.publish(over, after);
      below = undefined;
    } else {
      await tables.write(draft, standing);
      tables.publish(draft, standing);
    }
  }
}

/** As a program leaves them that folds the same events in another way. */
async function madeByAnotherFold(dir: string): Promise<void> {
  const checkpoint = (await storedCheckpoint(dir))!;
  const environment = await openEnvironment({ dir, contract: checkpoint.contract });
  await environment.db.put(Uint8Array.of(TABLE.meta, 1), encodeCbor({ ...checkpoint, contract: 'another' }));
  await environment.close();
}

/** Tables of the whole sample log, closed, and the log that they were folded from: longer than 5 events. */
async function foldedAndClosed() {
  const { events } = sampleLog();
  const dir = await tempFolder();
  const log = createFakeLog(events);
  const projections = await openTest(log, { dir });
  await projections.ready;
  await projections.close();
  return { events, dir, log };
}

test('any split into batches gives the same tables (D4)', async () => {
  await fc.assert(
    fc.asyncProperty(
      randomLog,
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
      async (events, sizes) => {
        const dumps: string[] = [];
        for (const split of [[events.length], [1], sizes]) {
          const tables = new Tables(await openEnvironment({ dir: await tempFolder(), contract: 'test' }), 'test');
          await foldInto(tables, events, split);
          dumps.push(tables.dump());
          await tables.close();
        }
        expect(new Set(dumps).size).toBe(1);
      },
    ),
    { numRuns: 25 },
  );
});

test('folding live gives the tables of a cold replay', async () => {
  const { events } = sampleLog();
  const cold = await folded(events, [events.length]);
  const log = createFakeLog(events.slice(0, 3), [1, 2]);
  const live = await openTest(log);
  await live.ready;
  for (const event of events.slice(3)) await live.read.waitForSequence(log.append(event), SIGNAL());
  expect(live.dumpTables()).toBe(cold.dumpTables());
});

test('closed anywhere and opened again, the fold goes on where it stood', async () => {
  const { events } = sampleLog();
  const dir = await tempFolder();
  const log = createFakeLog();
  for (const event of events) {
    log.append(event);
    const projections = await openTest(log, { dir });
    await projections.ready;
    await projections.close();
  }
  const resumed = await openTest(log, { dir });
  expect(resumed.discarded).toBeUndefined();
  expect(resumed.dumpTables()).toBe((await folded(events)).dumpTables());
});

test('a throw at any write of a batch leaves no half batch: the next start folds to the same tables', async () => {
  const { events } = sampleLog();
  const expected = (await folded(events)).dumpTables();
  const dir = await tempFolder();
  for (const throwAt of [0, 1, 2, 5, 17, 40, 80]) {
    const environment = await openEnvironment({ dir, contract: TABLES_CONTRACT, fresh: true });
    const tables = new Tables(environment, TABLES_CONTRACT);
    const put = environment.db.put.bind(environment.db);
    let puts = 0;
    vi.spyOn(environment.db, 'put').mockImplementation((key: Uint8Array, value: Uint8Array) => {
      if (puts === throwAt) throw new Error('in the middle');
      puts += 1;
      return put(key, value);
    });
    await expect(foldInto(tables, events, [events.length])).rejects.toMatchObject({ code: 'store-failed' });
    await tables.close();
    const again = await openTest(createFakeLog(events), { dir });
    await again.ready;
    expect(again.dumpTables()).toBe(expected);
    await again.close();
  }
});

test('writes that fail stop the projector for all to see, and once they succeed it has started again by itself', async () => {
  const { events } = sampleLog();
  const log = createFakeLog(events.slice(0, 2));
  const interruptions: string[] = [];
  const projections = await openTest(log, {
    onFailure: () => interruptions.push('for good'),
    onInterruption: ({ message }, remedy) => interruptions.push(`${message}: ${remedy}`),
  });
  await projections.ready;
  const { read } = projections;
  const full = new ProjectionError('store-failed', 'disk full');
  const failing = vi.spyOn(Tables.prototype, 'write').mockRejectedValueOnce(full).mockRejectedValueOnce(full);
  onTestFinished(() => failing.mockRestore());
  const waiting = read.waitForSequence(log.append(...events.slice(2)), SIGNAL());
  await expect(waiting).rejects.toMatchObject({ code: 'store-failed' });
  expect(read.readiness()).toEqual({
    ready: false,
    reasons: ['projections stopped at sequence 2: store-failed, and will start again by themselves'],
  });
  expect(read.checkpoint().sequence).toBe(2);
  await until(() => read.readiness().ready);
  expect(read.checkpoint().sequence).toBe(events.length);
  expect(projections.dumpTables()).toBe((await folded(events)).dumpTables());
  expect(interruptions).toEqual(['disk full: resume', 'disk full: resume']);
  expect(read.restarts()).toEqual({ resumed: 2, rebuilt: 0 });
});

test('tables that cannot be written before they have ever caught up are told at once', async () => {
  const { events } = sampleLog();
  const failing = vi
    .spyOn(Tables.prototype, 'write')
    .mockRejectedValueOnce(new ProjectionError('store-failed', 'disk full'));
  onTestFinished(() => failing.mockRestore());
  const onFailure = vi.fn();
  const projections = await openTest(createFakeLog(events), { onFailure });
  await expect(projections.ready).rejects.toMatchObject({ code: 'store-failed' });
  expect(onFailure).toHaveBeenCalledOnce();
});

test('an unknown event halts the fold just before it, whatever batch it came in', async () => {
  const { events } = sampleLog();
  const unknown = { v: 1, type: 'group-painted', id: 'x', time: 1 } as unknown as LogEvent;
  const hostile = { ...createScript().send(), batches: [{ ...createScript().send(), group: bytesOf('x', 400) }] };
  for (const bad of [unknown, hostile as unknown as LogEvent]) {
    for (const size of [1, 3, 100]) {
      const log = createFakeLog([...events.slice(0, 8), bad, ...events.slice(8)], [size]);
      const projections = await openTest(log);
      await expect(projections.ready).rejects.toMatchObject({
        code: bad === unknown ? 'unknown-event' : 'invalid-event',
      });
      expect(projections.read.checkpoint().sequence).toBe(8);
      expect(projections.dumpTables()).toBe((await folded(events.slice(0, 8))).dumpTables());
      await expect(projections.read.waitForSequence(9, SIGNAL())).rejects.toBeInstanceOf(ProjectionError);
    }
  }
});

test('a gap in the sequences halts the fold', async () => {
  const { events } = sampleLog();
  const log = createFakeLog(events, [2]);
  const projections = await openTest({
    ...log,
    async read(options) {
      const reader = await log.read(options);
      return {
        tail: reader.tail,
        async *[Symbol.asyncIterator]() {
          for await (const batch of reader) yield batch.filter(({ sequence }) => sequence !== 6);
        },
      };
    },
  });
  await expect(projections.ready).rejects.toMatchObject({ code: 'gap' });
  expect(projections.read.checkpoint().sequence).toBe(5);
});

test('a log that went back refuses the tables until somebody asks for fresh ones', async () => {
  const { dir, log } = await foldedAndClosed();
  log.cutTo(5);
  await expect(openTest(log, { dir })).rejects.toMatchObject({ code: 'rolled-back' });
  log.append(createScript().started('second'));
  const fresh = await openTest(log, { dir, fresh: true });
  await fresh.ready;
  expect(fresh.discarded).toBe('asked');
  expect(fresh.read.checkpoint()).toEqual({ incarnation: 'second', sequence: 6 });
});

test('tables of another fold are made anew, but not before the log was compared with what they stood on', async () => {
  const { events } = sampleLog();
  const dir = await tempFolder();
  const log = createFakeLog(events);
  const open = async () => {
    const projections = await openTest(log, { dir });
    await projections.ready;
    await projections.close();
    return projections.discarded;
  };
  expect(await open()).toBeUndefined();
  await madeByAnotherFold(dir);
  expect(await open()).toBe('contract-changed');
  expect(await open()).toBeUndefined();
  await madeByAnotherFold(dir);
  log.cutTo(5);
  await expect(open()).rejects.toMatchObject({ code: 'rolled-back' });
});

test('a log that went back while the tables were made anew is refused at every start, not at the first only', async () => {
  const { events, dir, log } = await foldedAndClosed();
  await madeByAnotherFold(dir);
  log.cutTo(5);
  for (let start = 0; start < 3; start += 1) {
    await expect(openTest(log, { dir })).rejects.toMatchObject({ code: 'rolled-back' });
    expect(await storedCheckpoint(dir)).toMatchObject({ sequence: events.length });
  }
  const accepted = await openTest(log, { dir, fresh: true });
  await accepted.ready;
  await accepted.close();
  await (await openTest(log, { dir })).ready;
});

test('torn tables are made anew, but not over a log that went back since', async () => {
  const { dir, log } = await foldedAndClosed();
  const { contract } = (await storedCheckpoint(dir))!;
  const environment = await openEnvironment({ dir, contract });
  await environment.db.put(Uint8Array.of(TABLE.meta, 2), new Uint8Array(1));
  await environment.close();
  log.cutTo(5);
  for (let start = 0; start < 2; start += 1) {
    await expect(openTest(log, { dir })).rejects.toMatchObject({ code: 'rolled-back' });
  }
});

test('a full disk is an error of the write: the process lives, reads go on, and closing ends', async () => {
  const dir = await tempFolder();
  const program = join(import.meta.dirname, 'fill-disk.ts');
  const run = promisify(execFile);
  const limited = `ulimit -f ${FILE_MAX_BLOCKS}; exec "$0" --import tsx "$1" "$2"`;
  const { stdout } = await run('/bin/sh', ['-c', limited, process.execPath, program, dir]);
  expect(JSON.parse(stdout)).toEqual({ failures: ['store-failed', 'store-failed'], rows: 'readable', closed: true });
});

test('a process that died while it opened the tables, or tables that are no tables, lead to a rebuild', async () => {
  const { events } = sampleLog();
  const expected = (await folded(events)).dumpTables();
  const dir = await tempFolder();
  const log = createFakeLog(events);
  await (await openTest(log, { dir })).close();
  await writeFile(join(dir, 'opening'), '');
  const interrupted = await openTest(log, { dir });
  await interrupted.ready;
  expect([interrupted.discarded, interrupted.dumpTables()]).toEqual(['interrupted-open', expected]);
  await interrupted.close();
  await writeFile(join(dir, 'data.mdb'), 'this was never a table '.repeat(2_000));
  const damaged = await openTest(log, { dir });
  await damaged.ready;
  expect([damaged.discarded, damaged.dumpTables()]).toEqual(['damaged', expected]);
  expect(existsSync(join(dir, 'opening'))).toBe(false);
});

test('a rebuild makes the tables beside the old ones and swaps them', async () => {
  const { events, dir, log } = await foldedAndClosed();
  const options = { log, dir, cursorKey: CURSOR_KEY, handshakes: fakeHandshakes };
  expect(await rebuildProjections(options)).toEqual({ incarnation: 'first', sequence: events.length });
  expect(await readdir(dir)).not.toContain('.rebuilding');
  expect(await storedCheckpoint(dir)).toMatchObject({ sequence: events.length, eventId: events.at(-1)!.id });
  const after = await openTest(log, { dir });
  expect(after.dumpTables()).toBe((await folded(events)).dumpTables());
  expect(await storedCheckpoint(await tempFolder())).toBeUndefined();
});

test('a rebuild over a log that went back is refused and leaves the old tables as they were', async () => {
  const { events, dir, log } = await foldedAndClosed();
  log.cutTo(5);
  const options = { log, dir, cursorKey: CURSOR_KEY, handshakes: fakeHandshakes };
  await expect(rebuildProjections(options)).rejects.toMatchObject({ code: 'rolled-back' });
  expect(await storedCheckpoint(dir)).toMatchObject({ sequence: events.length });
});
