import type { GroupId } from '../../wire/ids.ts';
import type { CatchUpProgress, Connection, GroupStatus } from '../chat-client.ts';
import { neutralise } from './neutralise.ts';
import { UNSENT_SHOWN_MAX, type UnsentMessage } from './unsent.ts';

/** Other groups named with their unread count; more are only counted. */
const UNREAD_GROUPS_SHOWN_MAX = 5;

export interface NotesState {
  readonly userName: string;
  readonly current: GroupStatus | undefined;
  readonly unsent: readonly UnsentMessage[];
  readonly groups: ReadonlyMap<GroupId, GroupStatus>;
  readonly connection: Connection;
  /** Entries done of a catch-up that takes longer than a moment. */
  readonly catchingUp: CatchUpProgress | undefined;
}

/** The rows above the prompt: own messages that wait, then one row of news, if there are any. Harmless. */
export function footerNotes(state: NotesState): string[] {
  return [...unsentNotes(state), ...statusNote(state)];
}

function unsentNotes({ unsent, current, userName }: NotesState): string[] {
  if (current === undefined) return [];
  const [group, name] = [`#${neutralise(current.name)}`, neutralise(userName)];
  const shown = unsent
    .slice(-UNSENT_SHOWN_MAX)
    .map(({ text, action }) => `${group} ${action === true ? `* ${name}` : `<${name}>`} ${neutralise(text)} …`);
  const hidden = unsent.length - shown.length;
  return hidden > 0 ? [`… ${hidden} more ${hidden === 1 ? 'waits' : 'wait'} to be sent`, ...shown] : shown;
}

function statusNote({ groups, current, connection, catchingUp }: NotesState): string[] {
  const unread = [...groups.values()].filter((group) => isNews(group) && group.group !== current?.group);
  const named = unread.slice(0, UNREAD_GROUPS_SHOWN_MAX).map((group) => `#${neutralise(group.name)} ${group.unread}`);
  const more = unread.length > named.length ? [`${unread.length - named.length} more`] : [];
  const parts = [
    ...placeNote(current),
    ...(named.length > 0 ? [`unread: ${[...named, ...more].join(', ')}`] : []),
    ...(catchingUp === undefined ? [] : [catchingUpText(catchingUp)]),
    ...(connection.state === 'offline' ? ['offline'] : []),
  ];
  return parts.length > 0 ? [parts.join(' · ')] : [];
}

/** Why nothing can be said in the group talked in. */
function placeNote(current: GroupStatus | undefined): string[] {
  if (current === undefined || current.state === 'member') return [];
  const group = `#${neutralise(current.name)}`;
  return [current.state === 'removed' ? `you are not in ${group} any more` : `${group} is stopped here: /rejoin`];
}

function isNews({ unread, muted }: GroupStatus): boolean {
  return unread > 0 && muted !== true;
}

function catchingUpText({ done, group }: CatchUpProgress): string {
  const count = (number: number) => number.toLocaleString('en');
  if (group === undefined) return `catching up ${count(done)}`;
  return `catching up #${neutralise(group.name)} ${count(group.done)}/${count(group.of)}`;
}
