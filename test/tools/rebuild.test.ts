import { existsSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTablesFile } from '../../src/projections/store/tables-file.ts';
import { NO_PROGRESS } from '../../src/tools/progress.ts';
import { rebuild } from '../../src/tools/rebuild.ts';
import { openSite } from '../../src/tools/site.ts';
import { tempFolder } from '../support/nats.ts';
import { spawnLines } from '../support/process.ts';
import {
  copyFolder,
  mlsd,
  plainEvents,
  type SeenServer,
  seenServer,
  siteOptions,
  storeEvents,
  verify,
  withSite,
} from './support.ts';

const EVENTS = 1_000;
const HALF = fileURLToPath(new URL('./rebuild-half.ts', import.meta.url));
let seen: SeenServer;

beforeAll(async () => {
  seen = await seenServer();
});
afterAll(() => seen[Symbol.asyncDispose]());

async function sequenceIn(folder: string): Promise<number | undefined> {
  const opened = await openTablesFile(folder);
  if (opened.kind !== 'tables') return undefined;
  await using file = opened.file;
  return file.standing().checkpoint?.sequence;
}

describe('mlsd rebuild', () => {
  it('killed with SIGKILL half way it leaves the old tables, and goes on where it was', async () => {
    await using folder = await tempFolder();
    const tables = join(folder.path, 'tables');
    const events = plainEvents(EVENTS, 200);
    await storeEvents(folder.path, events);
    await withSite(folder.path, (site) => rebuild(site, NO_PROGRESS));
    expect(await sequenceIn(tables)).toBe(EVENTS);
    const { ino } = await stat(join(tables, 'data.mdb'));

    const child = spawnLines(process.execPath, ['--import', 'tsx', HALF, folder.path]);
    const half = (line: string): boolean => Number(/^written (\d+)$/.exec(line)?.[1]) >= EVENTS / 2;
    await child.waitForLine(half, 'half of the tables');
    await child.kill('SIGKILL');
    expect((await stat(join(tables, 'data.mdb'))).ino).toBe(ino);
    const reached = await sequenceIn(join(tables, '.rebuilding'));
    expect(reached).toBeGreaterThanOrEqual(EVENTS / 2);
    expect(reached).toBeLessThan(EVENTS);

    const again = mlsd('rebuild', '--data', folder.path);
    expect(await again.exited).toBe(0);
    expect(again.errors.join('\n')).toContain(`going on after event ${reached}, where it was interrupted`);
    expect(again.lines).toEqual([`the tables are made anew, up to event ${EVENTS}`]);
    expect((await stat(join(tables, 'data.mdb'))).ino).not.toBe(ino);
    expect(existsSync(join(tables, '.rebuilding'))).toBe(false);
    expect(await verify(folder.path)).toMatchObject({ kind: 'clean' });
  });

  it('prepares new tables while the server runs, and swaps them when it is stopped', async () => {
    await using folder = await tempFolder();
    await copyFolder(seen.folder, folder.path);
    const prepared = await seen.on(folder.path, async () => {
      const { kind, sequence } = await withSite(folder.path, (site) => rebuild(site, NO_PROGRESS));
      expect(kind).toBe('prepared');
      await seen.bob.send(seen.tea, 'after it was prepared');
      return sequence;
    });
    const { kind, sequence } = await withSite(folder.path, (site) => rebuild(site, NO_PROGRESS));
    expect({ kind, sequence }).toEqual({ kind: 'swapped', sequence: prepared + 1 });
    expect(await verify(folder.path)).toMatchObject({ kind: 'clean' });
    await seen.on(folder.path, async () => {
      expect((await seen.alice.syncAll()).length).toBeGreaterThan(0);
    });
  });

  it('interrupted, it ends by itself, leaves the old tables as they were, and can be done again', async () => {
    await using folder = await tempFolder();
    await copyFolder(seen.folder, folder.path);
    const tables = join(folder.path, 'tables');
    const { ino } = await stat(join(tables, 'data.mdb'));
    const stopping = new AbortController();
    const options = { ...siteOptions(folder.path), signal: stopping.signal };
    {
      await using site = await openSite(options);
      await site.openLog();
      stopping.abort();
      await expect(rebuild(site, NO_PROGRESS)).rejects.toMatchObject({ code: 'aborted' });
      expect((await stat(join(tables, 'data.mdb'))).ino).toBe(ino);
    }
    expect((await withSite(folder.path, (site) => rebuild(site, NO_PROGRESS))).kind).toBe('swapped');
    expect(await verify(folder.path)).toMatchObject({ kind: 'clean' });
  });

  it('makes tables where there are none', async () => {
    await using folder = await tempFolder();
    await copyFolder(seen.folder, folder.path);
    await rm(join(folder.path, 'tables'), { recursive: true });
    expect((await withSite(folder.path, (site) => rebuild(site, NO_PROGRESS))).kind).toBe('swapped');
    expect(await verify(folder.path)).toMatchObject({ kind: 'clean' });
  });
});
