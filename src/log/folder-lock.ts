import { spawnSync } from 'node:child_process';
import { closeSync, constants, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { wait } from './backoff.ts';
import { LogError } from './errors.ts';

/** A folder that this process, and nobody else, may write to. */
export interface FolderLock extends AsyncDisposable {
  /** Handed to a child process, it keeps the folder locked until that child is gone as well. */
  readonly fd: number;
  close(): Promise<void>;
}

const LOCK_FILE = 'lock';
/** How long a lock without a living owner is waited for: a child of a killed process may still be shutting down. */
const ORPHAN_WAIT_MS = 15_000;
const ORPHAN_POLL_MS = 50;
/** open(2) flags of macOS and the BSDs that lock while opening. */
const BSD_O_NONBLOCK = 0x4;
const BSD_O_EXLOCK = 0x20;

/**
 * Locks a folder by a kernel lock on a file in it. The lock belongs to the open file, so it ends with the last process
 * that holds it, however that process ends: there are no stale locks.
 *
 * @throws LogError `locked`: at once when the process that took the lock is alive, after a bounded wait when only a
 *   child it left behind still holds it. `aborted` when the signal fires while waiting.
 */
export async function acquireFolderLock(folder: string, signal?: AbortSignal): Promise<FolderLock> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, LOCK_FILE);
  for (let waited = 0; ; waited += ORPHAN_POLL_MS) {
    const fd = tryLock(path);
    if (fd !== undefined) return ownedLock(fd);
    const owner = readOwner(path);
    if (owner !== undefined && isAlive(owner)) {
      throw new LogError('locked', `${folder} is used by another process (pid ${owner})`);
    }
    if (waited >= ORPHAN_WAIT_MS) throw new LogError('locked', `${folder} is used by another process`);
    await wait(ORPHAN_POLL_MS, signal);
  }
}

function ownedLock(fd: number): FolderLock {
  ftruncateSync(fd, 0);
  writeSync(fd, `${process.pid}\n`, 0);
  let open = true;
  const close = async (): Promise<void> => {
    if (!open) return;
    open = false;
    ftruncateSync(fd, 0);
    closeSync(fd);
  };
  return { fd, close, [Symbol.asyncDispose]: close };
}

/** The descriptor of the locked file, or `undefined` when somebody else holds it. */
function tryLock(path: string): number | undefined {
  const flags = constants.O_RDWR | constants.O_CREAT;
  if (process.platform !== 'linux') return tryOpenLocked(path, flags | BSD_O_NONBLOCK | BSD_O_EXLOCK);
  const fd = openSync(path, flags, 0o600);
  // Node has no flock(2). The lock belongs to the open file, which the helper shares, so it outlives the helper.
  const result = spawnSync('flock', ['-n', '-x', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  if (result.status === 0) return fd;
  closeSync(fd);
  if (result.status === 1) return undefined;
  throw new LogError('server-failed', 'cannot lock the data folder: the program flock (util-linux) did not run', {
    cause: result.error,
  });
}

function tryOpenLocked(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EAGAIN' || code === 'EWOULDBLOCK') return undefined;
    throw error;
  }
}

function readOwner(path: string): number | undefined {
  const pid = Number.parseInt(readFileSync(path, 'utf8'), 10);
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return !isZombie(pid);
}

/** A process that has ended but that nobody waited for: it holds no lock any more. */
function isZombie(pid: number): boolean {
  if (process.platform !== 'linux') return false;
  try {
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true; // It was there a moment ago and is not any more.
  }
}
