import { nodeSha256 } from '../../mls/suite-node.ts';
import { parseRegistration } from '../../wire/account-statement.ts';
import { fromBase64Url, toUtf8 } from '../../wire/bytes.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import { cursorFromBlock } from '../../wire/cursor.ts';
import { type Cursor, deviceIdOf, groupIdOf, START_CURSOR } from '../../wire/ids.ts';
import type { HistoryLine } from '../chat-client.ts';
import type { Group, LineDraft, OutboxItem } from '../engine/types.ts';
import type { StoredIdentity } from '../runner/identity.ts';
import type { StoredKeyPackage } from '../runner/key-packages.ts';
import type { Write } from '../store/client-store.ts';
import { groupOfRecord, groupWrites } from '../store/group-rows.ts';
import { cursorWrite, lineWrites } from '../store/history-rows.ts';
import { keys, letterOf, ordinalOf, stateTables } from '../store/keys.ts';
import { messageWrite } from '../store/message-rows.ts';
import { decodeLine, lineValue } from '../store/older-rows.ts';
import { beginAnew, type GroupRemains } from './begin-anew.ts';
import type { FoundRows } from './found-rows.ts';
import { nameOf, type SoundRow } from './salvage.ts';

/** What became of a group. */
export interface RepairedGroup {
  readonly name: string;
  /** `kept`: as it was; `anew`: its keys are gone, and this device joins it again. */
  readonly fate: 'kept' | 'anew';
  /** Texts that waited: of these it is not known here whether they were sent. */
  readonly uncertain: readonly string[];
}

/** How many rows of a kind there are again; `lost` is `undefined` where that is not known. */
export interface RepairedRows {
  readonly recovered: number;
  readonly lost: number | undefined;
}

export interface Rebuilt {
  /** Every row of the new store. */
  readonly writes: readonly Write[];
  readonly groups: readonly RepairedGroup[];
  readonly lines: RepairedRows;
  readonly accounts: RepairedRows;
  readonly files: RepairedRows;
  readonly keyPackages: RepairedRows;
  /** The device reads the server's log from its beginning; what was shown is not shown again. */
  readonly isCursorLost: boolean;
}

/** Rows that never change once they are written, or of which an earlier form does no harm: these alone are taken from older pages. */
const LASTING = (
  ['identity', 'account', 'serverKey', 'line', 'groupLine', 'older', 'awaited', 'cursor', 'message'] as const
).map(letterOf);
/** What goes with a group's keys. */
const OF_A_MEMBERSHIP = [...stateTables(), letterOf('heads')];
/** What is made from what was found, rather than copied. */
const REMADE = (['device', 'line', 'groupLine', 'older', 'keyPackage'] as const).map(letterOf);

/**
 * Makes the rows of a new store from what was found of a damaged one; `undefined` without the keys of this device, or without what
 * proves them: there is no client without these.
 *
 * @param time milliseconds since 1970, of the lines that tell what happened
 */
