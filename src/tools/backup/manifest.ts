import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ToolError } from '../tool-error.ts';
import type { AttachmentsManifest } from './attachments.ts';

/** What a backup says of itself, as `backup.json`: written last, so that a folder without it is no backup. */
export interface BackupManifest {
  readonly format: typeof FORMAT;
  readonly v: 1;
  /** When it was made, ISO 8601. */
  readonly time: string;
  readonly domain: string;
  readonly incarnation: string;
  /** Sequence of the log's last event in it. */
  readonly logAt: number;
  /** Sequence the tables stand on, at most `logAt`; 0: no tables are in it. */
  readonly tablesAt: number;
  /** SHA-256 of the tables' file in hexadecimal. */
  readonly tablesSha256?: string;
  readonly hasSecret: boolean;
  /** Absent: no attachments are in it. */
  readonly attachments?: AttachmentsManifest;
}

export const FORMAT = 'mlsd-backup';
export const FILES = {
  manifest: 'backup.json',
  log: 'log.mlsd-export',
  attachments: 'attachments.mlsd-blobs',
  tables: join('tables', 'data.mdb'),
  secret: 'secret',
} as const;

/** @throws ToolError `damaged-file` when the folder is no backup */
export async function readManifest(dir: string): Promise<BackupManifest> {
  let manifest: unknown;
  try {
    manifest = JSON.parse(await readFile(join(dir, FILES.manifest), 'utf8'));
  } catch (cause) {
    throw new ToolError('damaged-file', `${dir} is no backup of mlsd, or it was not finished`, { cause });
  }
  const { format, v, domain, incarnation, logAt, tablesAt, hasSecret } = manifest as Partial<BackupManifest>;
  const isOurs =
    format === FORMAT &&
    v === 1 &&
    typeof domain === 'string' &&
    typeof incarnation === 'string' &&
    typeof logAt === 'number' &&
    typeof tablesAt === 'number' &&
    typeof hasSecret === 'boolean';
  if (!isOurs)
    throw new ToolError('damaged-file', `${join(dir, FILES.manifest)} is none of a backup that this version knows`);
  return manifest as BackupManifest;
}

/** SHA-256 of a file in hexadecimal. */
export async function sha256OfFile(path: string): Promise<string> {
  const sha256 = createHash('sha256');
  for await (const chunk of createReadStream(path)) sha256.update(chunk as Uint8Array);
  return sha256.digest('hex');
}
