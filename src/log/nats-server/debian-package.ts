import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.ts';
import { type AptArchive, mainArchive, parseSources, parseSourcesList } from './apt-sources.ts';
import { runProgram } from './run-program.ts';

const APT_FOLDER = '/etc/apt';
const PACKAGE = 'nats-server';
/** Newest first; a server is a single Go program that runs on older releases as well. */
const NEWER_SUITES: Readonly<Record<string, readonly string[]>> = {
  debian: ['sid', 'testing', 'stable'],
  ubuntu: ['devel'],
};
const COMPONENTS: Readonly<Record<string, string>> = { debian: 'main', ubuntu: 'main universe' };
const HTTP_TIMEOUT_S = 10;
/** How apt says that nobody answered, in the language of `LC_ALL=C`. */
const NO_CONNECTION = /could not connect|connection (failed|timed out)|unable to connect|resolv/i;

/** One way to a package: an archive and a suite of it. */
export interface PackageSource {
  readonly archive: AptArchive;
  readonly suites: readonly string[];
  readonly components: string;
}

/** The family of this system, if its packages are Debian's kind; from the text of `/etc/os-release`. */
export function debianFamily(osRelease: string): 'debian' | 'ubuntu' | undefined {
  const value = (name: string): string => new RegExp(`^${name}="?([^"\n]*)`, 'm').exec(osRelease)?.[1] ?? '';
  const ids = [value('ID'), ...value('ID_LIKE').split(' ')];
  return ids.includes('ubuntu') ? 'ubuntu' : ids.includes('debian') ? 'debian' : undefined;
}

/** Where to look, in order: newer suites of the mirror this machine uses, at last the suites it is set up for. */
export function packageSources(family: 'debian' | 'ubuntu', archives: readonly AptArchive[]): readonly PackageSource[] {
  const archive = mainArchive(archives);
  if (archive === undefined) return [];
  const components = COMPONENTS[family]!;
  const newer = NEWER_SUITES[family]!.map((suite) => ({ archive, suites: [suite], components }));
  return [...newer, { archive, suites: archive.suites, components }];
}

/** This machine's sources; empty where there is no Debian-like apt. */
export async function systemPackageSources(): Promise<readonly PackageSource[]> {
  const family = debianFamily(await textOf('/etc/os-release'));
  if (family === undefined) return [];
  const parts = await namesIn(join(APT_FOLDER, 'sources.list.d'));
  const archives = [...parseSourcesList(await textOf(join(APT_FOLDER, 'sources.list')))];
  for (const name of parts) {
    const text = await textOf(join(APT_FOLDER, 'sources.list.d', name));
    if (name.endsWith('.sources')) archives.push(...parseSources(text));
    if (name.endsWith('.list')) archives.push(...parseSourcesList(text));
  }
  return packageSources(family, archives);
}

/**
 * Downloads the newest package of a source and unpacks it into `folder`, without root and without touching the
 * system's own apt state. Settles with the path of the program.
 *
 * @throws Error with a reason for people.
 */
async function getPackage(source: PackageSource, folder: string): Promise<string> {
  const state = join(folder, 'apt');
  await mkdir(join(state, 'lists', 'partial'), { recursive: true });
  await mkdir(join(state, 'cache', 'archives', 'partial'), { recursive: true });
  const list = join(folder, 'source.sources');
  const config = join(folder, 'apt.conf');
  await writeFile(list, sourceText(source));
  await writeFile(config, aptConfig(state, list));
  await updateLists(config, folder);
  await apt(['-c', config, 'download', PACKAGE], folder);
  const file = (await readdir(folder)).find((name) => name.endsWith('.deb'));
  if (file === undefined) throw new Error('no package was downloaded');
  await runProgram('dpkg', ['-x', join(folder, file), join(folder, 'package')]);
  const unpacked = await readdir(join(folder, 'package'), { recursive: true });
  const program = unpacked.find((path) => /(^|\/)s?bin\/nats-server$/.test(path));
  if (program === undefined) throw new Error('the package holds no nats-server');
  return join(folder, 'package', program);
}

/** Without lists the package would only seem not to exist. */
async function updateLists(config: string, cwd: string): Promise<void> {
  try {
    await apt(['-c', config, 'update'], cwd);
  } catch (error) {
    const said =
      error instanceof Error ? (error.cause as { readonly stderr?: unknown } | undefined)?.stderr : undefined;
    const reason = fetchFailure(String(said ?? ''));
    if (reason === undefined) throw error;
    const isSilent = NO_CONNECTION.test(reason);
    throw isSilent ? new NoConnection(reason, { cause: error }) : new Error(reason, { cause: error });
  }
}

/** The mirror itself cannot be reached, whatever is asked of it. */
export class NoConnection extends Error {}

/** {@link getPackage} that asks an archive no more after it could not be reached once: each time may take a minute. */
export function createGetPackage(get: typeof getPackage = getPackage): typeof getPackage {
  const unreachable = new Set<string>();
  return async (source, folder) => {
    const { uri } = source.archive;
    if (unreachable.has(uri)) throw new Error('that mirror cannot be reached, see above');
    try {
      return await get(source, folder);
    } catch (error) {
      if (error instanceof NoConnection) unreachable.add(uri);
      throw error;
    }
  };
}

/** Why apt could not fetch the lists, from what it wrote to standard error: the first file that failed, and the reason. */
export function fetchFailure(stderr: string): string | undefined {
  const [, url, reason] = /^[EW]: Failed to fetch (\S+) +(.+)$/m.exec(stderr) ?? [];
  return url === undefined ? undefined : `${url}: ${reason}`;
}

function apt(args: readonly string[], cwd: string): Promise<string> {
  return runProgram('apt-get', ['-q', ...args], { cwd });
}

function sourceText({ archive, suites, components }: PackageSource): string {
  const keyring = archive.signedBy === undefined ? '' : `Signed-By: ${archive.signedBy}\n`;
  return `Types: deb\nURIs: ${archive.uri}\nSuites: ${suites.join(' ')}\nComponents: ${components}\n${keyring}`;
}

/** Read after the system's own settings, so that its proxies and the like stay in force. */
function aptConfig(state: string, list: string): string {
  return `#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State ${JSON.stringify(state)};
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache ${JSON.stringify(join(state, 'cache'))};
Dir::Etc::SourceList ${JSON.stringify(list)};
Dir::Etc::SourceParts "/dev/null";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "${HTTP_TIMEOUT_S}";
Acquire::https::Timeout "${HTTP_TIMEOUT_S}";
`;
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new Error(`cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
