import type { AccountLine, HistoryLine, Person } from '../chat-client.ts';
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
  /** Rows a line may take, at least two; what is cut is counted. */
  readonly rowsMax?: number | undefined;
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
  const rows = cutRows(wrapRows([`${group} ${name} ${first}`, ...rest], style.columns), style.rowsMax);
  const head = `${group} ${name}`;
  const colour = `${palette.group(group)} ${palette.person(who.account, name)}`;
  const quiet = line.kind !== 'message' || line.file !== undefined || line.deleted === true;
  return rows.map((row, index) => {
    const plainHead = index === 0 && row.startsWith(head) ? head : '';
    const text = row.slice(plainHead.length);
    return (plainHead && colour) + (quiet && text !== '' ? palette.faint(text) : text);
  });
}

function cutRows(rows: readonly string[], max = Number.POSITIVE_INFINITY): readonly string[] {
  if (rows.length <= max) return rows;
  const hidden = rows.length - max + 1;
  return [...rows.slice(0, max - 1), `  … ${hidden.toLocaleString('en')} more rows`];
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
  const { left = [], devices = [], rotated, appointed = [], dismissed = [], invite, join } = line;
  // of whom only a device came or went, nobody did
  const isPerson = ({ device }: Person) => !devices.some((each) => each.device === device);
  const ofDevices = (verb: string, people: readonly Person[]) => {
    const owners = namesEach(people.filter((person) => !isPerson(person)));
    return owners.map((name) => `${verb} a device of ${name}`);
  };
  const came = line.added.filter(isPerson);
  const joined = came.some(({ account }) => account === line.by.account);
  const added = came.filter(({ account }) => account !== line.by.account);
  const went = line.removed.filter(isPerson);
  const removed = went.filter(({ account }) => !left.some((each) => each.account === account));
  const gone = left.filter(isPerson);
  const demoted = dismissed.filter(({ account }) => !removed.some((each) => each.account === account));
  const parts = [
    ...(joined ? ['joined'] : []),
    ...(added.length > 0 ? [`added ${namesOf(added)}`] : []),
    ...ofDevices('added', line.added),
    ...(removed.length > 0 ? [`removed ${namesOf(removed)}`] : []),
    ...ofDevices('removed', line.removed),
    ...(gone.length > 0 ? [`${namesOf(gone)} left`] : []),
    ...(appointed.length > 0 ? [`made ${namesOf(appointed)} administrator`] : []),
    ...(demoted.length > 0 ? [`${namesOf(demoted)} no longer administers`] : []),
    ...(invite === undefined
      ? []
      : [invite === 'members' ? 'every member may invite' : 'only administrators may invite']),
    ...(join === undefined ? [] : [join === 'open' ? 'everybody may join' : 'nobody joins uninvited']),
    ...(rotated && line.added.length + line.removed.length === 0 ? ['renewed keys'] : []),
  ];
  return parts.length > 0 ? ` ${parts.join(', ')}` : '';
}

/** Names of people, harmless, each once. */
export function namesOf(people: readonly { readonly name: string }[]): string {
  return namesEach(people).join(', ');
}

function namesEach(people: readonly { readonly name: string }[]): readonly string[] {
  return [...new Set(people.map((person) => neutralise(person.name)))];
}
