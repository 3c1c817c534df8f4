import { decodeGroupContext, encodeGroupContext } from 'ts-mls/groupContext.js';
import type { HistoryLine } from '../../src/client/chat-client.ts';
import { encodeStatuses, readContent } from '../../src/client/content/content.ts';
import { SALT_BYTES } from '../../src/client/content/mimi-content.ts';
import type { Write } from '../../src/client/store/client-store.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { fromUtf8, toHex, toUtf8 } from '../../src/wire/bytes.ts';
import { decodeCbor, encodeCbor } from '../../src/wire/cbor.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { followsGap, tellsGap } from './missed.ts';
import type { Mark } from './receipt-truth.ts';
import type { Mutations } from './world.ts';

type MessageLine = HistoryLine & { readonly kind: 'message' };

/** First bytes of keys. */
const RATCHET_TABLE = 'r'.charCodeAt(0);
const EPOCH_TABLE = 'e'.charCodeAt(0);
const GROUP_TABLE = 'g'.charCodeAt(0);
const OUTBOX_TABLE = 'o'.charCodeAt(0);
const LINE_TABLE = 'l'.charCodeAt(0);
const TAKEN_OUT = ', and this device was taken out of the group in the meantime.';
/** A name that an account may have, and that none of a history without accounts has. */
const STRANGER = 'zoe';

/** What a client that lies, in the ways of a history's mutations, writes instead of what it should. */
export function asLiarsWrite(mutations: Mutations): (writes: readonly Write[]) => readonly Write[] {
  const lastSaid = new Map<GroupId, string>();
  const lies: ((line: HistoryLine) => HistoryLine | undefined)[] = [];
  if (mutations.accountsNotShown === true) lies.push((line) => (line.kind === 'account' ? undefined : line));
  if (mutations.gapsNotTold === true) lies.push((line) => (tellsGap(line) ? undefined : line));
  if (mutations.gapsOvertold === true) lies.push(withMoreMissed);
  if (mutations.endsOvertold === true) lies.push(withEnd);
  if (mutations.changesMisnamed === true) lies.push(withStranger);
  if (mutations.leavesInWord === true) lies.push(asLeave);
  if (mutations.sentDenied === true) lies.push((line) => denial(line, lastSaid));

  const written = new Map<string, { readonly key: Uint8Array; readonly line: MessageLine }>();
  /** The same change, of the message before. */
  const alsoTo = ({ group, text }: MessageLine, row: string): readonly Write[] => {
    const others = [...written].filter(([at, { line }]) => at !== row && line.group === group && !line.replaces);
    return others.slice(-1).map(([, { key, line }]) => {
      return { key, value: toUtf8(JSON.stringify({ ...line, text, edited: true })) };
    });
  };
  /** Of a line that is there already. */
  const again = (write: Write, line: HistoryLine): readonly Write[] => {
    const row = toHex(write.key);
    const before = written.get(row);
    const isMessage = line.kind === 'message';
    if (isMessage && before === undefined) written.set(row, { key: write.key.slice(), line });
    if (!isMessage || before === undefined) return [write];
    if (mutations.changesNotStored === true) return [];
    if (mutations.changesSpread === true) return [write, ...alsoTo(line, row)];
    if (mutations.takenBackKept !== true || line.deleted !== true) return [write];
    return [{ ...write, value: toUtf8(JSON.stringify({ ...line, text: before.line.text })) }];
  };
  const lied = (write: Write): readonly Write[] => {
    if (mutations.ratchetsNotStored === true && write.key[0] === RATCHET_TABLE) return [];
    if (mutations.epochsInvented === true && write.key[0] === EPOCH_TABLE) return [withNextEpoch(write)];
    if (mutations.readInWord === true && write.key[0] === OUTBOX_TABLE) return [withAllRead(write)];
    if (mutations.marksOverkept === true && write.key[0] === GROUP_TABLE) return [withMoreMarks(write)];
    const told = lineIn(write);
    if (told !== undefined && lies.length === 0) return again(write, told);
    if (told === undefined) return [write];
    const line = lies.reduce<HistoryLine | undefined>((one, lie) => one && lie(one), told);
    return line === undefined ? [] : [{ ...write, value: toUtf8(JSON.stringify(line)) }];
  };
  return (writes) => writes.flatMap(lied);
}

