import { execFile } from 'node:child_process';
import { open, readFile, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { FileFacts } from './judge-machine.ts';

const SYNC_ROUNDS = 21;
const SYNC_BYTES = 4_096;
const ULIMIT_TIMEOUT_MS = 5_000;
const run = promisify(execFile);

/** `undefined` when it is not there. */
export async function fileFacts(path: string): Promise<FileFacts | undefined> {
  const found = await stat(path).catch(notThere);
  if (found === undefined) return undefined;
  const isOwn = process.getuid === undefined || process.getuid() === found.uid;
  return { path, mode: found.mode & 0o777, isOwn };
}

/** Room on the disk of a folder, and the type of its file system. */
export async function diskFacts(path: string) {
  const { bavail, blocks, bsize, type } = await statfs(path);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize, type };
}

/** Median time of writing a small block and syncing it, in milliseconds; the file is removed. */
export async function syncTimeMs(folder: string): Promise<number> {
  const path = join(folder, 'sync-test');
  const file = await open(path, 'wx', 0o600);
  try {
    const block = new Uint8Array(SYNC_BYTES);
    const times: number[] = [];
    for (let round = 0; round < SYNC_ROUNDS; round += 1) {
      const start = performance.now();
      await file.write(block, 0, block.length, round * SYNC_BYTES);
      await file.datasync();
      times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b)[SYNC_ROUNDS >> 1]!;
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}

/** What the server's process was started with: of a running one on Linux its own, else what a server started here would get. */
export interface ProcessFacts {
  readonly whose: string;
  readonly openFiles: number | undefined;
}

/** `lockFile`: of the data folder, which names the process that holds it. */
export async function processFacts(running: boolean, lockFile: string): Promise<ProcessFacts> {
  const pid = running ? Number.parseInt((await readFile(lockFile, 'utf8').catch(notThere)) ?? '', 10) : Number.NaN;
  const limits = Number.isInteger(pid) ? await readFile(`/proc/${pid}/limits`, 'utf8').catch(notReadable) : undefined;
  if (limits !== undefined) {
    return { whose: `process ${pid}`, openFiles: asLimit(/^Max open files\s+(\S+)/m.exec(limits)?.[1]) };
  }
  const { stdout } = await run('/bin/sh', ['-c', 'ulimit -n'], { timeout: ULIMIT_TIMEOUT_MS });
  return { whose: 'in this shell', openFiles: asLimit(stdout.trim()) };
}

function asLimit(text: string | undefined): number | undefined {
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : asNumber(text);
}

function asNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

function notThere(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}

/** Another system than Linux, a process that has ended, or one of somebody else. */
function notReadable(error: unknown): undefined {
  const codes = ['ENOENT', 'EACCES', 'EPERM', 'ESRCH'];
  if (error instanceof Error && 'code' in error && codes.includes(String(error.code))) return undefined;
  throw error;
}
