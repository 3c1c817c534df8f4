import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeEvent } from '../../src/log/envelope.ts';
import type { ImportedEvent } from '../../src/log/import-events.ts';
import { openTablesFile } from '../../src/projections/store/tables-file.ts';
import { readPieces, writeWhole } from '../../src/tools/export/export-file.ts';
import { type Imported, importLog } from '../../src/tools/export/import-log.ts';
import { currentHeads, exportGroup, exportLog } from '../../src/tools/export/write-export.ts';
import { NO_PROGRESS } from '../../src/tools/progress.ts';
import type { VerifyReport } from '../../src/tools/verify/report.ts';
import { verifyFile } from '../../src/tools/verify/verify-file.ts';
import { toBase64Url, toHex } from '../../src/wire/bytes.ts';
import { type TempFolder, tempFolder } from '../support/nats.ts';
import { okValue, problemOf } from '../support/signed-client.ts';
import {
  copyFolder,
  eventsOf,
  type SeenServer,
  seenServer,
  siteOptions,
  storeEvents,
  verify,
  withSite,
} from './support.ts';

let seen: SeenServer;
let files: TempFolder;
let whole: string;
let group: string;

const options = { progress: NO_PROGRESS, now: Date.now() };

beforeAll(async () => {
  seen = await seenServer();
  files = await tempFolder();
  whole = join(files.path, 'log.mlsd-export');
  group = join(files.path, 'tea.mlsd-export');
  await withSite(seen.folder, async (site) => {
    await writeWhole(whole, exportLog(site, await currentHeads(site), options));
    await writeWhole(group, exportGroup(site, 'Tea', options));
  });
});
afterAll(async () => {
  await files[Symbol.asyncDispose]();
  await seen[Symbol.asyncDispose]();
});

const check = (path: string): Promise<VerifyReport> =>
  verifyFile({ pieces: readPieces(path), name: 'it', progress: NO_PROGRESS });

const importInto = (folder: string, path: string, nothingLost: boolean): Promise<Imported> =>
  importLog({ site: siteOptions(folder), pieces: readPieces(path), name: 'it', nothingLost, progress: NO_PROGRESS });

async function headsIn(folder: string): Promise<readonly string[]> {
  const opened = await openTablesFile(join(folder, 'tables'));
  if (opened.kind !== 'tables') throw new Error(opened.kind);
  await using file = opened.file;
  return file.standing().heads.map(({ group: id, position, hash }) => `${toBase64Url(id)} ${position} ${toHex(hash)}`);
}

