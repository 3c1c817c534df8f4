import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Close, closeAll, closedAfter } from '../log/close-all.ts';
import { LogError } from '../log/errors.ts';
import { acquireFolderLock, type FolderLock } from '../log/folder-lock.ts';
import { type LogInspection, openInspection } from '../log/inspect-log.ts';
import { findNatsServer, searchPlaces } from '../log/nats-server/find.ts';
import type { NatsServerBinary } from '../log/nats-server/version.ts';
import { finishSwap } from '../log/swap-store.ts';
import { type OpenedTables, openTablesFile } from '../projections/store/tables-file.ts';
import { ToolError } from './tool-error.ts';

/** The server that a tool is to look at; the same settings as the server's own. */
export interface SiteOptions {
  readonly dataFolder: string;
  readonly secretFile: string;
  readonly domain: string;
  readonly log:
    | { readonly kind: 'embedded'; readonly program?: string }
    | {
        readonly kind: 'remote';
        readonly servers: readonly string[];
        readonly token?: string | undefined;
        readonly credentials?: string | undefined;
      };
  readonly signal?: AbortSignal;
}

const WORK = '.work-';

/** A server's data folder, and the log that goes with it. While the server is stopped nobody else can start it. */
export interface Site extends AsyncDisposable {
  readonly options: SiteOptions;
  /** Whether another process uses the data folder. */
  readonly running: boolean;
  readonly tablesFolder: string;
  /** The log, for reading: the running server's own, or one that is started for as long as the site is open. Opened once. */
  openLog(): Promise<LogInspection>;
  /** The stored tables as they are while nobody writes to them: of a running server a copy. Opened once. */
  openTables(): Promise<OpenedTables>;
  /** A folder of work, on the disk of the data, gone when the site is closed. */
  workFolder(): Promise<string>;
  close(): Promise<void>;
}

/**
 * Opens a data folder for a tool.
 *
 * @throws ToolError `no-data` when there is no such folder; LogError `aborted`.
 */
export async function openSite(options: SiteOptions): Promise<Site> {
  const { dataFolder, signal } = options;
  if (!existsSync(dataFolder)) {
    throw new ToolError('no-data', `${dataFolder} is not there: name the server's data folder with --data`);
  }
  const lock = await lockIfFree(dataFolder, signal);
  const opened: Close[] = lock === undefined ? [] : [lock.close];
  try {
    if (lock !== undefined) await finishSwap(dataFolder);
  } catch (error) {
    throw await closedAfter(error, opened);
  }
  const tablesFolder = join(dataFolder, 'tables');
  const opening: Promise<unknown>[] = [];
  const once = <Made>(make: () => Promise<Made>): (() => Promise<Made>) => {
    let made: Promise<Made> | undefined;
    return () => {
      if (made === undefined) {
        made = make();
        opening.push(made);
      }
      return made;
    };
  };
  const workFolder = once(async () => {
    await removeAbandoned(dataFolder);
    const path = await mkdtemp(join(dataFolder, `${WORK}${process.pid}-`));
    opened.push(() => rm(path, { recursive: true, force: true }));
    return path;
  });
  // What is still being opened is waited for: nobody else would close it, and its nats-server would run on.
  const close = async (): Promise<void> => {
    await Promise.allSettled(opening);
    await closeAll(opened);
  };
  return {
    options,
    running: lock === undefined,
    tablesFolder,
    workFolder,
    openLog: once(async () => {
      const log = await openInspection(await inspectPlace(options, lock === undefined), signal);
      opened.push(log.close);
      return log;
    }),
    openTables: once(async () => {
      const found = await openTablesFile(tablesFolder);
      if (found.kind !== 'tables') return found;
      if (lock !== undefined) {
        opened.push(found.file.close);
        return found;
      }
      const copy = join(await workFolder(), 'tables');
      try {
        await found.file.copyTo(copy);
      } finally {
        await found.file.close();
      }
      const copied = await openTablesFile(copy);
      if (copied.kind === 'tables') opened.push(copied.file.close);
      return copied;
    }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The program that runs a log of our own. @throws LogError `server-not-found` */
export async function natsBinary(log: SiteOptions['log']): Promise<NatsServerBinary> {
  const places = searchPlaces(process.env);
  const program = log.kind === 'embedded' ? log.program : undefined;
  return await findNatsServer(program === undefined ? places : { ...places, chosen: program });
}

async function inspectPlace({ log, dataFolder }: SiteOptions, running: boolean) {
  if (log.kind === 'remote') return log;
  const folder = join(dataFolder, 'nats');
  if (!existsSync(folder)) {
    throw new ToolError('no-data', `${dataFolder} holds no log: the server has not run there, or uses --nats`);
  }
  if (running) return { kind: 'running', folder } as const;
  return { kind: 'stopped', folder, binary: await natsBinary(log) } as const;
}

async function lockIfFree(folder: string, signal: AbortSignal | undefined): Promise<FolderLock | undefined> {
  try {
    return await acquireFolderLock(folder, signal);
  } catch (error) {
    if (error instanceof LogError && error.code === 'locked') return undefined;
    throw error;
  }
}

/** Folders of work of tools that were killed. */
async function removeAbandoned(dataFolder: string): Promise<void> {
  for (const name of await readdir(dataFolder)) {
    const pid = name.startsWith(WORK) ? Number.parseInt(name.slice(WORK.length), 10) : Number.NaN;
    if (Number.isInteger(pid) && !isAlive(pid)) await rm(join(dataFolder, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
