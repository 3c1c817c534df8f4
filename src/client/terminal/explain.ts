import type { Connection } from '../chat-client.ts';
import { neutralise } from './neutralise.ts';

/** The code of a failure, where it has one. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** A failure as a sentence, harmless to print: messages may quote what a server said. */
export function explain(error: unknown): string {
  return neutralise(error instanceof Error ? error.message : String(error));
}

/** Whether a failure only means that the server is not there now. */
export function isUnreachable(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'unreachable' || code === 'timeout';
}

export function offlineText(connection: Extract<Connection, { state: 'offline' }>): string {
  const reason = neutralise(connection.reason);
  if (connection.retryInMs === undefined) return `offline: ${reason}`;
  const seconds = Math.max(1, Math.round(connection.retryInMs / 1000));
  return `offline: ${reason}; trying again in ${seconds} s, what you write is kept`;
}

export function unsentText(count: number): string {
  return count === 1
    ? '1 message is not sent yet; it is kept and goes out at the next start'
    : `${count} messages are not sent yet; they are kept and go out at the next start`;
}
