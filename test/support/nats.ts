import { randomBytes } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogEvent } from '../../src/log/events.ts';
import { acquireFolderLock } from '../../src/log/folder-lock.ts';
import { serverConfig } from '../../src/log/nats-server/config.ts';
import { findNatsServer } from '../../src/log/nats-server/find.ts';
import { type BoundChild, spawnBound } from '../../src/log/nats-server/spawn-bound.ts';
import type { NatsServerBinary } from '../../src/log/nats-server/version.ts';
import { type Log, type OpenLogOptions, openLog } from '../../src/log/open-log.ts';
import type { LogEntry } from '../../src/log/reader.ts';
import { until } from './until.ts';

export const TEST_DOMAIN = 'test.example';

/** A folder under the system's temporary one; removed when disposed. */
export interface TempFolder extends AsyncDisposable {
  readonly path: string;
}

export async function tempFolder(): Promise<TempFolder> {
  const path = await mkdtemp(join(tmpdir(), 'mlsd-test-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A log with an embedded server in a temporary folder; disposing closes it and removes the folder. */
export interface TestLog extends AsyncDisposable {
  readonly log: Log;
  readonly folder: string;
}

export async function openTestLog(options: Partial<OpenLogOptions> = {}): Promise<TestLog> {
  const folder = await tempFolder();
  const log = await openLog({
    place: { folder: folder.path },
    domain: TEST_DOMAIN,
    tablesEmpty: true,
    ...options,
  });
  return {
    log,
    folder: folder.path,
    async [Symbol.asyncDispose]() {
      await log.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Kills the embedded server of a log the hard way and settles when another one runs. */
export async function killServer(log: Log): Promise<void> {
  const pid = log.serverPid;
  if (pid === undefined) throw new Error('no server runs');
  process.kill(pid, 'SIGKILL');
  await until(() => log.serverPid !== undefined && log.serverPid !== pid && log.state === 'connected');
}

/** A server whose starts and ends the test decides, on one port: for what happens to a store while it is down. */
export interface ManualServer extends AsyncDisposable {
  readonly place: { readonly servers: readonly string[]; readonly token: string };
  readonly folder: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  kill(): Promise<void>;
  /** Copies the store of the stopped server; the result puts it back: the log has then gone back to that point. */
  snapshot(): Promise<() => Promise<void>>;
}

export async function openManualServer(binary?: NatsServerBinary): Promise<ManualServer> {
  const used = binary ?? (await findNatsServer());
  const temp = await tempFolder();
  const lock = await acquireFolderLock(temp.path);
  const token = randomBytes(8).toString('hex');
  const storeFolder = join(temp.path, 'store');
  const portsFolder = join(temp.path, 'ports');
  const configFile = join(temp.path, 'server.conf');
  let port = 0;
  let child: BoundChild | undefined;
  const end = async (how: (running: BoundChild) => Promise<void>): Promise<void> => {
    if (child !== undefined) await how(child);
    child = undefined;
  };
  const start = async (): Promise<void> => {
    await rm(portsFolder, { recursive: true, force: true });
    await mkdir(portsFolder);
    const maxStoreBytes = 1024 ** 3;
    await writeFile(
      configFile,
      serverConfig({ version: used.version, token, storeFolder, portsFolder, port, maxStoreBytes }),
    );
    child = await spawnBound(used.path, ['-c', configFile], lock.fd);
    port = await until(
      async () => {
        const [name] = await readdir(portsFolder);
        const match = name === undefined ? null : /:(\d+)"/.exec(await readFile(join(portsFolder, name), 'utf8'));
        return match === null ? undefined : Number(match[1]);
      },
      () => child!.lastLines().join('\n'),
    );
  };
  const stop = (): Promise<void> => end((running) => running.stop());
  await start();
  return {
    place: { servers: [`127.0.0.1:${port}`], token },
    folder: temp.path,
    start,
    stop,
    kill: () =>
      end(async (running) => {
        process.kill(running.pid, 'SIGKILL');
        await running.ended;
      }),
    async snapshot() {
      const copy = `${storeFolder}-${randomBytes(4).toString('hex')}`;
      await cp(storeFolder, copy, { recursive: true });
      return async () => {
        await rm(storeFolder, { recursive: true, force: true });
        await cp(copy, storeFolder, { recursive: true });
      };
    },
    async [Symbol.asyncDispose]() {
      await stop();
      await lock.close();
      await temp[Symbol.asyncDispose]();
    },
  };
}

/** Reads from the beginning, or after a checkpoint, up to where the log ends now. */
export async function readAll(log: Log, after?: Parameters<Log['read']>[0]): Promise<LogEntry[]> {
  const reader = await log.read(after);
  const entries: LogEntry[] = [];
  if (reader.tail <= (after?.checkpoint?.sequence ?? 0)) return entries;
  for await (const batch of reader) {
    entries.push(...batch);
    if (entries.at(-1)!.sequence >= reader.tail) break;
  }
  return entries;
}

/** The checkpoint of whoever has read these entries from the beginning. */
export function checkpointOf(entries: readonly LogEntry[]): {
  incarnation: string;
  sequence: number;
  eventId: string;
} {
  const started = entries.findLast(({ event }) => event.type === 'log-started')?.event as
    | Extract<LogEvent, { type: 'log-started' }>
    | undefined;
  const last = entries.at(-1)!;
  return { incarnation: started?.incarnation ?? '', sequence: last.sequence, eventId: last.event.id };
}
