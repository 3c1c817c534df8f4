import { access, constants } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { LogError } from '../errors.ts';
import {
  compareVersions,
  formatVersion,
  isAtLeast,
  type NatsServerBinary,
  OLDEST_USABLE,
  probeBinary,
  SYNC_ALWAYS_SINCE,
} from './version.ts';

/** What the search looks at; given by hand in tests. */
export interface SearchPlaces {
  /** A path somebody chose, or a name to be looked up on `PATH`: used or refused, never passed over. */
  readonly chosen: string | undefined;
  /** Folders of `PATH`, in order. */
  readonly path: readonly string[];
  readonly cacheFolder: string;
}

/** The variable that names a nats-server to use instead of any that would be found. */
export const CHOSEN_VARIABLE = 'MLSD_NATS_SERVER';
const CHOSEN_BY = `it was chosen by ${CHOSEN_VARIABLE} or --nats-server`;
const PROGRAM = 'nats-server';
/** Debian puts it where only root's PATH looks. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin'];

/** Where this user's copies of a nats-server are kept. */
export function cacheFolder(env: NodeJS.ProcessEnv, platform: NodeJS.Platform, home: string): string {
  const caches = env['XDG_CACHE_HOME'];
  if (caches?.startsWith('/') === true) return join(caches, 'mlsd');
  return platform === 'darwin' ? join(home, 'Library', 'Caches', 'mlsd') : join(home, '.cache', 'mlsd');
}

/** The places of this process's environment. */
export function searchPlaces(env: NodeJS.ProcessEnv = process.env): SearchPlaces {
  const path = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return {
    chosen: env[CHOSEN_VARIABLE] === '' ? undefined : env[CHOSEN_VARIABLE],
    path: [...path, ...SYSTEM_FOLDERS.filter((folder) => !path.includes(folder))],
    cacheFolder: cacheFolder(env, process.platform, homedir()),
  };
}

/** The program's place inside the cache folder. */
export function cachedBinary(folder: string): string {
  return join(folder, PROGRAM);
}

/**
 * Finds a nats-server: the chosen one, then the first on `PATH` that can sync every write, then the cached copy, then
 * the best of the older ones met on the way. Nothing is downloaded.
 *
 * @throws LogError `server-not-found` when there is none, or when the chosen one does not run.
 */
export async function findNatsServer(places: SearchPlaces = searchPlaces()): Promise<NatsServerBinary> {
  if (places.chosen !== undefined) return await useChosen(places.chosen);
  const older: NatsServerBinary[] = [];
  for (const path of [...places.path.map((folder) => join(folder, PROGRAM)), cachedBinary(places.cacheFolder)]) {
    const binary = (await isExecutable(path)) ? await probeBinary(path) : undefined;
    if (binary === undefined) continue;
    if (isAtLeast(binary.version, SYNC_ALWAYS_SINCE)) return binary;
    if (isAtLeast(binary.version, OLDEST_USABLE)) older.push(binary);
  }
  // Of equal ones the cached copy: that it is there says that nothing better could be had.
  const [best] = older.reverse().sort((a, b) => compareVersions(b.version, a.version));
  if (best !== undefined) return best;
  throw new LogError(
    'server-not-found',
    `no nats-server found. Run scripts/setup, install nats-server 2.10 or later, or name one in ${CHOSEN_VARIABLE}.`,
  );
}

async function useChosen(path: string): Promise<NatsServerBinary> {
  const binary = await probeBinary(path);
  if (binary === undefined) {
    throw new LogError('server-not-found', `${path} does not run as a nats-server; ${CHOSEN_BY}`);
  }
  if (!isAtLeast(binary.version, OLDEST_USABLE)) {
    const version = formatVersion(binary.version);
    throw new LogError('server-not-found', `${path} is nats-server ${version}, which is too old; ${CHOSEN_BY}`);
  }
  return binary;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false; // Most folders of PATH hold none.
  }
}
