import type { ChatClient } from '../chat-client.ts';
import { unsentText } from './explain.ts';

/** How long the end waits without any progress for a server that is away; what is unsent stays in the outbox. */
export const FLUSH_ROUND_MS = 10_000;

/** Waits as long as the outbox gets shorter, or until the signal; gives what is left in it. */
export async function flushOutbox(
  client: Pick<ChatClient, 'flushed' | 'status'>,
  signal: AbortSignal | undefined,
): Promise<number> {
  const ended = aborted(signal);
  let before = Number.POSITIVE_INFINITY;
  for (;;) {
    const left = await Promise.race([
      client.flushed(FLUSH_ROUND_MS),
      ended.then(async () => (await client.status()).unsent),
    ]);
    if (left === 0 || left >= before) return left;
    before = left;
    if ((await client.status()).connection.state === 'offline') return left;
  }
}

/** What is said of messages that are left: of a server that is there nobody is told that it is not (a signal came first). */
export async function unsentReason(client: Pick<ChatClient, 'status'>, unsent: number): Promise<string> {
  const { connection } = await client.status();
  return connection.state === 'online' ? unsentText(unsent) : `the server cannot be reached: ${unsentText(unsent)}`;
}

/** Resolves when the signal fires; never without one. */
export function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    signal?.addEventListener('abort', () => resolve(), { once: true });
  });
}
