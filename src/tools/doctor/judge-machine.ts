import { bad, type Finding, formatBytes, formatMs, ok, warn } from './finding.ts';

/** A folder or file as the file system shows it. */
export interface FileFacts {
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  /** Whether it belongs to who asks. */
  readonly isOwn: boolean;
}

const FREE_WARN_SHARE = 0.1;
const FREE_BAD_SHARE = 0.02;
const SYNC_WARN_MS = 10;
const SYNC_BAD_MS = 100;
const OPEN_FILES_WARN = 4_096;
const OPEN_FILES_BAD = 256;
const SECRET = /^[0-9a-f]{64}\s*$/;

/** `f_type` of statfs(2) on Linux. */
const FILE_SYSTEMS: ReadonlyMap<number, { readonly name: string; readonly kind: 'network' | 'fleeting' }> = new Map([
  [0x6969, { name: 'NFS', kind: 'network' }],
  [0x517b, { name: 'SMB', kind: 'network' }],
  [0xff534d42, { name: 'CIFS', kind: 'network' }],
  [0xfe534d42, { name: 'SMB 2', kind: 'network' }],
  [0x01021997, { name: '9P', kind: 'network' }],
  [0x01021994, { name: 'tmpfs', kind: 'fleeting' }],
  [0x794c7630, { name: 'overlay', kind: 'fleeting' }],
]);

/** Whether others can look into the data folder. Pure, as everything here. */
export function judgeFolder({ path, mode, isOwn }: FileFacts): Finding {
  const shown = `${path}, mode ${mode.toString(8)}`;
  if (!isOwn) return bad('folder', `${shown}, of another user`, 'run mlsd as the user that owns it');
  if ((mode & 0o077) !== 0) return bad('folder', `${shown}: others can look into it`, `chmod 700 ${path}`);
  return ok('folder', shown);
}

/** The secret of the domain; `undefined` when there is none. Only the form of the text is looked at, and never shown. */
export function judgeSecret(path: string, file: (FileFacts & { readonly text: string }) | undefined): Finding {
  if (file === undefined) return warn('secret', `${path} is not there`, 'the server makes one at its first start');
  const shown = `${path}, mode ${file.mode.toString(8)}`;
  if ((file.mode & 0o077) !== 0) return bad('secret', `${shown}: others can read it`, `chmod 600 ${path}`);
  if (!SECRET.test(file.text)) return bad('secret', `${shown}: holds no secret`, 'restore it from a backup');
  return ok('secret', shown);
}

/** `type`: of statfs(2). */
export function judgeDisk(disk: {
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly type: number;
}): Finding[] {
  const share = disk.totalBytes === 0 ? 1 : disk.freeBytes / disk.totalBytes;
  const detail = `${formatBytes(disk.freeBytes)} free of ${formatBytes(disk.totalBytes)}`;
  const advice = 'appends are refused when it is full (507), reads go on: make room';
  const space = share < FREE_BAD_SHARE ? bad : share < FREE_WARN_SHARE ? warn : undefined;
  const findings = [space === undefined ? ok('disk', detail) : space('disk', detail, advice)];
  const system = FILE_SYSTEMS.get(disk.type);
  if (system?.kind === 'network') {
    findings.push(bad('file system', `${system.name}: a network file system`, 'tables and log need a local disk'));
  } else if (system?.kind === 'fleeting') {
    findings.push(
      warn('file system', `${system.name}: may not outlive the machine or the container`, 'use a real disk'),
    );
  }
  return findings;
}

/** `medianMs`: of writing a small block and syncing it, several times over. */
export function judgeSyncTime(medianMs: number): Finding {
  const detail = `${formatMs(medianMs)} to sync a small write, so about ${Math.max(1, Math.floor(1_000 / Math.max(medianMs, 0.001)))} appends/s one at a time`;
  const advice = 'every acknowledged write waits that long: use a faster disk';
  if (medianMs >= SYNC_BAD_MS) return bad('disk sync', detail, advice);
  return medianMs >= SYNC_WARN_MS ? warn('disk sync', detail, advice) : ok('disk sync', detail);
}

/** `limit`: open files that the server may have, `undefined` when nobody tells. `whose`: of which process. */
export function judgeOpenFiles(limit: number | undefined, whose: string): Finding {
  if (limit === undefined) return ok('open files', 'this system does not tell');
  const detail = `${limit === Number.POSITIVE_INFINITY ? 'no limit' : `at most ${limit}`} (${whose})`;
  const advice = 'each live stream needs one: raise it (LimitNOFILE= of systemd, ulimit -n)';
  if (limit < OPEN_FILES_BAD) return bad('open files', detail, advice);
  return limit < OPEN_FILES_WARN ? warn('open files', detail, advice) : ok('open files', detail);
}
