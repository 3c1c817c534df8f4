import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { DEFAULT_OPERATION_LIMITS, type OperationLimits } from '../../src/api/deps.ts';
import type { ServerConfig } from '../../src/bin/mlsd/config.ts';
import { openServer, type RunningServer } from '../../src/bin/mlsd/open-server.ts';
import { DEFAULT_LIMITS, type Limits } from '../../src/wire/limits.ts';
import { type TempFolder, tempFolder } from './nats.ts';
import { type ChildLines, spawnLines } from './process.ts';

export interface TestServerOptions {
  readonly limits?: Partial<Limits>;
  readonly operation?: Partial<OperationLimits>;
  readonly domain?: string;
  /** A folder of a server before; it is left alone at the end. */
  readonly folder?: string;
  readonly acceptRollback?: boolean;
  /** Where the log is; a nats-server of its own unless said otherwise. */
  readonly log?: ServerConfig['log'];
  /** Of the domain; nodes of one domain share it. */
  readonly secretFile?: string;
  /** Believes `X-Forwarded-For`: for callers from several addresses. */
  readonly behindTlsProxy?: boolean;
  /** Added to the clock, ms. */
  readonly clock?: { offsetMs: number };
  /** In place of the disk: whether more may be stored. */
  readonly hasRoom?: () => boolean;
}

/** The whole server in this process: a real nats-server, real tables, a free port. */
export interface TestServer extends AsyncDisposable {
  /** Of the server that runs now. */
  readonly url: () => string;
  readonly folder: string;
  readonly running: () => RunningServer;
  /** Lines of the server's own log, as JSON. */
  readonly logged: readonly string[];
  /** Stops it and starts it again on the same folder and port. */
  restart(changed?: { readonly acceptRollback?: boolean }): Promise<void>;
  stop(): Promise<void>;
}

export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const temp: TempFolder | undefined = options.folder === undefined ? await tempFolder() : undefined;
  const folder = options.folder ?? temp!.path;
  const logged: string[] = [];
  const logger = pino({ level: 'trace', base: null }, { write: (line: string) => void logged.push(line) });
  const now = (): number => Date.now() + (options.clock?.offsetMs ?? 0);
  const open = (port: number, acceptRollback: boolean): Promise<RunningServer> => {
    const config: ServerConfig = {
      host: '127.0.0.1',
      port,
      domain: options.domain ?? 'localhost',
      behindTlsProxy: options.behindTlsProxy ?? false,
      dataFolder: folder,
      secretFile: options.secretFile ?? join(folder, 'secret'),
      acceptRollback,
      log: options.log ?? { kind: 'embedded' },
      limits: {
        ...DEFAULT_LIMITS,
        requestsPerSecond: 10_000,
        requestsBurst: 10_000,
        registrationsPerMinute: 100_000,
        failuresPerSecond: 10_000,
        failuresBurst: 10_000,
        ...options.limits,
      },
      operation: { ...DEFAULT_OPERATION_LIMITS, addressPerSecond: 50_000, addressBurst: 50_000, ...options.operation },
      logLevel: 'trace',
    };
    const { hasRoom } = options;
    return openServer({ config, version: '0.0.0-test', logger, now, ...(hasRoom === undefined ? {} : { hasRoom }) });
  };
  let server = await open(0, options.acceptRollback ?? false);
  const stop = (): Promise<void> => server.close();
  return {
    url: () => server.url,
    folder,
    running: () => server,
    logged,
    async restart(changed = {}) {
      const { port } = server.http;
      await stop();
      server = await open(port, changed.acceptRollback ?? false);
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      await temp?.[Symbol.asyncDispose]();
    },
  };
}

/** `dist/bin/mlsd.js` as a process of its own, for tests that kill it. */
export interface ServerProcess extends AsyncDisposable {
  readonly url: () => string;
  readonly folder: string;
  readonly process: () => ChildLines;
  readonly readyLine: () => string;
  /** `SIGKILL`, or another signal; settles when it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same folder and port. */
  start(args?: readonly string[]): Promise<void>;
}

export const MLSD_PROGRAM = fileURLToPath(new URL('../../dist/bin/mlsd.js', import.meta.url));
const READY = /^mlsd listening on (http:\/\/\S+:(\d+)) \(/;

/** Limits that a test on one machine does not run into, as flags. */
const ROOMY_LIMITS =
  'requestsPerSecond=10000,requestsBurst=10000,addressPerSecond=50000,addressBurst=50000,registrationsPerMinute=100000,streamsPerAddress=20000';

export async function startServerProcess(
  options: { readonly folder?: string; readonly args?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<ServerProcess> {
  if (!existsSync(MLSD_PROGRAM)) throw new Error(`${MLSD_PROGRAM} is missing: npm run build`);
  const temp = options.folder === undefined ? await tempFolder() : undefined;
  const folder = options.folder ?? temp!.path;
  let child: ChildLines;
  let port = '0';
  let line = '';
  let url = '';
  const start = async (args: readonly string[] = []): Promise<void> => {
    const flags = ['serve', '--data', folder, '--port', port, '--limit', ROOMY_LIMITS, '--log-level', 'warn'];
    child = spawnLines(process.execPath, [MLSD_PROGRAM, ...flags, ...(options.args ?? []), ...args], options.env);
    line = await child.waitForLine((text) => READY.test(text), 'the ready line of mlsd');
    [, url = '', port = '0'] = READY.exec(line) ?? [];
  };
  await start();
  return {
    url: () => url,
    folder,
    process: () => child,
    readyLine: () => line,
    kill: (signal = 'SIGKILL') => child.kill(signal),
    start,
    async [Symbol.asyncDispose]() {
      await child.kill('SIGTERM');
      await temp?.[Symbol.asyncDispose]();
    },
  };
}
