import { constants, existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type BlobCopy, storeBlobs } from '../../log/copy-blobs.ts';
import { dropUnfinished } from '../../log/swap-store.ts';
import { readPieces } from '../export/export-file.ts';
import { fillLog, lockFolder } from '../export/import-log.ts';
import type { Progress } from '../progress.ts';
import { natsBinary, type SiteOptions } from '../site.ts';
import { ToolError } from '../tool-error.ts';
import { readAttachments } from './attachments.ts';
import { type BackupManifest, FILES, readManifest, sha256OfFile } from './manifest.ts';

export interface RestoreOptions {
  readonly site: SiteOptions;
  readonly dir: string;
  /** The server accepted nothing after the backup: it goes on as the same incarnation, and cursors stay good. */
  readonly nothingLost: boolean;
  readonly progress: Progress;
}

export interface Restored {
  readonly manifest: BackupManifest;
  /** Sequence of the log's last event now. */
  readonly last: number;
  /** `altered`: the tables in the backup are not those that were put there; they are made anew from the log. */
  readonly tables: 'restored' | 'none' | 'altered';
  readonly hasSecret: boolean;
  /** Attachments put there; those whose time was over are left out. */
  readonly attachments: number;
}

const BESIDE = '.restoring';
/** What may be in a data folder that is restored into. */
const ALLOWED: ReadonlySet<string> = new Set(['lock', 'secret', BESIDE]);

/**
 * Makes a data folder out of a backup. Everything is made in a folder beside first; what a server goes by, its log, comes
 * to its place last, so that an interrupted restore is never served.
 *
 * @throws ToolError `damaged-file`, `not-empty`, `server-runs`; LogError
 */
export async function restore({ site, dir, nothingLost, progress }: RestoreOptions): Promise<Restored> {
  const manifest = await readManifest(dir);
  const { dataFolder, secretFile } = site;
  await mkdir(dataFolder, { recursive: true, mode: 0o700 });
  await using _lock = await lockFolder(site);
  const inTheWay = (await readdir(dataFolder)).filter((name) => !ALLOWED.has(name));
  if (inTheWay.length > 0) {
    throw new ToolError(
      'not-empty',
      `${dataFolder} holds ${inTheWay.join(', ')}: a backup is restored into an empty folder`,
    );
  }
  if (manifest.hasSecret && existsSync(secretFile)) {
    throw new ToolError(
      'not-empty',
      `${secretFile} is there, and the backup holds a secret too: move one of them away`,
    );
  }
  const beside = join(dataFolder, BESIDE);
  await dropUnfinished(beside, site.signal);
  try {
    const name = join(dir, FILES.log);
    const filled = await fillLog({ site, pieces: readPieces(name), name, nothingLost, progress }, join(beside, 'nats'));
    const attachments = await copyAttachments(site, { dir, manifest }, join(beside, 'nats'));
    const tables = await copyTables(dir, manifest, join(beside, 'tables'));
    if (manifest.hasSecret) await copySecret(join(dir, FILES.secret), secretFile);
    if (tables === 'restored') await rename(join(beside, 'tables'), join(dataFolder, 'tables'));
    await rename(join(beside, 'nats'), join(dataFolder, 'nats'));
    await chmod(dataFolder, 0o700);
    return { manifest, last: filled.last, tables, attachments, hasSecret: existsSync(secretFile) };
  } finally {
    progress.end();
    await rm(beside, { recursive: true, force: true });
  }
}

/** @returns how many; their time begins anew */
async function copyAttachments(
  { log, signal }: SiteOptions,
  { dir, manifest }: { readonly dir: string; readonly manifest: BackupManifest },
  folder: string,
): Promise<number> {
  const { attachments } = manifest;
  if (attachments === undefined) return 0;
  const from = join(dir, FILES.attachments);
  if (!existsSync(from) || (await sha256OfFile(from)) !== attachments.sha256) {
    throw new ToolError('damaged-file', `${from} was altered or is missing: its SHA-256 is another one`);
  }
  const { retentionMs } = attachments;
  const over = Date.now() - retentionMs;
  let count = 0;
  async function* kept(): AsyncGenerator<BlobCopy> {
    for await (const blob of readAttachments(from)) {
      if (blob.storedAt <= over) continue;
      count += 1;
      yield blob;
    }
  }
  const binary = await natsBinary(log);
  await storeBlobs({ folder, binary, retentionMs, blobs: kept(), ...(signal === undefined ? {} : { signal }) });
  return count;
}

async function copyTables(dir: string, manifest: BackupManifest, to: string): Promise<Restored['tables']> {
  if (manifest.tablesSha256 === undefined) return 'none';
  const from = join(dir, FILES.tables);
  if (!existsSync(from) || (await sha256OfFile(from)) !== manifest.tablesSha256) return 'altered';
  await mkdir(to, { recursive: true, mode: 0o700 });
  await copyFile(from, join(to, 'data.mdb'));
  return 'restored';
}

async function copySecret(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  await copyFile(from, to, constants.COPYFILE_EXCL);
  await chmod(to, 0o600);
}
