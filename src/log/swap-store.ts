import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { acquireFolderLock } from './folder-lock.ts';
import { STREAM_NAME } from './subjects.ts';

/** Where a log is made that is to take the place of another, in the data folder. */
const BESIDE = '.compacting';
const SERVER = 'nats';
/** The log alone in the folder of a nats-server: what else is stored there (attachments) stays as it is. */
const STREAM = join(SERVER, 'store', 'jetstream', '$G', 'streams', STREAM_NAME);
const OLD = 'old';
/** There when the new log is whole: from here on it is the log, whatever happens. */
const READY = 'ready';

/** The folder for a nats-server whose log is to take the place of the log; what an interrupted attempt left is gone. */
export async function newStore(dataFolder: string): Promise<string> {
  await dropNewStore(dataFolder);
  const beside = join(dataFolder, BESIDE);
  await mkdir(beside, { recursive: true, mode: 0o700 });
  return join(beside, SERVER);
}

/** Takes the folder back that {@link newStore} began; without effect when there is none. @throws as {@link dropUnfinished} */
export async function dropNewStore(dataFolder: string): Promise<void> {
  await dropUnfinished(join(dataFolder, BESIDE));
}

/**
 * Removes a folder in which a tool was making a server's data, with a nats-server in `nats` below it; without effect when there is none.
 *
 * The nats-server of a tool that was killed ends a moment after it, and writes until then: its lock is waited for, or it would go on
 * in the folder of the next attempt.
 *
 * @throws LogError `locked` when that server does not end, `aborted`
 */
export async function dropUnfinished(beside: string, signal?: AbortSignal): Promise<void> {
  const server = join(beside, SERVER);
  if (existsSync(server)) await (await acquireFolderLock(server, signal)).close();
  await rm(beside, { recursive: true, force: true });
}

/** Puts the new log in the place of the old one, which goes. Nobody may have either open. */
export async function swapStore(dataFolder: string): Promise<void> {
  const beside = join(dataFolder, BESIDE);
  await writeFile(join(beside, READY), '', { flush: true });
  await sync(beside);
  await finishSwap(dataFolder);
}

/**
 * Finishes a swap that a crash interrupted; a new log that was not whole yet goes. To be called before the log of a data folder
 * is opened, by whoever holds the folder's lock.
 *
 * @throws LogError `locked`, see {@link dropUnfinished}
 */
export async function finishSwap(dataFolder: string): Promise<void> {
  const beside = join(dataFolder, BESIDE);
  if (!existsSync(join(beside, READY))) return await dropNewStore(dataFolder);
  const stream = join(dataFolder, STREAM);
  if (existsSync(join(beside, STREAM))) {
    if (existsSync(stream)) await rename(stream, join(beside, OLD));
    await rename(join(beside, STREAM), stream);
    await sync(dirname(stream));
  }
  await dropNewStore(dataFolder);
}

async function sync(folder: string): Promise<void> {
  const file = await open(folder, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