function lineIn({ key, value }: Write): HistoryLine | undefined {
  if (key[0] !== LINE_TABLE || value === undefined) return undefined;
  return JSON.parse(fromUtf8(value) ?? '') as HistoryLine;
}

function withMoreMissed(line: HistoryLine): HistoryLine {
  if (line.kind !== 'warning' || !tellsGap(line)) return line;
  return { ...line, text: line.text.replace(/: [\d,]+ entr/, ': 999 entr') };
}

/** Nothing but texts is gone, and that is told as the end. */
function withEnd(line: HistoryLine): HistoryLine {
  if (line.kind !== 'warning' || !tellsGap(line) || line.position !== undefined) return line;
  return { ...line, text: line.text.replace(/(no longer on the server)\.$/, `$1${TAKEN_OUT}`) };
}

function withStranger(line: HistoryLine): HistoryLine {
  if (line.kind !== 'warning' || !followsGap(line)) return line;
  return { ...line, text: line.text.replace(/(added|removed) [^,;.]+/, `$1 ${STRANGER}`) };
}

function asLeave(line: HistoryLine): HistoryLine {
  if (line.kind !== 'membership' || !line.rotated) return line;
  const { by, group, groupName, time, position, cursor } = line;
  return { kind: 'removed-me', by, group, groupName, time, ...placed(position, cursor) };
}

/** Whoever is taken out says of what it sent last that it did not. */
function denial(line: HistoryLine, lastSaid: Map<GroupId, string>): HistoryLine {
  const { group, groupName, time, cursor } = line;
  if (line.kind === 'message' && line.own) lastSaid.set(group, line.text);
  const said = lastSaid.get(group);
  if (line.kind !== 'removed-me' || said === undefined) return line;
  const text = `Not sent (this device was taken out of the group): ${said}`;
  return { kind: 'warning', text, group, groupName, time, ...placed(undefined, cursor) };
}

function placed(position: HistoryLine['position'], cursor: HistoryLine['cursor']) {
  return { ...(position === undefined ? {} : { position }), ...(cursor === undefined ? {} : { cursor }) };
}

/** As if the group were one epoch further than it is. */
function withNextEpoch(write: Write): Write {
  if (write.value === undefined) return write;
  const record = decodeCbor(write.value) as { context: Uint8Array };
  const [context] = decodeGroupContext(record.context, 0)!;
  const next = encodeGroupContext({ ...context, epoch: context.epoch + 1n });
  return { ...write, value: encodeCbor({ ...record, context: next }) };
}

/** A receipt that says of all messages that they were read. */
function withAllRead(write: Write): Write {
  if (write.value === undefined) return write;
  const item = decodeCbor(write.value) as { readonly content?: Uint8Array };
  const shown = item.content && readContent(item.content, { senderUri: '', roomUri: '' }, nodeSha256);
  if (shown?.statuses === undefined) return write;
  const read = shown.statuses.map(({ id }) => ({ id, is: 'read' as const }));
  return { ...write, value: encodeCbor({ ...item, content: encodeStatuses(read, new Uint8Array(SALT_BYTES)) }) };
}

function withMoreMarks(write: Write): Write {
  const record = write.value === undefined ? {} : (decodeCbor(write.value) as { marks?: { by: readonly Mark[] } });
  const { marks } = record;
  if (marks === undefined) return write;
  const by = marks.by.map((mark) => ({ ...mark, read: mark.delivered }));
  return { ...write, value: encodeCbor({ ...record, marks: { ...marks, by } }) };
}
