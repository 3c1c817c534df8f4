import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { backup } from '../../tools/backup/backup.ts';
import { type Restored, restore } from '../../tools/backup/restore.ts';
import { compact } from '../../tools/compact/compact.ts';
import { linesOf } from '../../tools/compact/words.ts';
import { examine } from '../../tools/doctor/examine.ts';
import { readPieces, writeTo, writeWhole } from '../../tools/export/export-file.ts';
import { importLog } from '../../tools/export/import-log.ts';
import { currentHeads, exportGroup, exportLog } from '../../tools/export/write-export.ts';
import { describeEvent, formatLine, formatWhole } from '../../tools/log/describe-event.ts';
import { eventAt, tailLog } from '../../tools/log/read-log.ts';
import { createProgress } from '../../tools/progress.ts';
import { rebuild } from '../../tools/rebuild.ts';
import { openSite, type Site, type SiteOptions } from '../../tools/site.ts';
import { ToolError } from '../../tools/tool-error.ts';
import type { VerifyReport } from '../../tools/verify/report.ts';
import { verifyFile } from '../../tools/verify/verify-file.ts';
import { verifyServer } from '../../tools/verify/verify-server.ts';
import type { ToolCommand } from './commands.ts';
import type { ServerConfig } from './config.ts';
import { explain } from './explain.ts';
import { EXIT, type ExitCode, type MlsdProcess } from './process.ts';

const STANDARD = '-';
const DAY_MS = 24 * 60 * 60 * 1000;

/** Runs a command beside `serve` and settles with the exit code: 0 done, 1 failed or something is not as it should be. */
export async function runTool(command: ToolCommand, config: ServerConfig, io: MlsdProcess): Promise<ExitCode> {
  try {
    return await run(command, config, io);
  } catch (error) {
    if (io.stopping.aborted && command.name === 'log tail') return EXIT.done;
    io.stderr.write(`mlsd: ${io.stopping.aborted ? `interrupted (${command.name})` : explain(error, config)}\n`);
    return EXIT.error;
  }
}

async function run(command: ToolCommand, config: ServerConfig, io: MlsdProcess): Promise<ExitCode> {
  const options = await siteOptions(config, io.stopping);
  const progress = createProgress(io.stderr);
  const say = (line: string): void => void io.stdout.write(`${line}\n`);
  switch (command.name) {
    case 'verify': {
      if (command.file === undefined) {
        return await withSite(options, async (site) => reportOf(await verifyServer(site, progress), say));
      }
      const { file } = command;
      const report = await verifyFile({ pieces: input(file, io), name: file, progress, signal: io.stopping });
      return reportOf(report, say);
    }
    case 'rebuild':
      return await withSite(options, async (site) => {
        const { sequence, kind } = await rebuild(site, progress);
        if (kind === 'swapped') say(`the tables are made anew, up to event ${sequence}`);
        else say(`new tables are prepared up to event ${sequence}: stop the server and run mlsd rebuild again`);
        return EXIT.done;
      });
    case 'export':
      return await withSite(options, (site) => runExport(site, command, io));
    case 'import': {
      const { file, nothingLost } = command;
      const imported = await importLog({ site: options, pieces: input(file, io), name: file, nothingLost, progress });
      say(`the log holds ${imported.header.last} events of ${imported.header.domain}; ${lostLine(nothingLost)}`);
      sayDomain(imported.header.domain, config, say);
      return EXIT.done;
    }
    case 'backup':
      return await withSite(options, async (site) => {
        const { withSecret } = command;
        const made = await backup(site, { dir: resolve(command.folder), withSecret, progress, now: Date.now() });
        const tables = made.tablesAt === 0 ? 'no tables' : `tables up to event ${made.tablesAt}`;
        say(
          `backup of ${made.domain}: log up to event ${made.logAt}, ${tables}, ${attachmentsLine(made.attachments?.count ?? 0)}, ${withSecret ? 'with' : 'without'} the secret`,
        );
        return EXIT.done;
      });
    case 'restore': {
      const { nothingLost } = command;
      const restored = await restore({ site: options, dir: resolve(command.folder), nothingLost, progress });
      sayRestored(restored, nothingLost, config, say);
      return EXIT.done;
    }
    case 'compact':
      return await withSite(options, async (site) => {
        const { olderThanDays, keep, dryRun } = command;
        const policy = {
          ...(olderThanDays === undefined ? {} : { before: Date.now() - olderThanDays * DAY_MS }),
          ...(keep === undefined ? {} : { keep }),
        };
        for (const line of linesOf(await compact(site, { policy, dryRun, progress }))) say(line);
        return EXIT.done;
      });
    case 'doctor':
      return await withSite(options, async (site) => {
        const findings = await examine(site, Date.now);
        for (const { level, what, detail, advice } of findings) {
          say(`${level.padEnd(4)}  ${what}: ${detail}${advice === undefined ? '' : `\n        → ${advice}`}`);
        }
        return findings.some(({ level }) => level === 'bad') ? EXIT.error : EXIT.done;
      });
    case 'log tail':
      return await withSite(options, async (site) => {
        for await (const event of tailLog(site, command)) {
          const described = describeEvent(event);
          say(command.json ? JSON.stringify(described) : formatLine(described));
        }
        return EXIT.done;
      });
    case 'log show':
      return await withSite(options, async (site) => {
        const described = describeEvent(await eventAt(site, command.sequence));
        say(command.json ? JSON.stringify(described) : formatWhole(described));
        return EXIT.done;
      });
    default:
      return command satisfies never;
  }
}

