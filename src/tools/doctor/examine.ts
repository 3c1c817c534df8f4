import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LogError, messageOf } from '../../log/errors.ts';
import type { LogInspection } from '../../log/inspect-log.ts';
import { openTablesFile } from '../../projections/store/tables-file.ts';
import type { Site } from '../site.ts';
import { ToolError } from '../tool-error.ts';
import { count } from '../words.ts';
import { bad, type Finding, ok, warn } from './finding.ts';
import { judgeClock, judgeLog } from './judge-log.ts';
import { judgeDisk, judgeFolder, judgeOpenFiles, judgeSecret, judgeSyncTime } from './judge-machine.ts';
import { diskFacts, fileFacts, processFacts, syncTimeMs } from './measure.ts';

const NODE_LEAST = { major: 20, minor: 19 };

/**
 * Looks at everything a server stands on: machine, folder, secret, tables, NATS, log, clock. What cannot be looked at is
 * a finding too.
 *
 * @throws the signal's reason
 */
export async function examine(site: Site, now: () => number): Promise<readonly Finding[]> {
  const { dataFolder, signal } = site.options;
  const findings: Finding[] = [judgeNode(process.versions.node), judgeServer(site)];
  const add = async (what: string, look: () => Promise<readonly Finding[]>): Promise<void> => {
    signal?.throwIfAborted();
    try {
      findings.push(...(await look()));
    } catch (error) {
      findings.push(bad(what, messageOf(error), 'mend that, then ask again'));
    }
  };
  await add('folder', async () => {
    const facts = await fileFacts(dataFolder);
    return facts === undefined ? [] : [judgeFolder(facts)];
  });
  await add('secret', async () => [await lookAtSecret(site.options.secretFile)]);
  await add('disk', async () => judgeDisk(await diskFacts(dataFolder)));
  await add('disk sync', async () => [judgeSyncTime(await syncTimeMs(await site.workFolder()))]);
  await add('process', async () => {
    const { whose, openFiles } = await processFacts(site.running, join(dataFolder, 'lock'));
    return [judgeOpenFiles(openFiles, whose)];
  });
  await add('nats', () => lookAtLog(site, now));
  await add('tables', async () => [await lookAtTables(site)]);
  return findings;
}

function judgeServer({ running, options }: Site): Finding {
  const log = options.log.kind === 'embedded' ? 'its own nats-server' : options.log.servers.join(', ');
  return ok('server', `${running ? 'running' : 'stopped'}, log in ${log}`);
}

function judgeNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isGood = major > NODE_LEAST.major || (major === NODE_LEAST.major && minor >= NODE_LEAST.minor);
  if (isGood) return ok('node', version);
  return bad('node', version, `install Node ${NODE_LEAST.major}.${NODE_LEAST.minor} or later`);
}

async function lookAtSecret(path: string): Promise<Finding> {
  const facts = await fileFacts(path);
  return judgeSecret(path, facts === undefined ? undefined : { ...facts, text: await readFile(path, 'utf8') });
}

async function lookAtLog(site: Site, now: () => number): Promise<readonly Finding[]> {
  const { dataFolder, domain, log: place } = site.options;
  if (place.kind === 'embedded' && !existsSync(join(dataFolder, 'nats'))) {
    return [judgeClock(now(), undefined, undefined), warn('log', 'there is none yet', 'it begins at the first start')];
  }
  let log: LogInspection;
  try {
    log = await site.openLog();
  } catch (error) {
    if (!(error instanceof LogError || error instanceof ToolError)) throw error;
    return [judgeClock(now(), undefined, undefined), bad('nats', error.message, 'no write is taken until it answers')];
  }
  const report = await log.report();
  const last = report.stream?.lastSequence ?? 0;
  const lastEventAt = last === 0 ? undefined : await storedAt(log, last);
  return [...judgeLog(report, { domain }), judgeClock(now(), report.clockOffsetMs, lastEventAt)];
}

async function storedAt(log: LogInspection, sequence: number): Promise<number | undefined> {
  for await (const [event] of log.events({ from: sequence, to: sequence })) return event?.storedAt;
  return undefined;
}

async function lookAtTables(site: Site): Promise<Finding> {
  const opened = await openTablesFile(site.tablesFolder);
  if (opened.kind === 'none') return ok('tables', 'none yet: the server makes them from the log');
  if (opened.kind === 'damaged') {
    return warn(
      'tables',
      `damaged: ${opened.reason}`,
      'the server makes them anew at its next start; so does mlsd rebuild',
    );
  }
  await using file = opened.file;
  const { checkpoint, heads } = file.standing();
  return ok(
    'tables',
    `${count(heads.length, 'group')} at event ${checkpoint?.sequence ?? 0}; mlsd verify compares them with the log`,
  );
}
