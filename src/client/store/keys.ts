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
  upload: 'u',
  attachment: 'f',
  keyPackage: 'k',
  account: 'a',
  line: 'l',
  groupLine: 'h',
  cursor: 'c',
  heads: 'H',
  receipt: 't',
  message: 'm',
  serverKey: 's',
  verified: 'v',
  receiptsOn: 'x',
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
  upload: 'group',
  attachment: 'group',
  message: 'group',
  keyPackage: 'rest',
  account: 'rest',
  line: 'nothing',
  groupLine: 'group',
  cursor: 'rest',
  heads: 'group',
  receipt: 'group',
  serverKey: 'nothing',
  verified: 'rest',
  receiptsOn: 'nothing',
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
  /** The encrypted bytes of a file that waits for its upload. */
  upload: (group: Uint8Array, localId: string) => table('upload', groupPart(group), toUtf8(localId)),
  /** What opens the file that the entry at this position brought. */
  attachment: (group: Uint8Array, position: number) => table('attachment', groupPart(group), number(position)),
  keyPackage: (ref: Uint8Array) => table('keyPackage', ref),
  account: (account: AccountId) => table('account', toUtf8(account)),
  line: (ordinal: number) => table('line', number(ordinal)),
  groupLine: (group: Uint8Array, ordinal: number) => table('groupLine', groupPart(group), number(ordinal)),
  /** Some neighbouring heads of a group's chain, the `row`th of them. */
  heads: (group: Uint8Array, row: number) => table('heads', groupPart(group), number(row)),
  receipt: (group: Uint8Array, slot: number) => table('receipt', groupPart(group), number(slot)),
  /** By message id. */
  message: (group: Uint8Array, messageId: string) => table('message', groupPart(group), toUtf8(messageId)),
  serverKey: () => table('serverKey'),
  receiptsOn: () => table('receiptsOn'),
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

/** The number that ends a key of `line`, `groupLine` or `outbox`. */
export function ordinalOf(key: Uint8Array): number {
  return readNumber(key, key.length - 8);
}

const NAMES_BY_LETTER = new Map(
  Object.entries(TABLES).map(([name, letter]) => [letter.charCodeAt(0), NAMES[name as Table]]),
);

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
