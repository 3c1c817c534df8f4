import { decodeEvent } from '../../log/envelope.ts';
import { LogError } from '../../log/errors.ts';
import type { CompactedBatch, LogEvent } from '../../log/events.ts';
import type { RawEvent } from '../../log/raw-events.ts';
import { toBase64Url } from '../../wire/bytes.ts';

/** An event as people and scripts see it: ids, numbers and sizes, never what is in its bytes and no names. */
export interface EventDescription {
  readonly sequence: number;
  /** When the log stored it, ISO 8601. */
  readonly storedAt: string;
  readonly subject: string;
  readonly size: number;
  /** Absent when the event cannot be decoded; `problem` says why. */
  readonly type?: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly problem?: string;
}

/** Members that are ids in bytes. */
const ID_MEMBERS: ReadonlySet<string> = new Set(['group', 'ref']);
/** Of user and group names only the length is told. */
const NAME_MEMBERS: ReadonlySet<string> = new Set(['name']);
const SHORT_ID_LENGTH = 8;
const LISTED_IDS = 3;
const SHORTENED = /[A-Za-z0-9_-]{17,}/g;
const COLUMNS = { sequence: 8, type: 22 };

export function describeEvent({ sequence, subject, storedAt, bytes }: RawEvent): EventDescription {
  const place = { sequence, storedAt: new Date(storedAt).toISOString(), subject, size: bytes.length };
  try {
    const event = decodeEvent(bytes);
    return { ...place, type: event.type, fields: fieldsOf(event) };
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    return { ...place, problem: error.message };
  }
}

/** One line: sequence, time, type, lane with ids shortened, and what matters of the rest. */
export function formatLine({ sequence, storedAt, subject, size, type, fields, problem }: EventDescription): string {
  const shown = Object.entries(fields ?? {}).filter(([name]) => !LINE_LEAVES_OUT.has(name));
  const rest = shown.map(([name, value]) => `${name} ${shorten(formatBriefly(value))}`).join(', ');
  const columns = [
    String(sequence).padStart(COLUMNS.sequence),
    storedAt,
    (type ?? '(unreadable)').padEnd(COLUMNS.type),
    shorten(subject.replace(/^mls\./, '')),
    `${size} B`,
    problem ?? rest,
  ];
  return columns.join('  ').trimEnd();
}

const LINE_LEAVES_OUT: ReadonlySet<string> = new Set(['id', 'time', 'v', 'requestId', 'requestDigest', 'account']);

/** All that is told of an event, a member a line, with whole ids. */
export function formatWhole({ sequence, storedAt, subject, size, type, fields, problem }: EventDescription): string {
  const lines = [
    `event ${sequence}`,
    `  type      ${type ?? '(unreadable)'}`,
    `  stored    ${storedAt}`,
    `  subject   ${subject}`,
    `  size      ${size} bytes`,
    ...(problem === undefined ? [] : [`  problem   ${problem}`]),
    ...Object.entries(fields ?? {}).map(([name, value]) => `  ${name.padEnd(15)} ${format(value)}`),
  ];
  return lines.join('\n');
}

function fieldsOf(event: LogEvent): Readonly<Record<string, unknown>> {
  const { type: _type, ...members } = event;
  const described: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(members)) {
    if ('batches' in event && name === 'batches') Object.assign(described, messagesOf(event));
    else described[name] = name === 'time' ? new Date(value as number).toISOString() : describe(name, value);
  }
  return described;
}

function messagesOf({
  batches,
}: Extract<LogEvent, { type: 'messages-sent' | 'messages-compacted' }>): Readonly<Record<string, unknown>> {
  const all = batches.flatMap(({ messages }): CompactedBatch['messages'] => messages);
  const removed = all.filter(([, , message]) => message === null).length;
  return {
    messages: all.length,
    ...(removed === 0 ? {} : { removed }),
    bytes: { bytes: all.reduce((sum, [, , message]) => sum + (message?.length ?? 0), 0) },
    groups: [...new Set(batches.map(({ group }) => toBase64Url(group)))],
    devices: [...new Set(batches.map(({ device }) => device))],
  };
}

function describe(name: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return ID_MEMBERS.has(name) ? toBase64Url(value) : { bytes: value.length };
  if (NAME_MEMBERS.has(name)) return { characters: String(value).length };
  if (Array.isArray(value)) return value.map((item) => describe(name === 'refs' ? 'ref' : '', item));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([member, inner]) => [member, describe(member, inner)]));
  }
  return value;
}

function format(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : `${value.length} (${value.map(format).join('; ')})`;
  if (typeof value !== 'object' || value === null) return String(value);
  const members = Object.entries(value);
  if (members.length === 1 && members[0]![0] === 'bytes') return `${members[0]![1]} B`;
  if (members.length === 1 && members[0]![0] === 'characters') return `of ${members[0]![1]} characters`;
  return members.map(([name, inner]) => `${name} ${format(inner)}`).join(' ');
}

/** Lists that are not a few ids are told by their length. */
function formatBriefly(value: unknown): string {
  const isLong = Array.isArray(value) && (value.length > LISTED_IDS || typeof value[0] === 'object');
  return isLong ? String(value.length) : format(value);
}

function shorten(text: string): string {
  return text.replaceAll(SHORTENED, (id) => `${id.slice(0, SHORT_ID_LENGTH)}…`);
}
