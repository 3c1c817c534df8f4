import type { Group } from '../engine/types.ts';
import { isPassing } from './failures.ts';

/** Own messages that were asked for without an answer: each may be in the log. */
export interface Unanswered {
  /** Asks for messages, and remembers them when there is no answer. @throws what `ask` throws */
  ask<Answer>(messages: readonly { readonly id: string }[], ask: () => Promise<Answer>): Promise<Answer>;
  has(id: string): boolean;
  /** They are answered. */
  forget(messages: readonly { readonly id: string }[]): void;
}

/** @param groups as they were stored: what was encrypted may have been asked for before this start */
export function createUnanswered(groups: Iterable<Group>): Unanswered {
  const ids = new Set<string>();
  for (const { outbox } of groups) {
    for (const { sealed, accepted } of outbox) if (sealed !== undefined && !accepted) ids.add(sealed.id);
  }
  return {
    ask: async (messages, ask) => {
      try {
        return await ask();
      } catch (error) {
        if (isPassing(error)) for (const { id } of messages) ids.add(id);
        throw error;
      }
    },
    has: (id) => ids.has(id),
    forget: (messages) => {
      for (const { id } of messages) ids.delete(id);
    },
  };
}
