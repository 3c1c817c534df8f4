import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, constants, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ClientError } from '../client-error.ts';

/** A folder that only this client uses. */
export interface ClientFolder {
  readonly path: string;
  close(): void;
}

const LOCK_FILE = 'lock';
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
/** open(2) flags of macOS and the BSDs that lock while opening. */
const BSD_O_NONBLOCK = 0x4;
const BSD_O_EXLOCK = 0x20;

/**
 * Makes the folder (mode 0700) and takes its kernel lock, which ends with this process however that ends: there are no
 * stale locks.
 *
 * @throws ClientError `folder-locked`, `storage`
 */
export function openClientFolder(path: string): ClientFolder {
  const file = join(path, LOCK_FILE);
  let descriptor: number | undefined;
  try {
    mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
    chmodSync(path, FOLDER_MODE);
    descriptor = process.platform === 'linux' ? lockByFlock(file) : lockByOpen(file);
  } catch (cause) {
    throw new ClientError('storage', `the folder ${path} cannot be used`, cause);
  }
  if (descriptor === undefined) {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
    const who = Number.isInteger(pid) ? ` (pid ${pid})` : '';
    throw new ClientError('folder-locked', `${path} is used by another mlschat${who}: give each its own --config DIR`);
  }
  const held = descriptor;
  ftruncateSync(held, 0);
  writeSync(held, `${process.pid}\n`, 0);
  let open = true;
  return {
    path,
    close: () => {
      if (!open) return;
      open = false;
      closeSync(held);
    },
  };
}

function lockByFlock(file: string): number | undefined {
  const descriptor = openSync(file, constants.O_RDWR | constants.O_CREAT, FILE_MODE);
  // Node has no flock(2). The lock belongs to the open file, which the helper shares, so it outlives the helper.
  const result = spawnSync('flock', ['-n', '-x', '3'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] });
  if (result.status === 0) return descriptor;
  closeSync(descriptor);
  if (result.status === 1) return undefined;
  throw new Error('the program flock (util-linux) did not run', { cause: result.error });
}

function lockByOpen(file: string): number | undefined {
  try {
    return openSync(file, constants.O_RDWR | constants.O_CREAT | BSD_O_NONBLOCK | BSD_O_EXLOCK, FILE_MODE);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EAGAIN' || code === 'EWOULDBLOCK') return undefined;
    throw error;
  }
}