export function rebuild(found: FoundRows, time: number): Rebuilt | undefined {
  const taken = new Map<string, SoundRow>();
  for (const row of found.rows) taken.set(nameOf(row.key), row);
  for (const row of found.older) {
    const letter = row.key[0] ?? 0;
    // a table of which nothing is missing has no use for what was in it once
    const isMissing = !found.isProven(letter) || found.wasDamaged(row.key);
    if (LASTING.includes(letter) && isMissing && !taken.has(nameOf(row.key))) taken.set(nameOf(row.key), row);
  }
  const all = [...taken.values()];
  const of = (name: Parameters<typeof letterOf>[0]): readonly SoundRow[] => {
    const letter = letterOf(name);
    return all.filter(({ key }) => key[0] === letter);
  };
  if (!hasIdentity(of('identity'), of('account'))) return undefined;

  const stored = of('line').map(({ key, value }) => ({ ordinal: ordinalOf(key), line: decodeLine(value) }));
  const takenOver = of('older').map(({ key, value }) => ({ key, line: decodeLine(value) }));
  const withoutTakenBack = takenBackIn([...stored, ...takenOver].map(({ line }) => line));
  const lines = stored
    .map(({ ordinal, line }): StoredLine => ({ ordinal, line: withoutTakenBack(line) }))
    .sort((a, b) => a.ordinal - b.ordinal);
  const { kept, anew } = sortGroups(found, of('outbox'), lines);
  const isCursorLost = !found.isProven(letterOf('device')) || of('device').length === 0;
  const isStateLost = anew.length > 0 || isCursorLost;
  const packages = of('keyPackage').filter(({ value }) => {
    // an invitation by a last resort can be read twice, and would lead back to keys that were used
    return (
      found.isProven(letterOf('keyPackage')) && !(isStateLost && (decodeCbor(value) as StoredKeyPackage).lastResort)
    );
  });
  const keptNames = new Set(kept.map(({ bytes }) => nameOf(keys.group(bytes)).slice(1)));
  const isCopied = ({ key }: SoundRow): boolean => {
    const letter = key[0] ?? 0;
    if (OF_A_MEMBERSHIP.includes(letter)) return keptNames.has(nameOf(key.subarray(1, 2 + (key[1] ?? 0))));
    return !REMADE.includes(letter);
  };
  const begun = anew.map((remains) => beginAnew(remains, time));
  const told = begun.flatMap(({ group, lines: drafts }) => drafts.map((draft) => ({ group, draft })));
  const device = of('device').map(({ value }) => decodeCbor(value) as DeviceRecord)[0];
  const last = Math.max(device?.lastLine ?? 0, lines.at(-1)?.ordinal ?? 0);
  return {
    writes: [
      ...all.filter(isCopied).map(({ key, value }): Write => ({ key, value })),
      ...packages.map(({ key, value }): Write => ({ key, value })),
      ...lines.flatMap(lineRows),
      ...takenOver.map(({ key, line }): Write => ({ key, value: lineValue(withoutTakenBack(line)) })),
      ...begun.flatMap(({ group }) => groupWrites(undefined, group)),
      ...told.flatMap(({ group, draft }, index) => lineRows(toldLine(group, draft, last + 1 + index))),
      deviceWrite(isCursorLost || device === undefined ? START_CURSOR : device.cursor, last + told.length),
    ],
    groups: [
      ...kept.map(({ name }): RepairedGroup => ({ name, fate: 'kept', uncertain: [] })),
      ...anew.map(({ name, outbox, isOutboxProven }): RepairedGroup => {
        const uncertain = outbox.filter((item) => !item.accepted && !(isOutboxProven && item.sealed === undefined));
        return { name, fate: 'anew', uncertain: uncertain.flatMap(({ text }) => (text === '' ? [] : [text])) };
      }),
    ],
    // they are numbered without gaps
    lines: { recovered: lines.length, lost: device === undefined ? undefined : Math.max(0, last - lines.length) },
    accounts: countOf(found, 'account', of('account').length),
    files: countOf(found, 'attachment', of('attachment').length),
    keyPackages: countOf(found, 'keyPackage', packages.length),
    isCursorLost,
  };
}

interface DeviceRecord {
  readonly v: 1;
  readonly cursor: Cursor;
  readonly lastLine: number;
}

function deviceWrite(cursor: Cursor, lastLine: number): Write {
  const record: DeviceRecord = { v: 1, cursor, lastLine };
  return { key: keys.device(), value: encodeCbor(record) };
}

/** Whether the keys of this device are there, and its account, from its first statement on. */
function hasIdentity(identities: readonly SoundRow[], accounts: readonly SoundRow[]): boolean {
  const [identity] = identities.map(({ value }) => decodeCbor(value) as StoredIdentity);
  if (identity === undefined) return false;
  const account = nameOf(keys.account(identity.account));
  if (accounts.some(({ key }) => nameOf(key) === account)) return true;
  // of the device that registered it the account can be made again from that alone
  const parsed = parseRegistration(identity.statement);
  return parsed.ok && deviceIdOf(parsed.statement.device.key, nodeSha256) === identity.device;
}

interface StoredLine {
  readonly ordinal: number;
  readonly line: HistoryLine;
}

