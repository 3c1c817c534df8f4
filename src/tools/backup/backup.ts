import { constants, existsSync, statSync } from 'node:fs';
import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openTablesFile } from '../../projections/store/tables-file.ts';
import { toUtf8 } from '../../wire/bytes.ts';
import { writeWhole } from '../export/export-file.ts';
import type { LogHeader } from '../export/format.ts';
import { exportLog, type HeadsAt, headsOf } from '../export/write-export.ts';
import type { Progress } from '../progress.ts';
import type { Site } from '../site.ts';
import { ToolError } from '../tool-error.ts';
import { writeAttachments } from './attachments.ts';
import { type BackupManifest, FILES, FORMAT, sha256OfFile } from './manifest.ts';

export interface BackupOptions {
  /** Made when it is not there; has to be empty. */
  readonly dir: string;
  readonly withSecret: boolean;
  readonly progress: Progress;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * Copies a server, running or not: first the tables of one moment, then the log, which therefore holds everything that the
 * tables stand on, then the attachments that are kept. The folder is a backup when its manifest is there, which comes last.
 *
 * @throws ToolError `not-empty`, `no-data`; LogError
 */
export async function backup(site: Site, options: BackupOptions): Promise<BackupManifest> {
  const { dir, progress, now } = options;
  if (existsSync(dir) && !statSync(dir).isDirectory()) {
    throw new ToolError('not-empty', `${dir} is a file: a backup needs a folder of its own`);
  }
  await mkdir(dir, { recursive: true, mode: 0o700 });
  if ((await readdir(dir)).length > 0) {
    throw new ToolError('not-empty', `${dir} is not empty: a backup needs a folder of its own`);
  }
  const { secretFile } = site.options;
  if (options.withSecret && !existsSync(secretFile))
    throw new ToolError('no-data', `there is no secret in ${secretFile}`);
  try {
    const heads = await copyTables(site, join(dir, 'tables'));
    let header: LogHeader | undefined;
    const onHeader = (written: LogHeader): void => {
      header = written;
    };
    await writeWhole(join(dir, FILES.log), exportLog(site, heads, { progress, now, onHeader }));
    const stored = await (await site.openLog()).blobs();
    const attachments =
      stored === undefined ? undefined : await writeAttachments(join(dir, FILES.attachments), stored, progress);
    const { domain = '', incarnation = '', last: logAt = 0 } = (header ?? {}) as Partial<LogHeader>;
    if (options.withSecret) await copyFile(secretFile, join(dir, FILES.secret), constants.COPYFILE_EXCL);
    const tables = join(dir, FILES.tables);
    const manifest: BackupManifest = {
      format: FORMAT,
      v: 1,
      time: new Date(now).toISOString(),
      domain,
      incarnation,
      logAt,
      tablesAt: heads.sequence,
      ...(heads.sequence === 0 ? {} : { tablesSha256: await sha256OfFile(tables) }),
      hasSecret: options.withSecret,
      ...(attachments === undefined ? {} : { attachments }),
    };
    await writeWhole(join(dir, FILES.manifest), oneChunk(`${JSON.stringify(manifest, undefined, 2)}\n`));
    return manifest;
  } finally {
    progress.end();
  }
}

/** Tables that cannot be used are left out: they are made from the log. */
async function copyTables(site: Site, to: string): Promise<HeadsAt> {
  const opened = await openTablesFile(site.tablesFolder);
  if (opened.kind !== 'tables') return headsOf(undefined);
  await using file = opened.file;
  await file.copyTo(to);
  const copy = await openTablesFile(to);
  if (copy.kind !== 'tables') throw new Error('the tables that were just copied cannot be opened');
  let heads: HeadsAt;
  try {
    heads = headsOf(copy.file);
  } finally {
    await copy.file.close();
  }
  await rm(join(to, 'lock.mdb'), { force: true });
  if (heads.sequence === 0) await rm(to, { recursive: true, force: true });
  return heads;
}

async function* oneChunk(text: string): AsyncGenerator<Uint8Array> {
  yield toUtf8(text);
}
