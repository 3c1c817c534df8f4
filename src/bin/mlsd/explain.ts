import { getSystemErrorMap } from 'node:util';
import { LogError, messageOf } from '../../log/errors.ts';
import type { ServerConfig } from './config.ts';
import { isRollback } from './open-fold.ts';

/** What went wrong, and what to do about it. */
export function explain(error: unknown, config: ServerConfig): string {
  if (error instanceof LogError && error.code === 'locked') {
    return `${messageOf(error)}: another mlsd runs on it, or one of its commands. Stop it, or choose another folder with --data`;
  }
  if (error instanceof LogError && error.code === 'domain-mismatch') {
    return `${messageOf(error)}. A log keeps the domain it was begun with: say that one with --domain, or choose another folder with --data`;
  }
  if (isRollback(error)) {
    return `${messageOf(error)}. The log is not the one that the tables in ${config.dataFolder} were made from: it lost its end, or was replaced. Nothing is served, so that no client mixes two histories. Bring the log back, or start once with --accept-rollback to go on with the log as it is: under a new incarnation, with tables made anew; every client then resyncs`;
  }
  return isSystemError(error) ? explainSystem(error, config) : messageOf(error);
}

type SystemError = NodeJS.ErrnoException & { readonly code: string };

/** What is wrong with a path, for whoever never heard of the code. */
const WRONG_WITH: Readonly<Record<string, string>> = {
  EACCES: 'this user may not do that',
  EPERM: 'this user may not do that',
  EEXIST: 'there is something of that name already, and it is no folder',
  EISDIR: 'that is a folder',
  ENOENT: 'it is not there',
  ENOTDIR: 'a part of this path is no folder',
  ENOSPC: 'the disk is full',
  EROFS: 'that disk is read-only',
};

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';
}

function explainSystem(error: SystemError, { host, port, dataFolder }: ServerConfig): string {
  const { code, syscall, path, errno } = error;
  if (code === 'EADDRINUSE') return `port ${port} on ${host} is taken: choose another one with --port`;
  if (syscall === 'listen' && code === 'EADDRNOTAVAIL') return `--host: ${host} is no address of this machine`;
  if (syscall === 'listen' && code === 'EACCES') {
    return `port ${port} may not be opened by this user: choose one from 1024 on with --port`;
  }
  if (syscall === 'getaddrinfo') return `--host: this machine knows no address of ${host}`;
  const wrong = WRONG_WITH[code] ?? getSystemErrorMap().get(errno ?? 0)?.[1];
  if (path === undefined && code === 'ENOSPC') return `${wrong} (${syscall})`;
  if (path === undefined || wrong === undefined) return messageOf(error);
  const isOurs = path === dataFolder || path.startsWith(`${dataFolder}/`) || dataFolder.startsWith(`${path}/`);
  const remedy = isOurs && code !== 'ENOSPC' ? `. The data folder is ${dataFolder}; --data names another one` : '';
  return `${path}: ${wrong} (${syscall})${remedy}`;
}
