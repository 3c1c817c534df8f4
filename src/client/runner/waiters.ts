import { ClientError } from '../client-error.ts';
import { pause } from './retry.ts';
import { withAny } from './with-any.ts';

/** People who wait for something to be said about a key, once. */
export interface Waiters<Value> {
  /** @throws ClientError `timeout` after `ms`, `closed` when {@link Waiters.close} comes first */
  wait(key: string, ms: number): Promise<Value>;
  tell(key: string, value: Value): void;
  close(): void;
}

export function createWaiters<Value>(what: string): Waiters<Value> {
  const waiting = new Map<string, Set<(value: Value) => void>>();
  const closed = new AbortController();
  return {
    wait: async (key, ms) => {
      const answered = new AbortController();
      let value: { readonly value: Value } | undefined;
      const take = (told: Value): void => {
        value = { value: told };
        answered.abort();
      };
      const takers = waiting.get(key) ?? new Set();
      waiting.set(key, takers.add(take));
      await withAny([answered.signal, closed.signal], (either) => pause(ms, either));
      takers.delete(take);
      if (takers.size === 0 && waiting.get(key) === takers) waiting.delete(key);
      if (value !== undefined) return value.value;
      if (closed.signal.aborted) throw new ClientError('closed', 'the client was closed');
      throw new ClientError('timeout', `${what} has not been answered yet; it goes on in the background`);
    },
    tell: (key, value) => {
      for (const take of waiting.get(key) ?? []) take(value);
      waiting.delete(key);
    },
    close: () => closed.abort(),
  };
}
