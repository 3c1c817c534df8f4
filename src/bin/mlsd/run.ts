import { readFile } from 'node:fs/promises';
import { pino } from 'pino';
import { messageOf } from '../../log/errors.ts';
import { parseArguments } from './arguments.ts';
import { checkSettings, type ServerConfig } from './config.ts';
import { explain } from './explain.ts';
import { openServer, type RunningServer } from './open-server.ts';
import { variableOf } from './options.ts';
import { EXIT, type ExitCode, type MlsdProcess } from './process.ts';
import { type ConfigFile, mergeSettings } from './raw-settings.ts';
import { runTool } from './run-tool.ts';

/** Runs the command and settles with the exit code: 0 done, 1 failed or (of tools) something is not as it should be, 2 wrong use. */
export async function runMlsd(argv: readonly string[], io: MlsdProcess): Promise<ExitCode> {
  const parsed = await parseArguments(argv, { version: io.version, columns: io.stdout.columns });
  if (parsed.kind === 'text') {
    io.stdout.write(`${parsed.text}\n`);
    return EXIT.done;
  }
  if (parsed.kind === 'usage') return complain(io, [parsed.reason]);
  const variable = variableOf('config-file');
  const path = parsed.configFile ?? io.env[variable];
  const source = parsed.configFile === undefined ? variable : '--config-file';
  const file = path === undefined || path === '' ? undefined : await readConfigFile(path, source);
  if (file !== undefined && 'problem' in file) return complain(io, [file.problem]);
  const merged = mergeSettings({ flags: parsed.flags, env: io.env, ...(file === undefined ? {} : { file }) });
  if (merged.kind === 'refused') return complain(io, merged.problems);
  const check = checkSettings(merged.raw);
  if (check.kind === 'refused') return complain(io, check.problems);
  return parsed.kind === 'tool' ? await runTool(parsed.command, check.config, io) : await serve(check.config, io);
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
  try {
    await server.close();
  } catch (error) {
    io.stderr.write(`mlsd: it did not close as it should: ${explain(error, config)}\n`);
    return EXIT.error;
  }
  return EXIT.done;
}

/** `mlsd listening on http://127.0.0.1:4000 (domain localhost, log MLS at sequence 1, JetStream 2.15.1, fsync every write)` */
function readyLine({ url, description }: Pick<RunningServer, 'url' | 'description'>, config: ServerConfig): string {
  const { stream, lastSequence, serverVersion, durabilityText } = description;
  const log = `log ${stream} at sequence ${lastSequence}`;
  return `mlsd listening on ${url} (domain ${config.domain}, ${log}, JetStream ${serverVersion}, ${durabilityText})`;
}

function complain(io: MlsdProcess, problems: readonly string[]): ExitCode {
  for (const problem of problems) io.stderr.write(`mlsd: ${problem}\n`);
  io.stderr.write('mlsd: mlsd --help lists the commands, mlsd serve --help every setting\n');
  return EXIT.usage;
}

async function readConfigFile(path: string, source: string): Promise<ConfigFile | { readonly problem: string }> {
  try {
    return { path, content: JSON.parse(await readFile(path, 'utf8')) };
  } catch (error) {
    return { problem: `${source}: ${path} cannot be read as JSON (${messageOf(error)})` };
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
