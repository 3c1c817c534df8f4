import type { FileNote, HistoryContent, Person } from '../chat-client.ts';
import type { Shown } from '../content/content.ts';
import { readContent } from '../content/content.ts';
import type { MessagePlace } from '../content/message-id.ts';
import { noteMessage, noteStatuses } from './marks.ts';
import type { EngineEnv, Group, LineDraft, Topic } from './types.ts';

/** The longest topic, in characters: it stands in one row. */
export const TOPIC_MAX_CHARACTERS = 200;

/** The names that a message's id is made of. `domain`: of the sender. */
export function placeOf(env: EngineEnv, group: Group, sender: { readonly domain: string; readonly account: string }) {
  const place: MessagePlace = {
    senderUri: `mimi://${sender.domain}/u/${sender.account}`,
    roomUri: `mimi://${env.me.domain}/r/${group.id}`,
  };
  return place;
}

/** What an own message shows, before or after it was placed. */
export function shownOf(
  env: EngineEnv,
  group: Group,
  item: { readonly text: string; readonly content?: Uint8Array },
): Shown {
  const shown =
    item.content === undefined ? undefined : readContent(item.content, placeOf(env, group, env.me), env.sha256);
  return shown ?? { text: item.text };
}

interface Told {
  readonly id: string;
  readonly sender: Person;
  readonly own: boolean;
  readonly file?: FileNote;
}

/** A message that was placed: its line, or what it changes in the group. */
export function takeShown(
  env: EngineEnv,
  group: Group,
  shown: Shown,
  message: Told & { readonly time: number; readonly position: number },
): { readonly group: Group; readonly lines: readonly LineDraft[] } {
  const { time, position, sender: by, own } = message;
  if (shown.statuses !== undefined) {
    return { group: own ? group : noteStatuses(group, by.account, shown.statuses), lines: [] };
  }
  if (shown.as !== 'topic') {
    const noted = noteMessage(env, group, shown.messageId, { own, position });
    return { group: noted, lines: [{ ...messageLine(shown, message), time, position }] };
  }
  const set = Math.min(shown.since ?? position, position);
  // one that stands no earlier than this entry is of a history that the log has lost
  const isLater = group.topic !== undefined && group.topic.position >= set && group.topic.position < position;
  if (isLater) return { group, lines: [] };
  const text = shown.text.slice(0, TOPIC_MAX_CHARACTERS);
  const topic: Topic = { text, by, position: set };
  const isKnown = group.topic?.text === text;
  return { group: { ...group, topic }, lines: isKnown ? [] : [{ kind: 'topic', by, text, time, position }] };
}

export function messageLine(
  shown: Shown,
  { id, sender, own, file }: Told,
): HistoryContent & { readonly kind: 'message' } {
  const { text, messageId, inReplyTo, replaces, deleted, as } = shown;
  return {
    ...{ kind: 'message', id, sender, text, own },
    ...(messageId === undefined ? {} : { messageId }),
    ...(inReplyTo === undefined ? {} : { inReplyTo }),
    ...(replaces === undefined ? {} : { replaces }),
    ...(deleted === undefined ? {} : { deleted }),
    ...(as === 'action' ? { action: true } : {}),
    ...(as === 'topic' ? { topic: true } : {}),
    ...(file === undefined ? {} : { file }),
  };
}
