import type { AccountId, ClientId } from '../../wire/ids.ts';
import type { MessageStatus } from '../content/content.ts';
import { encodeStatuses, isStatuses } from '../content/content.ts';
import { SALT_BYTES } from '../content/mimi-content.ts';
import type { EngineEnv, Group, Marks, OutboxItem } from './types.ts';

/**
 * Who has got and read what: told to the others, and kept of them, only while the person wants it (`/receipts on`). Many
 * messages are told of in one, and never one by one.
 */

/** Messages of others that are told of in one report, the newest. */
const HEARD_MAX = 100;
/** Own messages that reports of others are looked up in, the newest. */
const OWN_MAX = 64;
/** Accounts whose marks are kept in a group. */
const MARKED_ACCOUNTS_MAX = 200;

export const NO_MARKS: Marks = { heard: [], own: [], by: [] };

function marksOf(env: EngineEnv, group: Group): Marks | undefined {
  return group.marks ?? (env.marks?.() === true ? NO_MARKS : undefined);
}

/** A message came: of somebody else, which is to be told of, or an own one, that others will tell of. */
export function noteMessage(
  env: EngineEnv,
  group: Group,
  messageId: string | undefined,
  { own, position }: { readonly own: boolean; readonly position: number },
): Group {
  const marks = marksOf(env, group);
  if (marks === undefined || messageId === undefined) return group;
  if (own) return { ...group, marks: { ...marks, own: [...marks.own, { id: messageId, position }].slice(-OWN_MAX) } };
  const heard = [...marks.heard, { id: messageId, is: 'delivered' as const }].slice(-HEARD_MAX);
  return { ...group, marks: { ...marks, heard } };
}

/** The person has seen all that came. */
export function noteRead(group: Group): Group {
  if (group.marks === undefined || group.marks.heard.length === 0) return group;
  const heard = group.marks.heard.map((each) => ({ ...each, is: 'read' as const }));
  return { ...group, marks: { ...group.marks, heard } };
}

/** What somebody tells of own messages; of others' it is nobody's business here. */
export function noteStatuses(group: Group, account: AccountId, statuses: readonly MessageStatus[]): Group {
  const { marks } = group;
  if (marks === undefined) return group;
  const positions = new Map(marks.own.map(({ id, position }) => [id, position]));
  const before = marks.by.find((each) => each.account === account);
  let { delivered, read } = before ?? { delivered: 0, read: 0 };
  for (const { id, is } of statuses) {
    const position = positions.get(id) ?? 0;
    delivered = Math.max(delivered, position);
    if (is === 'read') read = Math.max(read, position);
  }
  if (delivered === (before?.delivered ?? 0) && read === (before?.read ?? 0)) return group;
  const others = marks.by.filter((each) => each !== before).slice(-(MARKED_ACCOUNTS_MAX - 1));
  return { ...group, marks: { ...marks, by: [...others, { account, delivered, read }] } };
}

/** Whether there is something to tell. */
export function hasReport({ marks }: Group): boolean {
  return marks?.heard.some(({ is, told }) => is !== told) === true;
}

/** Whether it tells what came and was read: nobody typed it, and what becomes of it is nothing to tell anybody. */
export function isReport({ content }: Pick<OutboxItem, 'content'>): boolean {
  return content !== undefined && isStatuses(content);
}

/** The group when all of it is told, and the message that tells it. */
export function reportMarks(
  env: EngineEnv,
  group: Group,
  { localId, ordinal }: { readonly localId: ClientId; readonly ordinal: number },
): { readonly group: Group; readonly item?: Omit<OutboxItem, 'accepted' | 'stale'> } {
  const { marks } = group;
  if (marks === undefined || !hasReport(group)) return { group };
  const due = marks.heard.filter(({ is, told }) => is !== told);
  const content = encodeStatuses(due, env.randomBytes(SALT_BYTES));
  const heard = marks.heard.filter(({ is }) => is !== 'read').map((each) => ({ ...each, told: each.is }));
  const item = { localId, ordinal, text: 'that messages came', time: env.now(), content };
  return { group: { ...group, marks: { ...marks, heard } }, item };
}