async function withSite(options: SiteOptions, use: (site: Site) => Promise<ExitCode>): Promise<ExitCode> {
  await using site = await openSite(options);
  return await use(site);
}

async function siteOptions(config: ServerConfig, signal: AbortSignal): Promise<SiteOptions> {
  const { dataFolder, secretFile, domain, log } = config;
  const base = { dataFolder, secretFile, domain, signal };
  if (log.kind === 'embedded') return { ...base, log };
  const { servers, credentialsFile, tokenFile } = log;
  const credentials = credentialsFile === undefined ? undefined : await readFile(credentialsFile, 'utf8');
  const token = tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim();
  return { ...base, log: { kind: 'remote', servers, credentials, token } };
}

function reportOf(report: VerifyReport, say: (line: string) => void): ExitCode {
  if (report.kind === 'different') {
    say(`different: ${report.where}: ${report.detail}`);
    return EXIT.error;
  }
  for (const line of report.lines) say(line);
  say('all of it holds');
  return EXIT.done;
}

async function runExport(
  site: Site,
  { file, group }: ToolCommand & { readonly name: 'export' },
  io: MlsdProcess,
): Promise<ExitCode> {
  const progress = createProgress(io.stderr);
  const options = { progress, now: Date.now() };
  const pieces =
    group === undefined ? exportLog(site, await currentHeads(site), options) : exportGroup(site, group, options);
  try {
    if (file !== STANDARD) {
      const bytes = await writeWhole(resolve(file), pieces);
      progress.end();
      io.stdout.write(`${file}: ${bytes} bytes\n`);
    } else await writeTo(binary(io).output, pieces);
  } finally {
    progress.end();
  }
  return EXIT.done;
}

function input(file: string, io: MlsdProcess): AsyncIterable<Uint8Array> {
  return file === STANDARD ? binary(io).input : readPieces(resolve(file));
}

function binary({ binary: streams }: MlsdProcess) {
  if (streams === undefined) throw new ToolError('no-data', 'there is no standard input or output: give a file');
  return streams;
}

function lostLine(nothingLost: boolean): string {
  return nothingLost ? 'it goes on as the same incarnation' : 'it goes on as a new incarnation, every client resyncs';
}

function attachmentsLine(count: number): string {
  return count === 0 ? 'no attachments' : count === 1 ? '1 attachment' : `${count} attachments`;
}

function sayDomain(domain: string, config: ServerConfig, say: (line: string) => void): void {
  if (domain !== config.domain) say(`start the server with --domain ${domain}`);
}

function sayRestored(
  { manifest, tables, attachments, hasSecret }: Restored,
  nothingLost: boolean,
  config: ServerConfig,
  say: (line: string) => void,
): void {
  const held = `log up to event ${manifest.logAt}, ${attachmentsLine(attachments)}`;
  say(`restored to ${config.dataFolder}: ${held}; ${lostLine(nothingLost)}`);
  if (tables === 'altered')
    say('the tables in the backup were altered and are left out: the server makes them from the log');
  if (!hasSecret) {
    say(
      `put the secret of the domain at ${config.secretFile} before the server starts: with a new one no cursor is good`,
    );
  }
  sayDomain(manifest.domain, config, say);
}
