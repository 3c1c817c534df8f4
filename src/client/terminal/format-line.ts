import type { AccountLine, HistoryLine } from '../chat-client.ts';
import { messageRows, speaker, topicText } from './message-text.ts';
import { neutralise, neutraliseRows } from './neutralise.ts';
import type { Palette } from './palette.ts';
import { wrapRows } from './wrap.ts';

export interface LineStyle {
  readonly palette: Palette;
  /** The account that looks at the line. */
  readonly me: string;
  /** Cells a row may take; `undefined` in pipes, where nothing is wrapped. */
  readonly columns?: number | undefined;
}

/**
 * One line of history as rows to print: `#group <name> message`, control lines `#group <name> [what happened]`. The first row
 * begins with `#group`; every further row is indented, whatever the text says.
 */
export function formatLine(line: HistoryLine, style: LineStyle): string[] {
  const group = `#${neutralise(line.groupName)}`;
  const { palette } = style;
  if (line.kind === 'warning') {
    const rows = wrapRows(neutraliseRows(`${group} [warning] ${line.text}`), style.columns);
    return rows.map((row) => palette.warning(row));
  }
  const who = line.kind === 'message' ? line.sender : line.by;
  const name = speaker(who.name, line);
  const body = line.kind === 'message' ? messageRows(line) : [describe(line, style.me)];
  const [first = '', ...rest] = body;
  const rows = wrapRows([`${group} ${name} ${first}`, ...rest], style.columns);
  const head = `${group} ${name}`;
  const colour = `${palette.group(group)} ${palette.person(who.account, name)}`;
  const quiet = line.kind !== 'message' || line.file !== undefined || line.deleted === true;
  return rows.map((row, index) => {
    const plainHead = index === 0 && row.startsWith(head) ? head : '';
    const text = row.slice(plainHead.length);
    return (plainHead && colour) + (quiet && text !== '' ? palette.faint(text) : text);
  });
}

type ControlLine = Exclude<HistoryLine, { kind: 'message' | 'warning' }>;

function describe(line: ControlLine, me: string): string {
  switch (line.kind) {
    case 'membership':
      return `[updated group membership]${changes(line)}`;
    case 'account':
      return accountChange(line);
    case 'created':
      return `[created the group${privately(line)}]`;
    case 'joined':
      return `[${line.by.account === me ? 'joined the group' : 'added you to the group'}${privately(line)}]`;
    case 'topic':
      return topicText(line.text);
    case 'removed-me':
      return line.by.account === me ? '[left the group]' : '[removed you from the group]';
    default:
      return line satisfies never;
  }
}

/** Said of an opaque group. */
function privately({ handshakes }: { readonly handshakes?: 'private' }): string {
  return handshakes === undefined ? '' : '; its handshakes are private';
}

function accountChange({ change, what }: AccountLine): string {
  switch (change) {
    case 'renamed':
      return `[is now ${neutralise(what)}]`;
    case 'device-added':
      return `[added the device "${neutralise(what)}"]`;
    case 'device-revoked':
      return `[revoked the device "${neutralise(what)}"]`;
    default:
      return change satisfies never;
  }
}

function changes(line: Extract<HistoryLine, { kind: 'membership' }>): string {
  const { added, left = [], rotated, appointed = [], dismissed = [], invite, join } = line;
  const removed = line.removed.filter(({ account }) => !left.some((each) => each.account === account));
  const parts = [
    ...(added.length > 0 ? [`added ${namesOf(added)}`] : []),
    ...(removed.length > 0 ? [`removed ${namesOf(removed)}`] : []),
    ...(left.length > 0 ? [`${namesOf(left)} left`] : []),
    ...(appointed.length > 0 ? [`made ${namesOf(appointed)} administrator`] : []),
    ...(dismissed.length > 0 ? [`${namesOf(dismissed)} no longer administers`] : []),
    ...(invite === undefined
      ? []
      : [invite === 'members' ? 'every member may invite' : 'only administrators may invite']),
    ...(join === undefined ? [] : [join === 'open' ? 'everybody may join' : 'nobody joins uninvited']),
    ...(rotated && added.length + line.removed.length === 0 ? ['renewed keys'] : []),
  ];
  return parts.length > 0 ? ` ${parts.join(', ')}` : '';
}

/** Names of people, harmless, each once. */
export function namesOf(people: readonly { readonly name: string }[]): string {
  return [...new Set(people.map((person) => neutralise(person.name)))].join(', ');
}
