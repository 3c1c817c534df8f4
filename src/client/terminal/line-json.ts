import type { HistoryLine, Person } from '../chat-client.ts';

/** Controls and turns of the reading direction that JSON leaves as they are: DEL, C1 (some terminals obey them), bidi marks. */
const HARMFUL = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * One line of history as one JSON object without a line break, for `--json`. Stable and additive: a script ignores fields
 * and kinds it doesn't know. Text is as it was sent, not neutralised, but nothing in it reaches a terminal unescaped.
 *
 * @example {"cursor":"c…","time":"2026-11-22T09:30:00.000Z","group":"tea","groupId":"…","position":7,"kind":"message",
 *   "id":"…","sender":{"name":"bob","account":"…","device":"…"},"own":false,"text":"hi"}
 */
export function lineToJson(line: HistoryLine): string {
  const { cursor, time, groupName, group, position, kind } = line;
  const head = { cursor, time: new Date(time).toISOString(), group: groupName, groupId: group, position, kind };
  return JSON.stringify({ ...head, ...contentOf(line) }).replace(
    HARMFUL,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function contentOf(line: HistoryLine): Record<string, unknown> {
  switch (line.kind) {
    case 'message':
      return {
        id: line.id,
        sender: personOf(line.sender),
        own: line.own,
        text: line.text,
        ...marksOf(line),
        ...fileOf(line),
      };
    case 'membership':
      return {
        by: personOf(line.by),
        added: line.added.map(personOf),
        removed: line.removed.map(personOf),
        ...(line.left === undefined ? {} : { left: line.left.map(personOf) }),
        ...(line.devices === undefined ? {} : { devices: line.devices.map(personOf) }),
        rotated: line.rotated,
        ...(line.appointed === undefined
          ? {}
          : { appointed: line.appointed.map(({ name, account }) => ({ name, account })) }),
        ...(line.dismissed === undefined
          ? {}
          : { dismissed: line.dismissed.map(({ name, account }) => ({ name, account })) }),
        ...(line.invite === undefined ? {} : { invite: line.invite }),
        ...(line.join === undefined ? {} : { join: line.join }),
        epoch: line.epoch,
      };
    case 'account':
      return { by: personOf(line.by), change: line.change, what: line.what };
    case 'joined':
      return { by: personOf(line.by), epoch: line.epoch, ...marked(line) };
    case 'created':
      return { by: personOf(line.by), ...marked(line) };
    case 'topic':
      return { by: personOf(line.by), text: line.text };
    case 'removed-me':
      return { by: personOf(line.by) };
    case 'warning':
      return { text: line.text };
    default:
      return line satisfies never;
  }
}

/** Message ids, and what became of the message. */
function marksOf(line: Extract<HistoryLine, { kind: 'message' }>): Record<string, unknown> {
  const { messageId, inReplyTo, replaces, deleted, edited, action } = line;
  // members without a value are left out by JSON
  return { messageId, inReplyTo, replaces, deleted, edited, action };
}

/** `save`: what `/save` calls it. */
function fileOf({ file, position }: Extract<HistoryLine, { kind: 'message' }>): Record<string, unknown> {
  if (file === undefined) return {};
  const { name, mediaType, size, expires } = file;
  const until = expires === 0 ? {} : { expires: new Date(expires).toISOString() };
  return { file: { name, mediaType, size, ...until, save: position } };
}

function marked({ handshakes }: { readonly handshakes?: 'private' }): { readonly handshakes?: 'private' } {
  return handshakes === undefined ? {} : { handshakes };
}

/** Only the fields that are promised, in a fixed order. */
function personOf({ name, account, device }: Person): Person {
  return { name, account, device };
}
