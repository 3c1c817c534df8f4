import type { GroupId } from '../../wire/ids.ts';

/** Unsent messages shown above the prompt; more are only counted. */
export const UNSENT_SHOWN_MAX = 4;
/** Ids remembered that were settled before `send` had told their id. */
const SETTLED_MAX = 1000;

export interface Unsent {
  /** A message was entered: shown from now on. */
  add(group: GroupId, text: string): UnsentMessage;
  /** A message of an earlier session that still waits. */
  restore(group: GroupId, text: string, id: string): void;
  /** It is in the outbox under this id. */
  stored(message: UnsentMessage, id: string): void;
  /** It is on the screen as a line of the conversation, or was given up. */
  settled(id: string): void;
  drop(message: UnsentMessage): void;
  inGroup(group: GroupId): readonly UnsentMessage[];
}

export interface UnsentMessage {
  readonly group: GroupId;
  readonly text: string;
}

/** What was entered and is not yet in the log, in order. */
export function createUnsent(): Unsent {
  const waiting = new Set<UnsentMessage>();
  const byId = new Map<string, UnsentMessage>();
  const settledEarly = new Set<string>();
  return {
    add: (group, text) => {
      const message: UnsentMessage = { group, text };
      waiting.add(message);
      return message;
    },
    restore: (group, text, id) => {
      if (byId.has(id)) return;
      const message: UnsentMessage = { group, text };
      waiting.add(message);
      byId.set(id, message);
    },
    stored: (message, id) => {
      if (settledEarly.delete(id) || byId.has(id)) waiting.delete(message);
      else byId.set(id, message);
    },
    settled: (id) => {
      const message = byId.get(id);
      byId.delete(id);
      if (message !== undefined) return void waiting.delete(message);
      settledEarly.add(id);
      for (const oldest of settledEarly) {
        if (settledEarly.size <= SETTLED_MAX) break;
        settledEarly.delete(oldest);
      }
    },
    drop: (message) => void waiting.delete(message),
    inGroup: (group) => [...waiting].filter((message) => message.group === group),
  };
}
