import { concatBytes, toUtf8 } from '../../wire/bytes.ts';
import type { AccountId, Cursor } from '../../wire/ids.ts';

/**
 * The rows of the client's store. The first byte of a key names the table; a group id stands with its length before
 * it, numbers as eight bytes, so that the order of keys is the order of what they number.
 */
const TABLES = {
  identity: 'i',
  device: 'd',
  group: 'g',
  epochRecord: 'e',
  ratchet: 'r',
  ratchets: 'R',
  generation: 'n',
  pending: 'p',
  outbox: 'o',
  givenUp: 'O',
  upload: 'u',
  attachment: 'f',
  keyPackage: 'k',
  account: 'a',
  line: 'l',
  groupLine: 'h',
  older: 'L',
  awaited: 'w',
  cursor: 'c',
  heads: 'H',
  receipt: 't',
  message: 'm',
  serverKey: 's',
  verified: 'v',
  receiptsOn: 'x',
  recoveryCode: 'y',
} as const;
type Table = keyof typeof TABLES;

/**
 * What the keys of a table name: a group (with its length before it, then numbers), something that fills the rest of the
 * key, or nothing but numbers. An encrypted store hides it.
 */
const NAMES: Readonly<Record<Table, 'group' | 'rest' | 'nothing'>> = {
  identity: 'nothing',
  device: 'nothing',
  group: 'group',
  epochRecord: 'group',
  ratchet: 'group',
  ratchets: 'group',
  generation: 'group',
  pending: 'group',
  outbox: 'group',
  givenUp: 'group',
  upload: 'group',
  attachment: 'group',
  message: 'group',
  keyPackage: 'rest',
  account: 'rest',
  line: 'nothing',
  groupLine: 'group',
  older: 'group',
  awaited: 'group',
  cursor: 'rest',
  heads: 'group',
  receipt: 'group',
  serverKey: 'nothing',
  verified: 'rest',
  receiptsOn: 'nothing',
  recoveryCode: 'nothing',
};

export const keys = {
  identity: () => table('identity'),
  device: () => table('device'),
  group: (group: Uint8Array) => table('group', groupPart(group)),
  epochRecord: (group: Uint8Array) => table('epochRecord', groupPart(group)),
  ratchet: (group: Uint8Array, epoch: number, leaf: number) =>
    table('ratchet', groupPart(group), number(epoch), number(leaf)),
  /** All ratchets of an epoch as it began; rows of {@link keys.ratchet} are newer. */
  ratchets: (group: Uint8Array, epoch: number) => table('ratchets', groupPart(group), number(epoch)),
  generation: (group: Uint8Array, epoch: number, leaf: number) =>
    table('generation', groupPart(group), number(epoch), number(leaf)),
  pending: (group: Uint8Array) => table('pending', groupPart(group)),
  outbox: (group: Uint8Array, ordinal: number) => table('outbox', groupPart(group), number(ordinal)),
  givenUp: (group: Uint8Array, localId: string) => table('givenUp', groupPart(group), toUtf8(localId)),
  /** The encrypted bytes of a file that waits for its upload. */
  upload: (group: Uint8Array, localId: string) => table('upload', groupPart(group), toUtf8(localId)),
  /** What opens the file that the entry at this position brought. */
  attachment: (group: Uint8Array, position: number) => table('attachment', groupPart(group), number(position)),
  keyPackage: (ref: Uint8Array) => table('keyPackage', ref),
  account: (account: AccountId) => table('account', toUtf8(account)),
  line: (ordinal: number) => table('line', number(ordinal)),
  groupLine: (group: Uint8Array, ordinal: number) => table('groupLine', groupPart(group), number(ordinal)),
  /** A line from before this device joined, taken over from another device: by its position. */
  older: (group: Uint8Array, position: number) => table('older', groupPart(group), number(position)),
  /** The changes that came of a message which is not here, by its id. */
  awaited: (group: Uint8Array, messageId: string) => table('awaited', groupPart(group), toUtf8(messageId)),
  /** Some neighbouring heads of a group's chain, the `row`th of them. */
  heads: (group: Uint8Array, row: number) => table('heads', groupPart(group), number(row)),
  receipt: (group: Uint8Array, slot: number) => table('receipt', groupPart(group), number(slot)),
  /** By message id. */
  message: (group: Uint8Array, messageId: string) => table('message', groupPart(group), toUtf8(messageId)),
  serverKey: () => table('serverKey'),
  receiptsOn: () => table('receiptsOn'),
  recoveryCode: () => table('recoveryCode'),
  verified: (account: AccountId) => table('verified', toUtf8(account)),
  cursor: (cursor: Cursor) => table('cursor', toUtf8(cursor)),
};

/** All rows of a table, of one group where the table has groups. */
export function rangeOf(name: Table, group?: Uint8Array): { readonly from: Uint8Array; readonly to: Uint8Array } {
  const from = group === undefined ? table(name) : table(name, groupPart(group));
  return { from, to: after(from) };
}

