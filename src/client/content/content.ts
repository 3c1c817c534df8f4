import { fromBase64Url, toBase64Url, toUtf8 } from '../../wire/bytes.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import type { Sha256 } from '../../wire/ids.ts';
import { type MessagePlace, messageIdOf } from './message-id.ts';
import { decodeMimi, encodeMimi, MESSAGE_ID_BYTES, type MimiContent, type NestedPart } from './mimi-content.ts';

/** Stands for what a message has and this version has no way to show. */
export const UNSHOWABLE = '[something this version cannot show]';

/** What a person writes. Message ids are base64url. */
export interface Written {
  readonly text: string;
  readonly inReplyTo?: string;
  /** The message this one takes the place of: with the text, or, deleted, with nothing. */
  readonly replaces?: string;
  readonly deleted?: true;
  /** `action`: what the sender does, not says. `topic`: what the group is about from now on. */
  readonly as?: 'action' | 'topic';
  /** Of a topic that is told again: the position where it was set. */
  readonly since?: number;
}

/** What a message shows, and what it does. */
export interface Shown extends Written {
  /** Absent in messages from before there were ids. */
  readonly messageId?: string;
  /** It says nothing, and tells what became of messages. */
  readonly statuses?: readonly MessageStatus[];
}

export interface MessageStatus {
  readonly id: string;
  readonly is: 'delivered' | 'read';
}

/** draft-mahy-mimi-message-status: `[*[messageId, status]]`. */
const STATUS_REPORT = 'application/mimi-message-status';
const STATUS = { delivered: 1, read: 2 } as const;
const STATUSES_MAX = 1024;
const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const PLAIN_TEXT = 'text/plain;charset=utf-8';
/** Keys for private use (§4.4); other clients show these messages as text. */
const EXTENSION = { action: 'mlschat.action', topic: 'mlschat.topic' } as const;

/** @throws RangeError for a message id that is none */
export function encodeContent(written: Written, salt: Uint8Array): Uint8Array {
  const { text, inReplyTo, replaces, deleted, as, since } = written;
  return encodeMimi({
    salt,
    replaces: bytesOfId(replaces),
    inReplyTo: bytesOfId(inReplyTo),
    ...(as === undefined ? {} : { extensions: { [EXTENSION[as]]: since ?? true } }),
    part: deleted === true ? undefined : { contentType: PLAIN_TEXT, content: toUtf8(text) },
  });
}

/** A report of what became of messages of others. */
export function encodeStatuses(statuses: readonly MessageStatus[], salt: Uint8Array): Uint8Array {
  const report = encodeCbor(statuses.map(({ id, is }) => [bytesOfId(id), STATUS[is]]));
  return encodeMimi({ salt, part: { contentType: STATUS_REPORT, content: report } });
}

/** Whether it is a report of what became of messages, which shows nothing. */
export function isStatuses(bytes: Uint8Array): boolean {
  const part = decodeMimi(bytes)?.part;
  return part?.kind === 'single' && part.contentType === STATUS_REPORT;
}

/** Whether it takes a message back: {@link readContent} says `deleted` of it. */
export function isTakeBack(bytes: Uint8Array): boolean {
  const message = decodeMimi(bytes);
  return message?.replaces !== undefined && textOf(message.part) === undefined;
}

/** Whether it could be a message id. */
export function isMessageId(text: string): boolean {
  return fromBase64Url(text)?.length === MESSAGE_ID_BYTES;
}

/** `undefined` for what is no content of a kind that this version knows; nothing that anybody sends makes it fail. */
export function readContent(bytes: Uint8Array, place: MessagePlace, sha256: Sha256): Shown | undefined {
  const message = decodeMimi(bytes);
  if (message === undefined) return readPlain(bytes);
  const messageId = toBase64Url(messageIdOf(bytes, message.salt, place, sha256));
  const { inReplyTo, replaces } = message;
  const { part } = message;
  if (part.kind === 'single' && part.contentType === STATUS_REPORT) {
    return { text: '', messageId, statuses: statusesIn(part.content) };
  }
  const text = textOf(part);
  return {
    text: text ?? '',
    messageId,
    ...(inReplyTo === undefined ? {} : { inReplyTo: toBase64Url(inReplyTo) }),
    ...(replaces === undefined ? {} : { replaces: toBase64Url(replaces) }),
    ...(text === undefined && replaces !== undefined ? { deleted: true } : {}),
    ...kindOf(message),
  };
}

