import { LogError, messageOf } from '../../log/errors.ts';
import type { ServerConfig } from './config.ts';
import { isRollback } from './open-fold.ts';

/** What went wrong, and what to do about it. */
export function explain(error: unknown, config: ServerConfig): string {
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
