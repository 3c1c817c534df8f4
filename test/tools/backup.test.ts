import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { backup } from '../../src/tools/backup/backup.ts';
import type { BackupManifest } from '../../src/tools/backup/manifest.ts';
import { restore } from '../../src/tools/backup/restore.ts';
import { readPieces } from '../../src/tools/export/export-file.ts';
import { importLog } from '../../src/tools/export/import-log.ts';
import { NO_PROGRESS } from '../../src/tools/progress.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { tempFolder } from '../support/nats.ts';
import { holdLockAwhile } from '../support/orphan-lock.ts';
import { okValue, problemOf } from '../support/signed-client.ts';
import { pathOf } from '../support/test-device.ts';
import { copyFolder, type SeenServer, seenServer, siteOptions, verify, withSite } from './support.ts';

let seen: SeenServer;

beforeAll(async () => {
  seen = await seenServer();
});
afterAll(() => seen[Symbol.asyncDispose]());

const backUp = (folder: string, dir: string, withSecret = true): Promise<BackupManifest> =>
  withSite(folder, (site) => backup(site, { dir, withSecret, progress: NO_PROGRESS, now: Date.now() }));
const restoreTo = (folder: string, dir: string, nothingLost: boolean) =>
  restore({ site: siteOptions(folder), dir, nothingLost, progress: NO_PROGRESS });

