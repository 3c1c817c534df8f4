import { chmod, copyFile, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { LogError, messageOf } from '../errors.ts';
import { createGetPackage, systemPackageSources } from './debian-package.ts';
import { CHOSEN_VARIABLE, cachedBinary, findNatsServer, type SearchPlaces, searchPlaces } from './find.ts';
import { getRelease, PINNED_VERSION, releaseArchive } from './pinned-release.ts';
import { runProgram } from './run-program.ts';
import { formatVersion, isAtLeast, type NatsServerBinary, probeBinary, SYNC_ALWAYS_SINCE } from './version.ts';

/** One way to get a nats-server; tried in order until one gives a program that runs. */
export interface Provider {
  /** What it tries, for people: `the official release 2.14.5`. */
  readonly name: string;
  /** Puts a program somewhere below `folder` and gives its path. @throws Error with a reason for people. */
  readonly get: (folder: string) => Promise<string>;
}

export interface AcquireOptions {
  readonly places?: SearchPlaces;
  readonly providers?: readonly Provider[];
  /** Told what is being tried, a line at a time. */
  readonly onProgress?: (line: string) => void;
}

/**
 * Finds a nats-server, or gets one into the user's cache folder, without root. One that cannot sync every write is
 * settled for only when nothing better can be had, and then for good: remove it from the cache to have it tried again.
 *
 * @throws LogError `server-not-found`, with the ways to install one in its message.
 */
export async function acquireNatsServer(options: AcquireOptions = {}): Promise<NatsServerBinary> {
  const places = options.places ?? searchPlaces();
  const progress = options.onProgress ?? (() => undefined);
  const found = await findOrNone(places);
  const isCached = found?.path === cachedBinary(places.cacheFolder);
  if (found !== undefined && (places.chosen !== undefined || isCached || isGood(found))) return found;
  let best = found;
  for (const provider of options.providers ?? (await systemProviders())) {
    progress(`getting nats-server: ${provider.name}`);
    try {
      best = await install(provider, places.cacheFolder, best);
      if (isGood(best)) return best;
    } catch (error) {
      progress(`  not this way: ${messageOf(error)}`);
    }
  }
  if (best === undefined) throw new LogError('server-not-found', HOW_TO_INSTALL);
  // Kept in the cache too, so that the next run takes it at once instead of trying everything again.
  return { ...best, path: await place(best.path, cachedBinary(places.cacheFolder)) };
}

const HOW_TO_INSTALL = `No nats-server was found, and none could be downloaded. Any one of these helps:
  1. Install nats-server 2.10 or later with your package manager (apt, brew, apk, …), so that it is on PATH.
  2. Download a release from https://github.com/nats-io/nats-server/releases and unpack it onto PATH.
  3. Set ${CHOSEN_VARIABLE} to the path of a nats-server that you have.
Then run this again.`;

/** What to say about a server whose acknowledgements are weaker than the rest assumes; `undefined` when they are not. */
export function durabilityWarning(binary: NatsServerBinary): string | undefined {
  if (isGood(binary)) return undefined;
  return (
    `nats-server ${formatVersion(binary.version)} (${binary.path}) works, but acknowledges before it syncs to disk: ` +
    'a power cut can take the last two minutes back. Version 2.10 or later does not.'
  );
}

function isGood(binary: NatsServerBinary): boolean {
  return isAtLeast(binary.version, SYNC_ALWAYS_SINCE);
}

async function findOrNone(places: SearchPlaces): Promise<NatsServerBinary | undefined> {
  try {
    return await findNatsServer(places);
  } catch (error) {
    if (error instanceof LogError && error.code === 'server-not-found' && places.chosen === undefined) return undefined;
    throw error;
  }
}

/** This machine's ways, best first. */
async function systemProviders(): Promise<readonly Provider[]> {
  const providers: Provider[] = [];
  const archive = releaseArchive(process.platform, process.arch);
  if (archive !== undefined) {
    providers.push({
      name: `the official release ${PINNED_VERSION}`,
      get: (folder) => getRelease(archive, folder),
    });
  }
  const getPackage = createGetPackage();
  for (const source of await systemPackageSources()) {
    providers.push({
      name: `the package in ${source.suites.join(', ')} of this system's mirror`,
      get: (folder) => getPackage(source, folder),
    });
  }
  if (process.platform === 'darwin') {
    providers.push(installed('brew', ['install', '--quiet', 'nats-server'], ['--prefix', 'nats-server']));
  }
  return providers;
}

/** A package manager that installs for the user; the program is copied from where it says it put it. */
function installed(manager: string, install: readonly string[], prefix: readonly string[]): Provider {
  return {
    name: `${manager} ${install.join(' ')}`,
    get: async () => {
      await runProgram(manager, install);
      return join((await runProgram(manager, prefix)).trim(), 'bin', 'nats-server');
    },
  };
}

/** Puts what the provider gives into the cache, unless it does not run here or is no better than what there is. */
async function install(
  provider: Provider,
  cache: string,
  best: NatsServerBinary | undefined,
): Promise<NatsServerBinary> {
  const work = await mkdtemp(join(tmpdir(), 'mlsd-nats-'));
  try {
    const got = await probeBinary(await provider.get(work));
    if (got === undefined) throw new Error('what came does not run on this machine');
    if (best !== undefined && !isGood(got)) return best;
    return { ...got, path: await place(got.path, cachedBinary(cache)) };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Copies beside the target and renames, so that whoever looks finds a whole program or none. */
async function place(from: string, to: string): Promise<string> {
  if (from === to) return to;
  const folder = dirname(to);
  await mkdir(folder, { recursive: true });
  const beside = await mkdtemp(join(folder, '.new-'));
  try {
    const copy = join(beside, 'nats-server');
    await copyFile(from, copy);
    await chmod(copy, 0o755);
    await rename(copy, to);
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
  return to;
}
