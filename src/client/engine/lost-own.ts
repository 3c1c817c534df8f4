import { fileNote } from './attachment.ts';
import { messageLine, shownOf } from './content.ts';
import type { EngineEnv, Group, LineDraft, OutboxItem } from './types.ts';
import { isElsewhere } from './witness.ts';

/** What an own message that the server took shows, though its entry is gone: told from what is here; nothing of a read mark. */
export function lostOwnLines(env: EngineEnv, group: Group, item: OutboxItem): readonly LineDraft[] {
  const { localId: id, text, time, attachment } = item;
  const sender = env.directory.person(env.me.account, env.me.device);
  const own = { id, sender, own: true };
  if (attachment !== undefined) return [{ ...messageLine({ text }, { ...own, file: fileNote(attachment) }), time }];
  const shown = shownOf(env, group, item);
  return shown.statuses === undefined ? [{ ...messageLine(shown, own), time }] : [];
}

/** Whether the server said where an own text stands before that came to be among what is gone: nothing is open about it. */
export function isKnownGone(group: Group, item: OutboxItem): boolean {
  const { accepted, promisedAt } = item;
  if (accepted || promisedAt === undefined || promisedAt > group.position) return false;
  return !isElsewhere(group, item, promisedAt);
}