describe('mlsd backup and restore', () => {
  it('copies a server that goes on writing; the copy serves, and what it has not is asked for again', async () => {
    await using work = await tempFolder();
    const [folder, dir, other] = ['server', 'backup', 'other'].map((name) => join(work.path, name)) as [
      string,
      string,
      string,
    ];
    await copyFolder(seen.folder, folder);
    const cursor = await seen.on(folder, async () => {
      let more = true;
      const writing = (async () => {
        for (let i = 0; more; i += 1) await seen.bob.send(seen.tea, `meanwhile ${i}`);
      })();
      const made = await backUp(folder, dir);
      more = false;
      await writing;
      expect(made.tablesAt).toBeGreaterThan(0);
      expect(made.tablesAt).toBeLessThanOrEqual(made.logAt);
      await seen.alice.syncAll();
      return seen.alice.cursor;
    });
    expect(await verify(folder)).toMatchObject({ kind: 'clean' });
    await restoreTo(other, dir, false);
    await seen.on(other, async () => {
      expect(problemOf(await seen.alice.http.request('GET', `/v1/sync?cursor=${cursor}`)).code).toBe('cursor-invalid');
      seen.alice.cursor = 'start';
      expect((await seen.alice.syncAll()).length).toBeGreaterThanOrEqual(5);
      expect(await seen.alice.syncAll()).toEqual([]);
    });
    expect(await verify(other)).toMatchObject({ kind: 'clean' });
  });

  it('goes on with the old cursors when nothing was lost, with the tables that were in it', async () => {
    await using work = await tempFolder();
    const [folder, dir, other] = ['server', 'backup', 'other'].map((name) => join(work.path, name)) as [
      string,
      string,
      string,
    ];
    await copyFolder(seen.folder, folder);
    const cursor = await seen.on(folder, async () => {
      seen.alice.cursor = 'start';
      await seen.alice.syncAll();
      return seen.alice.cursor;
    });
    await backUp(folder, dir);
    expect(await restoreTo(other, dir, true)).toMatchObject({ tables: 'restored', hasSecret: true });
    await seen.on(other, async () => {
      seen.alice.cursor = cursor;
      expect(await seen.alice.syncAll()).toEqual([]);
      await seen.alice.send(seen.tea, 'after the restore');
      expect(await seen.alice.syncAll()).toHaveLength(1);
    });
    expect(await verify(other)).toMatchObject({ kind: 'clean' });
  });

  it('carries the attachments that are kept, for whoever could read them before; an altered one is refused', async () => {
    await using work = await tempFolder();
    const [folder, dir] = [join(work.path, 'server'), join(work.path, 'backup')];
    await copyFolder(seen.folder, folder);
    const files = [70_000, 12].map((length, i) => new Uint8Array(length).fill(i + 1));
    const pathOfBlob = (bytes: Uint8Array): string => `${pathOf(seen.tea)}/blobs/${toBase64Url(nodeSha256(bytes))}`;
    await seen.on(folder, async () => {
      for (const body of files)
        okValue(await seen.alice.http.request('PUT', pathOfBlob(body), { body: { blob: body } }));
      expect((await backUp(folder, dir)).attachments).toMatchObject({ count: 2 });
    });
    const other = join(work.path, 'other');
    expect(await restoreTo(other, dir, true)).toMatchObject({ attachments: 2 });
    await seen.on(other, async () => {
      for (const bytes of files) {
        const { blob } = okValue(await seen.bob.http.request('GET', pathOfBlob(bytes)));
        expect(Buffer.compare(blob, bytes)).toBe(0);
      }
    });

    const manifest: BackupManifest = JSON.parse(await readFile(join(dir, 'backup.json'), 'utf8'));
    const file = join(dir, 'attachments.mlsd-blobs');
    const [altered, sha256] = [await readFile(file), createHash('sha256')];
    altered[1_000]! ^= 1; // of the first one’s bytes
    await writeFile(file, altered);
    await expect(restoreTo(join(work.path, 'third'), dir, true)).rejects.toMatchObject({ code: 'damaged-file' });
    // and so is one whose sums were made to fit the file, but not the name that members ask for
    const attachments = { ...manifest.attachments!, sha256: sha256.update(altered).digest('hex') };
    await writeFile(join(dir, 'backup.json'), JSON.stringify({ ...manifest, attachments }));
    await expect(restoreTo(join(work.path, 'fourth'), dir, true)).rejects.toMatchObject({ code: 'damaged-file' });
    expect(existsSync(join(work.path, 'fourth', 'nats'))).toBe(false);
  });

  it('leaves out attachments whose time was over', async () => {
    await using work = await tempFolder();
    const [folder, dir] = [join(work.path, 'server'), join(work.path, 'backup')];
    await copyFolder(seen.folder, folder);
    const body = new Uint8Array(50);
    await seen.on(folder, async () => {
      const path = `${pathOf(seen.tea)}/blobs/${toBase64Url(nodeSha256(body))}`;
      okValue(await seen.alice.http.request('PUT', path, { body: { blob: body } }));
    });
    const manifest = await backUp(folder, dir);
    const attachments = { ...manifest.attachments!, retentionMs: 100 };
    await writeFile(join(dir, 'backup.json'), JSON.stringify({ ...manifest, attachments }));
    expect(await restoreTo(join(work.path, 'other'), dir, true)).toMatchObject({ attachments: 0 });
  });

  it('S7: holds the secret only when that was asked for, everything for its owner alone', async () => {
    await using work = await tempFolder();
    const [without, with_] = [join(work.path, 'without'), join(work.path, 'with')];
    await backUp(seen.folder, without, false);
    await backUp(seen.folder, with_);
    expect((await readdir(without)).sort()).toEqual(['backup.json', 'log.mlsd-export', 'tables']);
    expect((await readdir(with_)).sort()).toEqual(['backup.json', 'log.mlsd-export', 'secret', 'tables']);
    for (const name of await readdir(with_))
      expect([name, (await stat(join(with_, name))).mode & 0o077]).toEqual([name, 0]);
    const secret = (await readFile(join(seen.folder, 'secret'), 'utf8')).trim();
    for (const name of ['backup.json', 'log.mlsd-export', 'tables/data.mdb']) {
      const content = await readFile(join(with_, name));
      expect(content.includes(secret) || content.includes(Buffer.from(secret, 'hex'))).toBe(false);
    }
    const restored = await restoreTo(join(work.path, 'other'), without, true);
    expect(restored.hasSecret).toBe(false);
  });

  it('is refused on a folder that is not empty, and from one that is no finished backup; altered tables are left out', async () => {
    await using work = await tempFolder();
    const [dir, other] = [join(work.path, 'backup'), join(work.path, 'other')];
    await backUp(seen.folder, dir);
    await expect(backUp(seen.folder, dir)).rejects.toMatchObject({ code: 'not-empty' });
    await expect(restoreTo(seen.folder, dir, true)).rejects.toMatchObject({ code: 'not-empty' });
    const tables = join(dir, 'tables/data.mdb');
    const bytes = await readFile(tables);
    await writeFile(
      tables,
      bytes.map((byte, i) => (i === bytes.length - 10 ? byte ^ 1 : byte)),
    );
    expect(await restoreTo(other, dir, true)).toMatchObject({ tables: 'altered' });
    expect(existsSync(join(other, 'tables'))).toBe(false);
    await seen.on(other, async () => undefined);
    expect(await verify(other)).toMatchObject({ kind: 'clean' });
    await rm(join(dir, 'backup.json'));
    await expect(restoreTo(join(work.path, 'third'), dir, true)).rejects.toMatchObject({ code: 'damaged-file' });
  });

  it.skipIf(process.platform !== 'linux')(
    'after a restore or import that was killed, the next one begins when the nats-server of that one has ended',
    async () => {
      await using work = await tempFolder();
      const [dir, done] = [join(work.path, 'backup'), join(work.path, 'done')];
      await backUp(seen.folder, dir);
      const other = join(work.path, 'other');
      const restored = await holdLockAwhile(join(other, '.restoring', 'nats'), done);
      expect(await restoreTo(other, dir, true)).toMatchObject({ tables: 'restored' });
      expect(existsSync(done)).toBe(true);
      await restored.exited;

      await rm(done);
      const third = join(work.path, 'third');
      const imported = await holdLockAwhile(join(third, '.importing', 'nats'), done);
      const pieces = readPieces(join(dir, 'log.mlsd-export'));
      await importLog({ site: siteOptions(third), pieces, name: 'it', nothingLost: true, progress: NO_PROGRESS });
      expect(existsSync(done)).toBe(true);
      await imported.exited;
      for (const folder of [other, third])
        expect((await readdir(folder)).some((name) => name.startsWith('.'))).toBe(false);
    },
  );

  it('interrupted, it leaves nothing that a server would take for a server', async () => {
    await using work = await tempFolder();
    const [dir, other] = [join(work.path, 'backup'), join(work.path, 'other')];
    await backUp(seen.folder, dir);
    const site = { ...siteOptions(other), signal: AbortSignal.abort() };
    await expect(restore({ site, dir, nothingLost: true, progress: NO_PROGRESS })).rejects.toThrow();
    expect(await readdir(other)).toEqual(['lock']);
    expect(await restoreTo(other, dir, true)).toMatchObject({ tables: 'restored' });
    // Killed when all but the log, which comes last, is in its place:
    await rm(join(other, 'nats'), { recursive: true });
    await expect(seen.on(other, async () => undefined)).rejects.toMatchObject({ code: 'log-missing' });
  });
});
