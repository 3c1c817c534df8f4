import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Backoff, backoffMs, wait } from '../backoff.ts';
import { LogError, messageOf } from '../errors.ts';
import { acquireFolderLock, type FolderLock } from '../folder-lock.ts';
import { serverConfig } from './config.ts';
import { type BoundChild, spawnBound } from './spawn-bound.ts';
import { formatVersion, type NatsServerBinary } from './version.ts';

export interface NatsServerOptions {
  readonly binary: NatsServerBinary;
  /** Holds the store, the configuration and the lock. Made when missing, readable by its owner only. */
  readonly folder: string;
  readonly signal?: AbortSignal;
  /** Told of every start and end, for the program's own log. Contains no secrets. */
  readonly onNotice?: (text: string) => void;
  /** Caps the store, in bytes. Left out: what it holds already and 95 % of what is free. */
  readonly maxStoreBytes?: number;
  /** Acknowledges before it syncs: only for a store that is synced as a whole before anything relies on it. */
  readonly lazySync?: boolean;
}

/** An embedded nats-server: private to this process, restarted when it dies, gone when this process is. */
export interface NatsServer extends AsyncDisposable {
  /** Stays the same over restarts. */
  readonly url: string;
  readonly token: string;
  readonly binary: NatsServerBinary;
  /** Process id of the running server; `undefined` between a death and the restart. */
  readonly pid: number | undefined;
  /** Stops the server and releases the folder. */
  close(): Promise<void>;
}

const START_TIMEOUT_MS = 120_000;
const START_POLL_MS = 5;
const RESTART: Backoff = { firstMs: 50, maxMs: 5_000 };
/** A server that ran this long was healthy: its next restart does not wait for what happened before. */
const HEALTHY_AFTER_MS = 10_000;
const FREE_SHARE = 0.95;

/**
 * Starts a private nats-server on loopback, on a random port and with a random token, and keeps it running.
 * Settles when it listens; whether JetStream answers yet is for the connection to see.
 *
 * @throws LogError `locked` when another process uses the folder, `server-failed` when the first start fails.
 */
export async function openNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  await mkdir(options.folder, { recursive: true, mode: 0o700 });
  const lock = await acquireFolderLock(options.folder, options.signal);
  const token = randomBytes(32).toString('base64url');
  const stopping = new AbortController();
  try {
    const first = await start(options, lock, token, 0);
    let current: Started | undefined = first;
    const supervised = supervise(options, lock, token, first, stopping.signal, (next) => {
      current = next;
    });
    let closing: Promise<void> | undefined;
    const close = (): Promise<void> => {
      closing ??= (async () => {
        stopping.abort();
        await current?.child.stop();
        await supervised;
        await lock.close();
      })();
      return closing;
    };
    return {
      url: `nats://127.0.0.1:${first.port}`,
      token,
      binary: options.binary,
      get pid() {
        return current?.child.pid;
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await lock.close();
    throw error;
  }
}

interface Started {
  readonly child: BoundChild;
  readonly port: number;
  readonly at: number;
}

async function supervise(
  options: NatsServerOptions,
  lock: FolderLock,
  token: string,
  first: Started,
  stopping: AbortSignal,
  onChange: (running: Started | undefined) => void,
): Promise<void> {
  let running: Started | undefined = first;
  let failures = 0;
  while (!stopping.aborted) {
    if (running !== undefined) {
      const { code, signal } = await running.child.ended;
      onChange(undefined);
      if (stopping.aborted) return;
      options.onNotice?.(`nats-server ended (${signal ?? `code ${code}`}); starting it again`);
      failures = performance.now() - running.at > HEALTHY_AFTER_MS ? 0 : failures + 1;
      running = undefined;
    }
    if (failures > 0 && !(await waited(backoffMs(RESTART, failures - 1), stopping))) return;
    try {
      running = await start(options, lock, token, first.port, stopping);
      onChange(running);
      if (stopping.aborted) await running.child.stop();
      else options.onNotice?.(`nats-server runs again (pid ${running.child.pid})`);
    } catch (error) {
      failures += 1;
      if (!stopping.aborted) options.onNotice?.(`nats-server did not start: ${messageOf(error)}`);
    }
  }
}

async function waited(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await wait(ms, signal);
    return true;
  } catch (error) {
    if (error instanceof LogError && error.code === 'aborted') return false;
    throw error;
  }
}

async function start(
  options: NatsServerOptions,
  lock: FolderLock,
  token: string,
  port: number,
  signal = options.signal,
): Promise<Started> {
  const { folder, binary } = options;
  const storeFolder = join(folder, 'store');
  const portsFolder = join(folder, 'ports');
  const configFile = join(folder, 'server.conf');
  await rm(portsFolder, { recursive: true, force: true });
  await rm(configFile, { force: true });
  await mkdir(portsFolder, { mode: 0o700 });
  await mkdir(storeFolder, { recursive: true, mode: 0o700 });
  const maxStoreBytes = options.maxStoreBytes ?? (await storeLimit(storeFolder));
  const { lazySync = false } = options;
  const config = serverConfig({
    version: binary.version,
    token,
    storeFolder,
    portsFolder,
    port,
    maxStoreBytes,
    lazySync,
  });
  await writeFile(configFile, config, { mode: 0o600, flag: 'wx' });
  const child = await spawnBound(binary.path, ['-c', configFile], lock.fd);
  try {
    return { child, port: await listeningPort(child, portsFolder, signal), at: performance.now() };
  } catch (error) {
    await child.stop();
    const version = formatVersion(binary.version);
    const said = child.lastLines().slice(-3).join('; ');
    throw new LogError('server-failed', `nats-server ${version} did not start: ${messageOf(error)} ${said}`, {
      cause: error,
    });
  }
}

/** The ports file appears when the server listens: it is the readiness signal, and tells which port was free. */
async function listeningPort(child: BoundChild, portsFolder: string, signal?: AbortSignal): Promise<number> {
  let ended: string | undefined;
  void child.ended.then(({ code, signal }) => {
    ended = `it ended (${signal ?? `code ${code}`})`;
  });
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline) {
    const file = (await readdir(portsFolder)).find((name) => name.endsWith('.ports'));
    const port = file === undefined ? undefined : parsePort(await readFile(join(portsFolder, file), 'utf8'));
    if (port !== undefined) return port;
    if (ended !== undefined) throw new Error(ended);
    await wait(START_POLL_MS, signal);
  }
  throw new Error(`it did not listen within ${START_TIMEOUT_MS / 1000} s`);
}

/** `undefined` while the file is still being written. */
export function parsePort(text: string): number | undefined {
  const match = /"nats:\/\/127\.0\.0\.1:(\d+)"\s*\]/.exec(text);
  return match === null ? undefined : Number(match[1]);
}

/** JetStream's own limit would be a share of what is free, without what the log holds already: it would shrink. */
async function storeLimit(storeFolder: string): Promise<number> {
  const { bavail, bsize } = await statfs(storeFolder);
  const files = await readdir(storeFolder, { recursive: true, withFileTypes: true });
  let used = 0;
  for (const file of files) if (file.isFile()) used += (await stat(join(file.parentPath, file.name))).size;
  return Math.floor(used + bavail * bsize * FREE_SHARE);
}
