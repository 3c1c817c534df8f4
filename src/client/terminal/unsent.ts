import type { GroupId } from '../../wire/ids.ts';
import type { HistoryLine, SendAs } from '../chat-client.ts';
import { messageRows, topicText } from './message-text.ts';

/** Unsent messages shown above the prompt; more are only counted. */
export const UNSENT_SHOWN_MAX = 4;
/** Ids remembered that were settled before `send` had told their id. */
const SETTLED_MAX = 1000;

export interface Unsent {
  /** A message was entered: shown from now on. */
  add(group: GroupId, text: string, how?: SendAs): UnsentMessage;
  /** A message of an earlier session that still waits. */
  restore(line: Extract<HistoryLine, { kind: 'message' }>): void;
  /** It is in the outbox under this id. */
  stored(message: UnsentMessage, id: string): void;
  /** It is on the screen as a line of the conversation, or was given up. */
  settled(id: string): void;
  drop(message: UnsentMessage): void;
  inGroup(group: GroupId): readonly UnsentMessage[];
}

export interface UnsentMessage {
  readonly group: GroupId;
  /** What it will look like, on one row. Not harmless yet. */
  readonly text: string;
  /** Its sender does it, rather than says it. */
  readonly action?: true;
}

/** What was entered and is not yet in the log, in order. */
export function createUnsent(): Unsent {
  const waiting = new Set<UnsentMessage>();
  const byId = new Map<string, UnsentMessage>();
  const settledEarly = new Set<string>();
  return {
    add: (group, text, how = {}) => {
      const message: UnsentMessage = { group, text: shownAs(text, how), ...actionOf(how.as === 'action') };
      waiting.add(message);
      return message;
    },
    restore: (line) => {
      const { group, id } = line;
      if (byId.has(id)) return;
      const message: UnsentMessage = { group, text: messageRows(line).join(' '), ...actionOf(line.action === true) };
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

function actionOf(action: boolean): { readonly action?: true } {
  return action ? { action: true } : {};
}

/** As {@link messageRows} will show it, as far as it is known before it is sent. */
function shownAs(text: string, { inReplyTo, replaces, deleted, as }: SendAs): string {
  if (as === 'topic') return topicText(text);
  if (deleted === true) return '[took back a message]';
  if (replaces !== undefined) return `[edited] ${text}`;
  return inReplyTo === undefined ? text : `[reply] ${text}`;
}
