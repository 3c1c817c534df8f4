import { readFile } from 'node:fs/promises';
import { pino } from 'pino';
import { LogError, messageOf } from '../../log/errors.ts';
import { parseArguments } from './arguments.ts';
import { checkSettings, type ServerConfig } from './config.ts';
import { isRollback } from './open-fold.ts';
import { openServer, type RunningServer } from './open-server.ts';
import { variableOf } from './options.ts';
import { type ConfigFile, mergeSettings } from './raw-settings.ts';

export const EXIT = { done: 0, error: 1, usage: 2 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The process as the command sees it. */
export interface MlsdProcess {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown; readonly columns?: number };
  readonly stderr: { write(text: string): unknown };
  readonly version: string;
  /** Aborted by SIGTERM or SIGINT. */
  readonly stopping: AbortSignal;
}

/** Runs the command and settles with the exit code: 0 done, 1 failed, 2 wrong settings. */
export async function runMlsd(argv: readonly string[], io: MlsdProcess): Promise<ExitCode> {
  const parsed = await parseArguments(argv, { version: io.version, columns: io.stdout.columns });
  if (parsed.kind === 'text') {
    io.stdout.write(`${parsed.text}\n`);
    return EXIT.done;
  }
  if (parsed.kind === 'usage') return complain(io, [parsed.reason]);
  const path = parsed.configFile ?? io.env[variableOf('config-file')];
  const file = path === undefined || path === '' ? undefined : await readConfigFile(path);
  if (file !== undefined && 'problem' in file) return complain(io, [file.problem]);
  const merged = mergeSettings({ flags: parsed.flags, env: io.env, ...(file === undefined ? {} : { file }) });
  if (merged.kind === 'refused') return complain(io, merged.problems);
  const check = checkSettings(merged.raw);
  if (check.kind === 'refused') return complain(io, check.problems);
  return await serve(check.config, io);
}

async function serve(config: ServerConfig, io: MlsdProcess): Promise<ExitCode> {
  const logger = pino({ level: config.logLevel, base: null }, { write: (line) => void io.stderr.write(line) });
  let server: RunningServer;
  try {
    server = await openServer({ config, version: io.version, logger, signal: io.stopping });
  } catch (error) {
    if (io.stopping.aborted) return EXIT.done;
    io.stderr.write(`mlsd: ${explain(error, config)}\n`);
    return EXIT.error;
  }
  io.stdout.write(`${readyLine(server, config)}\n`);
  await aborted(io.stopping);
  await server.close();
  return EXIT.done;
}

/** `mlsd listening on http://127.0.0.1:4000 (domain localhost, log MLS at sequence 1, JetStream 2.15.1, fsync every write)` */
function readyLine({ url, description }: Pick<RunningServer, 'url' | 'description'>, config: ServerConfig): string {
  const { stream, lastSequence, serverVersion, durabilityText } = description;
  const log = `log ${stream} at sequence ${lastSequence}`;
  return `mlsd listening on ${url} (domain ${config.domain}, ${log}, JetStream ${serverVersion}, ${durabilityText})`;
}

/** What went wrong at the start, and what to do about it. */
function explain(error: unknown, config: ServerConfig): string {
  if (error instanceof LogError && error.code === 'locked') {
    return `${messageOf(error)}: another mlsd runs on ${config.dataFolder}. Stop it, or choose another folder with --data`;
  }
  if (isRollback(error)) {
    return `${messageOf(error)}. The log is not the one that the tables in ${config.dataFolder} were made from: it lost its end, or was replaced. Nothing is served, so that no client mixes two histories. Bring the log back, or start once with --accept-rollback to go on with the log as it is: under a new incarnation, with tables made anew; every client then resyncs`;
  }
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
    return `port ${config.port} on ${config.host} is taken: choose another one with --port`;
  }
  return messageOf(error);
}

function complain(io: MlsdProcess, problems: readonly string[]): ExitCode {
  for (const problem of problems) io.stderr.write(`mlsd: ${problem}\n`);
  io.stderr.write('mlsd: mlsd serve --help shows every setting\n');
  return EXIT.usage;
}

async function readConfigFile(path: string): Promise<ConfigFile | { readonly problem: string }> {
  try {
    return { path, content: JSON.parse(await readFile(path, 'utf8')) };
  } catch (error) {
    return { problem: `--config-file: ${path} cannot be read as JSON (${messageOf(error)})` };
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
