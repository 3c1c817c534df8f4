import type { ChatClient } from '../chat-client.ts';

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

/** Resolves when the signal fires; never without one. */
export function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    signal?.addEventListener('abort', () => resolve(), { once: true });
  });
}