function kindOf({ extensions }: MimiContent): Pick<Shown, 'as' | 'since'> {
  if (extensions.get(EXTENSION.action) === true) return { as: 'action' };
  const topic = extensions.get(EXTENSION.topic);
  if (topic === true) return { as: 'topic' };
  return typeof topic === 'number' && Number.isSafeInteger(topic) && topic > 0 ? { as: 'topic', since: topic } : {};
}

/** The statuses that this version knows; none of a report that cannot be read. */
function statusesIn(content: Uint8Array): readonly MessageStatus[] {
  let report: unknown;
  try {
    report = decodeCbor(content);
  } catch {
    return []; // a sender may call anything a report
  }
  if (!Array.isArray(report) || report.length > STATUSES_MAX) return [];
  return report.flatMap((each: unknown): MessageStatus[] => {
    const [id, status] = Array.isArray(each) ? (each as readonly unknown[]) : [];
    if (!(id instanceof Uint8Array) || id.length !== MESSAGE_ID_BYTES) return [];
    if (status === STATUS.read) return [{ id: toBase64Url(id), is: 'read' }];
    return status === STATUS.delivered ? [{ id: toBase64Url(id), is: 'delivered' }] : [];
  });
}

/** The text of a part: `undefined` when there is nothing in it at all. */
function textOf(part: NestedPart): string | undefined {
  switch (part.kind) {
    case 'null':
      return undefined;
    case 'single':
      return isText(part.contentType) ? (utf8(part.content) ?? UNSHOWABLE) : UNSHOWABLE;
    case 'external':
      return UNSHOWABLE;
    case 'multi':
      return textOfParts(part.semantics, part.parts.map(textOf));
  }
}

/** What can be shown of several parts (§4.5): one of them, all or none, or as many as possible. */
function textOfParts(
  semantics: (NestedPart & { kind: 'multi' })['semantics'],
  texts: readonly (string | undefined)[],
): string | undefined {
  const present = texts.filter((text) => text !== undefined);
  switch (semantics) {
    case 'chooseOne':
      return present.find((text) => text !== UNSHOWABLE) ?? present[0];
    case 'singleUnit':
      return present.includes(UNSHOWABLE) ? UNSHOWABLE : joined(present);
    case 'processAll':
      return joined(present);
  }
}

function joined(texts: readonly string[]): string | undefined {
  return texts.length === 0 ? undefined : texts.join('\n');
}

/** Plain text, and Markdown, which people read as it is written. */
function isText(contentType: string): boolean {
  if (contentType === PLAIN_TEXT) return true;
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  if (type.trim() !== 'text/plain' && type.trim() !== 'text/markdown') return false;
  const charset = parameters.map((each) => each.trim()).find((each) => each.startsWith('charset='));
  return charset === undefined || /^charset="?(utf-8|us-ascii)"?$/.test(charset);
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return STRICT_UTF8.decode(bytes);
  } catch {
    return undefined; // a sender may call anything text
  }
}

/** The content of messages before the MIMI format: `{v: 1, type: 'text', text}`. */
function readPlain(bytes: Uint8Array): Shown | undefined {
  let value: unknown;
  try {
    value = decodeCbor(bytes);
  } catch {
    return undefined;
  }
  const { v, type, text } = Object(value) as { readonly v?: unknown; readonly type?: unknown; readonly text?: unknown };
  return v === 1 && type === 'text' && typeof text === 'string' ? { text } : undefined;
}

function bytesOfId(id: string | undefined): Uint8Array | undefined {
  if (id === undefined) return undefined;
  const bytes = fromBase64Url(id);
  if (bytes?.length !== MESSAGE_ID_BYTES) throw new RangeError('not a message id');
  return bytes;
}
