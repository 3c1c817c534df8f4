import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LogError } from '../../log/errors.ts';
import { acquireFolderLock } from '../../log/folder-lock.ts';
import { type ImportedEvent, importEvents } from '../../log/import-events.ts';
import { dropUnfinished } from '../../log/swap-store.ts';
import type { Progress } from '../progress.ts';
import { natsBinary, type SiteOptions } from '../site.ts';
import { ToolError } from '../tool-error.ts';
import { checkEvent } from '../verify/check-event.ts';
import type { LogHeader } from './format.ts';
import { type OpenExport, readExport } from './read-export.ts';

export interface ImportOptions {
  readonly site: SiteOptions;
  /** The export, and what to call it. */
  readonly pieces: AsyncIterable<Uint8Array>;
  readonly name: string;
  /** Nothing was accepted after the export: the log goes on as the same incarnation, and cursors stay good. */
  readonly nothingLost: boolean;
  readonly progress: Progress;
}

export interface Imported {
  readonly header: LogHeader;
  /** Sequence of the log's last event now. */
  readonly last: number;
}

const BATCH_EVENTS = 256;

/**
 * Makes the log of a server out of an export: in a folder beside, that takes its place when everything is stored and the file
 * turned out to be whole. Tables are made from it when the server starts.
 *
 * @throws ToolError `not-empty` when the server has a log or tables, `damaged-file`, `server-runs`; LogError
 */
export async function importLog(options: ImportOptions): Promise<Imported> {
  const { site } = options;
  await mkdir(site.dataFolder, { recursive: true, mode: 0o700 });
  await using _lock = await lockFolder(site);
  for (const name of ['nats', 'tables']) {
    if (existsSync(join(site.dataFolder, name))) {
      throw new ToolError('not-empty', `${join(site.dataFolder, name)} is there already: an import needs an empty log`);
    }
  }
  const beside = join(site.dataFolder, '.importing');
  await dropUnfinished(beside, site.signal);
  try {
    const imported = await fillLog(options, join(beside, 'nats'));
    await rename(join(beside, 'nats'), join(site.dataFolder, 'nats'));
    return imported;
  } finally {
    options.progress.end();
    await rm(beside, { recursive: true, force: true });
  }
}

/** Locks a data folder that a server is to be made in. @throws ToolError `server-runs` */
export async function lockFolder({ dataFolder, log, signal }: SiteOptions) {
  if (log.kind === 'remote') {
    throw new ToolError(
      'not-empty',
      'a log is brought into the own nats-server of a server, not into one named by --nats',
    );
  }
  try {
    return await acquireFolderLock(dataFolder, signal);
  } catch (error) {
    if (!(error instanceof LogError && error.code === 'locked')) throw error;
    throw new ToolError('server-runs', `a server runs on ${dataFolder}: choose another folder`, { cause: error });
  }
}

/** Fills a new log folder from an export. @throws as {@link importLog} */
export async function fillLog(
  { site, pieces, name, nothingLost, progress }: ImportOptions,
  folder: string,
): Promise<Imported> {
  const opened = await readExport(pieces, name);
  const { header } = opened;
  if (header.kind !== 'log') {
    throw new ToolError(
      'damaged-file',
      `${name} holds one group's entries; a server is made from an export of the whole log`,
    );
  }
  const { signal } = site;
  const last = await importEvents({
    folder,
    binary: await natsBinary(site.log),
    newIncarnation: !nothingLost,
    events: importedEvents(opened, name),
    onProgress: (sequence) => progress.report('storing events', sequence, header.last),
    ...(signal === undefined ? {} : { signal }),
  });
  return { header, last };
}

async function* importedEvents({ items }: OpenExport, name: string): AsyncGenerator<readonly ImportedEvent[]> {
  let batch: ImportedEvent[] = [];
  for await (const item of items) {
    if (item.kind === 'entry') throw new ToolError('damaged-file', `${name} has an entry where events belong`);
    if (item.kind === 'head') continue;
    const [sequence, , subject, eventId, bytes] = item.event;
    const event = { sequence, subject, eventId, bytes };
    const checked = checkEvent(event);
    if ('problem' in checked) throw new ToolError('damaged-file', `${name}: event ${sequence} ${checked.problem}`);
    batch.push(event);
    if (batch.length < BATCH_EVENTS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