/** Takes out of lines what these say was taken back: an older form of one may have it still. */
function takenBackIn(lines: readonly HistoryLine[]): (line: HistoryLine) => HistoryLine {
  const nameIn = ({ group }: HistoryLine, account: string, id: string): string => `${group} ${account} ${id}`;
  const gone = new Set(
    lines.flatMap((line) =>
      line.kind === 'message' && line.deleted === true && line.replaces !== undefined
        ? [nameIn(line, line.sender.account, line.replaces)]
        : [],
    ),
  );
  return (line) => {
    if (line.kind !== 'message' || line.deleted === true) return line;
    const isGone = (id: string | undefined): boolean =>
      id !== undefined && gone.has(nameIn(line, line.sender.account, id));
    if (isGone(line.replaces)) return { ...line, text: '' };
    if (!isGone(line.messageId)) return line;
    const { file: _file, ...rest } = line;
    return { ...rest, text: '', deleted: true };
  };
}

/** Groups that go on as they were, and those that cannot. */
function sortGroups(
  found: FoundRows,
  outboxes: readonly SoundRow[],
  lines: readonly StoredLine[],
): { readonly kept: readonly Group[]; readonly anew: readonly GroupRemains[] } {
  const letter = letterOf('group');
  const records = found.rows.filter(({ key }) => key[0] === letter).map(({ value }) => groupOfRecord(value));
  const shown = new Map<string, { name: string; position: number }>();
  for (const { line } of lines) {
    const position = Math.max(shown.get(line.group)?.position ?? 0, line.position ?? 0);
    shown.set(line.group, { name: line.groupName, position });
  }
  const textsOf = (bytes: Uint8Array): readonly OutboxItem[] => {
    const prefix = nameOf(keys.group(bytes)).slice(1);
    return outboxes
      .filter(({ key }) => nameOf(key).startsWith(prefix, 1))
      .map(({ value }) => decodeCbor(value) as OutboxItem)
      .sort((a, b) => a.ordinal - b.ordinal);
  };
  const remainsOf = (bytes: Uint8Array, name: string, position: number): GroupRemains => {
    const id = groupIdOf(bytes);
    return {
      ...{ id, bytes, name, position: Math.max(position, shown.get(id)?.position ?? 0) },
      ...{ outbox: textsOf(bytes), isOutboxProven: found.isProven(letterOf('outbox')) },
    };
  };
  const anew = new Map<string, GroupRemains>();
  const isLost = (bytes: Uint8Array): boolean => !found.isProven(letter) || found.wasDamaged(keys.group(bytes));
  const add = (remains: GroupRemains): unknown => anew.has(remains.id) || anew.set(remains.id, remains);
  const known = new Set<string>(records.map(({ id }) => id));
  for (const record of records) {
    if (!found.isGroupProven(record.bytes)) {
      add({ ...remainsOf(record.bytes, record.name, record.position), record });
    }
  }
  for (const { key, value } of found.older) {
    const older = key[0] === letter ? groupOfRecord(value) : undefined;
    if (older !== undefined && !known.has(older.id) && isLost(older.bytes)) {
      add(remainsOf(older.bytes, older.name, older.position));
    }
  }
  for (const [id, { name }] of shown) {
    const bytes = fromBase64Url(id);
    if (bytes !== undefined && !known.has(id) && isLost(bytes)) add(remainsOf(bytes, name, 0));
  }
  return { kept: records.filter(({ bytes }) => found.isGroupProven(bytes)), anew: [...anew.values()] };
}

/** The rows of a line, and those by which it is found. */
function lineRows({ ordinal, line }: StoredLine): readonly Write[] {
  const group = fromBase64Url(line.group);
  if (group === undefined) return [];
  return [
    ...lineWrites(line, group, ordinal),
    ...(line.cursor === undefined ? [] : [cursorWrite(line.cursor, ordinal)]),
    ...(line.kind === 'message' && line.messageId !== undefined ? [messageWrite(group, line.messageId, ordinal)] : []),
  ];
}

/** A line that no entry brought, with a cursor that nothing else has. */
function toldLine({ id, name }: Group, draft: LineDraft, ordinal: number): StoredLine {
  const cursor = cursorFromBlock(nodeSha256(toUtf8(`repair ${draft.time} ${ordinal}`)));
  return { ordinal, line: { ...draft, group: id, groupName: name, cursor } };
}

function countOf(found: FoundRows, name: Parameters<typeof letterOf>[0], recovered: number): RepairedRows {
  const expected = found.expected(letterOf(name));
  return { recovered, lost: expected === undefined ? undefined : Math.max(0, expected - recovered) };
}
