import type { LogReport } from '../../log/inspect-log.ts';
import { count } from '../words.ts';
import { bad, type Finding, formatBytes, formatMs, ok, warn } from './finding.ts';

const STORAGE_WARN_SHARE = 0.8;
const STORAGE_BAD_SHARE = 0.95;
const ROUND_TRIP_WARN_MS = 100;
/** A commit bundle with its envelope. */
const PAYLOAD_NEEDED_BYTES = 8 * 1024 * 1024 + 64 * 1024;
/** Signatures of requests are good for a minute around the server's time. */
const CLOCK_BAD_MS = 30_000;
const CLOCK_WARN_MS = 2_000;
/** Nothing of this program is older. */
const CLOCK_PLAUSIBLE_SINCE = Date.UTC(2025, 0, 1);

/** What NATS and the stream are like, judged. Pure. */
export function judgeLog(report: LogReport, expected: { readonly domain: string }): Finding[] {
  return [judgeServer(report), judgeSync(report), judgeStorage(report), ...judgeStream(report, expected.domain)];
}

function judgeServer({ serverVersion, maxPayloadBytes, roundTripMs }: LogReport): Finding {
  const detail = `nats-server ${serverVersion}, events up to ${formatBytes(maxPayloadBytes)}, answers in ${formatMs(roundTripMs)}`;
  if (maxPayloadBytes < PAYLOAD_NEEDED_BYTES) {
    return warn('nats', detail, 'large commits are refused: set max_payload to 8.5 MB in its configuration');
  }
  if (roundTripMs > ROUND_TRIP_WARN_MS) return warn('nats', detail, 'every write waits that long: bring NATS closer');
  return ok('nats', detail);
}

function judgeSync({ syncsEveryWrite }: LogReport): Finding {
  if (syncsEveryWrite === true) return ok('fsync', 'every write is on disk before it is acknowledged');
  if (syncsEveryWrite === false) {
    return warn(
      'fsync',
      'every 2 minutes: a power cut takes acknowledged messages back',
      'use nats-server 2.10 or later (MLSD_NATS_SERVER, or remove the older one)',
    );
  }
  return warn(
    'fsync',
    'as the servers of --nats are set up',
    'set jetstream { sync_interval: always } on each of them',
  );
}

function judgeStorage({ storage: { usedBytes, limitBytes } }: LogReport): Finding {
  if (limitBytes <= 0) return ok('storage', `${formatBytes(usedBytes)} used, no limit but the disk`);
  const share = usedBytes / limitBytes;
  const detail = `${formatBytes(usedBytes)} of ${formatBytes(limitBytes)} used`;
  const advice = 'appends are refused when it is full: give it a larger disk (the limit follows at the next start)';
  if (share >= STORAGE_BAD_SHARE) return bad('storage', detail, advice);
  return share >= STORAGE_WARN_SHARE ? warn('storage', detail, advice) : ok('storage', detail);
}

function judgeStream({ stream, serverVersion }: LogReport, domain: string): Finding[] {
  if (stream === undefined) return [warn('log', 'there is none yet', 'it begins at the first start of the server')];
  const { firstSequence, lastSequence, messages, bytes, replicas, unsafe, replicasTested, incarnation } = stream;
  const findings: Finding[] = [];
  const detail = `${count(messages, 'event')}, ${formatBytes(bytes)}, sequence ${firstSequence} to ${lastSequence}`;
  if (unsafe.length > 0) {
    findings.push(bad('log', `the stream cannot be the log: ${unsafe.join(', ')}`, 'let mlsd make its stream itself'));
  } else if (lastSequence > 0 && (firstSequence !== 1 || messages !== lastSequence)) {
    findings.push(bad('log', detail, 'events are missing: mlsd verify says which; restore a backup'));
  } else findings.push(ok('log', detail));
  if (incarnation === undefined) {
    findings.push(bad('incarnation', 'the stream is no log of mlsd', 'name another NATS account or server'));
  } else if (incarnation.domain !== domain) {
    const advice = `start the server with --domain ${incarnation.domain}`;
    findings.push(bad('domain', `the log belongs to ${incarnation.domain}, not to ${domain}`, advice));
  } else findings.push(ok('domain', incarnation.domain));
  if (!replicasTested) {
    const advice = 'two commits of one epoch could both be taken: use a version that is tested, or one replica';
    findings.push(
      bad('replicas', `${replicas} on nats-server ${serverVersion}, which is not tested with replicas`, advice),
    );
  } else findings.push(ok('replicas', replicas === 1 ? '1: the log is on one disk' : `${replicas}`));
  return findings;
}

/** Our clock against that of NATS, and against what the log has seen. Pure. `lastEventAt`: of the log's newest event, ms. */
export function judgeClock(now: number, offsetMs: number | undefined, lastEventAt: number | undefined): Finding {
  const advice = 'requests of clients are refused when clocks differ by a minute: run an NTP client on every machine';
  const shown = new Date(now).toISOString();
  if (now < CLOCK_PLAUSIBLE_SINCE) return bad('clock', `${shown} cannot be right`, advice);
  if (lastEventAt !== undefined && lastEventAt - now > CLOCK_WARN_MS) {
    return bad('clock', `${shown} is ${formatMs(lastEventAt - now)} before the newest event of the log`, advice);
  }
  if (offsetMs === undefined) return ok('clock', `${shown}; this nats-server does not tell its own`);
  const detail = `${shown}; NATS differs by ${formatMs(offsetMs)}`;
  if (Math.abs(offsetMs) >= CLOCK_BAD_MS) return bad('clock', detail, advice);
  return Math.abs(offsetMs) >= CLOCK_WARN_MS ? warn('clock', detail, advice) : ok('clock', detail);
}
