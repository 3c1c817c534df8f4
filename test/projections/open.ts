import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { LogEvent } from '../../src/log/events.ts';
import { openProjections, type Projections, type ProjectionsOptions } from '../../src/projections/open-projections.ts';
import type { ReadModel } from '../../src/projections/read-model.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';
import { decodeEntry, type Entry } from '../../src/wire/entry.ts';
import type { DeviceId } from '../../src/wire/ids.ts';
import { bytesOf, fakeHandshakes } from './builders.ts';
import { createFakeLog, type FakeLog } from './fake-log.ts';

/** A folder that is gone after the test. */
export async function tempFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mlsd-projections-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

export const CURSOR_KEY = bytesOf('cursor key');

/** Projections over a fake log with fake handshakes, closed after the test. */
export async function openTest(
  log: FakeLog,
  options: Partial<ProjectionsOptions> & { dir?: string } = {},
): Promise<Projections> {
  const dir = options.dir ?? (await tempFolder());
  const projections = await openProjections({
    log,
    cursorKey: CURSOR_KEY,
    handshakes: fakeHandshakes,
    ...options,
    dir,
  });
  onTestFinished(() => projections.close());
  return projections;
}

/** Folds these events, all of them, and gives what reads them. */
export async function folded(events: readonly LogEvent[], batchSizes?: readonly number[]): Promise<Projections> {
  const projections = await openTest(createFakeLog(events, batchSizes));
  await projections.ready;
  return projections;
}

export const ROOMY = { maxEntries: 1_000, maxBytes: 4 * 1024 * 1024 };

export function unframed(framed: readonly Uint8Array[]): Entry[] {
  return framed.map((bytes) => decodeEntry(decodeCbor(bytes) as Uint8Array));
}

/** Everything a device may read, from a cursor on, in pages of a size. */
export function readAll(read: ReadModel, device: DeviceId, limits = ROOMY, from = 'start') {
  const entries: Entry[] = [];
  const framed: Uint8Array[] = [];
  const cursors: Uint8Array[] = [];
  let cursor = from;
  let pages = 0;
  for (;;) {
    const result = read.syncPage(device, cursor, limits);
    if (result.kind !== 'page') throw new Error(`no page: ${result.reason}`);
    const { page } = result;
    entries.push(...unframed(page.framed));
    framed.push(...page.framed.map((bytes) => bytes.slice()));
    cursors.push(page.cursors);
    cursor = page.cursor;
    pages += 1;
    if (page.upToDate) return { entries, framed, cursors: Buffer.concat(cursors), cursor, pages, heads: page.heads };
    if (page.framed.length === 0) throw new Error('an empty page that is not the last');
  }
}