/** The two numbers that end a key of `ratchet` or `generation`. */
export function epochAndLeafOf(key: Uint8Array): { readonly epoch: number; readonly leaf: number } {
  return { epoch: readNumber(key, key.length - 16), leaf: readNumber(key, key.length - 8) };
}

/** The number that ends a key of `line`, `groupLine`, `older` or `outbox`. */
export function ordinalOf(key: Uint8Array): number {
  return readNumber(key, key.length - 8);
}

const NAMES_BY_LETTER = new Map(
  Object.entries(TABLES).map(([name, letter]) => [letter.charCodeAt(0), NAMES[name as Table]]),
);

/** What people call the rows of a table. */
const KINDS: Readonly<Record<Table, string>> = {
  identity: 'the identity of this device',
  device: 'how far this device has read',
  group: 'the record of a group',
  epochRecord: 'the keys of a group',
  ratchet: 'the keys of a group',
  ratchets: 'the keys of a group',
  generation: 'the keys of a group',
  pending: 'a pending commit',
  outbox: 'an unsent message',
  givenUp: 'a message that was not sent',
  upload: 'an unsent file',
  attachment: 'the key of a file',
  keyPackage: 'a key package',
  account: 'an account',
  line: 'a line of the history',
  groupLine: 'the order of the history',
  older: 'a line of the history',
  awaited: 'a change of a message that is not here',
  cursor: 'a place in the history',
  heads: 'the heads of a group',
  receipt: 'a receipt of the server',
  message: 'the id of a message',
  serverKey: 'the key of the server',
  verified: 'the mark of a verified person',
  receiptsOn: 'the setting of receipts',
  recoveryCode: 'the recovery code',
};
const KINDS_BY_LETTER = new Map(
  Object.entries(TABLES).map(([name, letter]) => [letter.charCodeAt(0), KINDS[name as Table]]),
);

/** What a row is whose key begins with this byte, for people. */
export function kindOf(letter: number): string {
  return KINDS_BY_LETTER.get(letter) ?? 'a row of no known kind';
}

/** First bytes of the rows that make up what a group's keys and unsent messages are now: older ones must never be used. */
const STATE_LETTERS = (
  ['group', 'epochRecord', 'ratchet', 'ratchets', 'generation', 'pending', 'outbox', 'upload'] as const
).map((name) => TABLES[name].charCodeAt(0));

export function stateTables(): readonly number[] {
  return STATE_LETTERS;
}

/** Of the history each row stands for itself, and a message brings several of them: adding them up would cost too much. */
const NOT_SUMMED = new Set(
  (['line', 'groupLine', 'older', 'awaited', 'cursor', 'message', 'heads', 'receipt'] as const).map((name) =>
    TABLES[name].charCodeAt(0),
  ),
);

/** Whether the rows of a table are compared with the sum of their checksums. */
export function isSummed(letter: number): boolean {
  return !NOT_SUMMED.has(letter);
}

/** The first byte of a table's keys. */
export function letterOf(name: Table): number {
  return TABLES[name].charCodeAt(0);
}

/** What keys that begin with this byte name. */
export function namesIn(letter: number): 'group' | 'rest' | 'nothing' {
  return NAMES_BY_LETTER.get(letter) ?? 'nothing';
}

/** Up to where, from its second byte on, a key names a group, an account or the like; `undefined`: it names nothing. */
export function namedUpTo(key: Uint8Array): number | undefined {
  const [letter, length] = key;
  if (letter === undefined || length === undefined) return undefined;
  const names = namesIn(letter);
  if (names === 'rest') return key.length;
  return names === 'group' && key.length >= 2 + length ? 2 + length : undefined;
}

/** The key of the record of the group that a key names; `undefined` where it names none. */
export function groupKeyOf(key: Uint8Array): Uint8Array | undefined {
  const end = namesIn(key[0] ?? 0) === 'group' ? namedUpTo(key) : undefined;
  return end === undefined ? undefined : table('group', key.subarray(1, end));
}

const PREFIXES = Object.fromEntries(Object.entries(TABLES).map(([name, letter]) => [name, toUtf8(letter)])) as Readonly<
  Record<Table, Uint8Array>
>;

function table(name: Table, ...parts: readonly Uint8Array[]): Uint8Array {
  return concatBytes(PREFIXES[name], ...parts);
}

function groupPart(group: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(group.length), group);
}

function number(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(value / 0x1_0000_0000));
  view.setUint32(4, value % 0x1_0000_0000);
  return bytes;
}

function readNumber(bytes: Uint8Array, offset: number): number {
  let value = 0;
  for (let i = offset; i < offset + 8; i += 1) value = value * 256 + bytes[i]!;
  return value;
}

/** The smallest key greater than every key with this prefix. */
export function after(prefix: Uint8Array): Uint8Array {
  for (let end = prefix.length; end > 0; end -= 1) {
    const last = prefix[end - 1]!;
    if (last === 0xff) continue;
    const next = prefix.slice(0, end);
    next[end - 1] = last + 1;
    return next;
  }
  throw new RangeError('there is no key after this prefix');
}