describe('an exported log', () => {
  it('is checked by itself: its events give its heads', async () => {
    const report = await check(whole);
    expect(report).toMatchObject({ kind: 'clean' });
    expect(JSON.stringify(report)).toMatch(/heads: 2, as the events up to \d+ give them/);
    expect((await stat(whole)).mode & 0o777).toBe(0o600);
  });

  it('replays into an empty data folder to the same events, heads and cursors', async () => {
    await using folder = await tempFolder();
    await copyFolder(seen.folder, folder.path, ['nats', 'tables']);
    const { last } = await importInto(folder.path, whole, true);
    const plain = (events: readonly ImportedEvent[]) =>
      events.map(({ sequence, subject, eventId, bytes }) => [sequence, subject, eventId, toHex(bytes)]);
    expect(plain(await eventsOf(folder.path))).toEqual(plain(await eventsOf(seen.folder)));
    await seen.on(folder.path, async () => {
      expect(await seen.alice.syncAll()).toEqual([]);
    });
    expect(await headsIn(folder.path)).toEqual(await headsIn(seen.folder));
    expect(await verify(folder.path)).toMatchObject({ kind: 'clean' });
    expect(last).toBe((await eventsOf(seen.folder)).length);
  });

  it('goes on as a new incarnation unless nothing was lost: no old cursor is taken for one of now', async () => {
    await using folder = await tempFolder();
    await copyFolder(seen.folder, folder.path, ['nats', 'tables']);
    const { last, header } = await importInto(folder.path, whole, false);
    expect(last).toBe(header.last + 1);
    await seen.on(folder.path, async () => {
      const refused = await seen.alice.http.request('GET', `/v1/sync?cursor=${seen.alice.cursor}`);
      expect(problemOf(refused).code).toBe('cursor-invalid');
      expect(okValue(await seen.alice.http.request('GET', '/v1/sync?cursor=start')).entries).toHaveLength(5);
    });
    expect(await headsIn(folder.path)).toEqual(await headsIn(seen.folder));
    expect(await verify(folder.path)).toMatchObject({ kind: 'clean' });
  });

  it('is refused where a log is, and leaves it alone; a file that is cut short or altered leaves nothing', async () => {
    const before = await readdir(seen.folder);
    await expect(importInto(seen.folder, whole, true)).rejects.toMatchObject({ code: 'not-empty' });
    expect((await readdir(seen.folder)).sort()).toEqual(before.sort());
    const bytes = await readFile(whole);
    await using folder = await tempFolder();
    for (const [name, content] of Object.entries({
      cut: bytes.subarray(0, -60),
      altered: bytes.map((byte, i) => (i === bytes.length - 200 ? byte ^ 1 : byte)),
      group: await readFile(group),
    })) {
      const path = join(files.path, name);
      await writeFile(path, content);
      await expect(importInto(folder.path, path, true)).rejects.toMatchObject({ code: 'damaged-file' });
      expect(await readdir(folder.path)).toEqual(['lock']);
    }
  });

  it('is never taken for whole when a byte of it is another one or it ends early', async () => {
    for (const path of [whole, group]) {
      const bytes = await readFile(path);
      const verified = async (content: Uint8Array): Promise<string> => {
        const pieces = (async function* () {
          yield content;
        })();
        try {
          return (await verifyFile({ pieces, name: 'it', progress: NO_PROGRESS })).kind;
        } catch (error) {
          return String((error as { code?: string }).code);
        }
      };
      expect(await verified(bytes)).toBe('clean');
      await fc.assert(
        fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
          expect(await verified(bytes.map((byte, i) => (i === at ? byte ^ change : byte)))).not.toBe('clean');
          expect(await verified(bytes.subarray(0, at))).not.toBe('clean');
        }),
        { numRuns: 15 },
      );
    }
  });

  it('may hold the same event twice: both are stored, where they were', async () => {
    const events = await eventsOf(seen.folder);
    const again = {
      ...events.find(({ bytes }) => decodeEvent(bytes).type === 'messages-sent')!,
      sequence: events.length + 1,
    };
    await using folder = await tempFolder();
    await storeEvents(folder.path, [...events, again]);
    const stored = await eventsOf(folder.path);
    expect(stored.at(-1)).toMatchObject({ sequence: again.sequence, eventId: again.eventId });
    expect(await verify(folder.path)).toMatchObject({ kind: 'clean' });
  });
});

describe('an exported group', () => {
  it('holds its entries with their heads, found by id as by name, and is checked by itself', async () => {
    const report = await check(group);
    const [head] = (await headsIn(seen.folder)).filter((line) => line.startsWith(toBase64Url(seen.tea)));
    expect(report).toEqual({
      kind: 'clean',
      lines: [`group ${toBase64Url(seen.tea)}: 5 entries, epoch 2, head ${head!.split(' ')[2]}`],
    });
    await withSite(seen.folder, async (site) => {
      const byId = join(files.path, 'by-id');
      await writeWhole(byId, exportGroup(site, toBase64Url(seen.tea), options));
      expect(toHex(await readFile(byId))).toBe(toHex(await readFile(group)));
      await expect(writeWhole(group, exportGroup(site, 'tea', options))).rejects.toMatchObject({ code: 'not-empty' });
      const none = writeWhole(join(files.path, 'none'), exportGroup(site, 'no such group', options));
      await expect(none).rejects.toMatchObject({ code: 'not-found' });
    });
    expect((await readdir(files.path)).filter((name) => name.startsWith('none'))).toEqual([]);
  });
});
