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
  keyPackage: 'k',
  account: 'a',
  line: 'l',
  groupLine: 'h',
  cursor: 'c',
  heads: 'H',
  receipt: 't',
  serverKey: 's',
} as const;
type Table = keyof typeof TABLES;

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
  keyPackage: (ref: Uint8Array) => table('keyPackage', ref),
  account: (account: AccountId) => table('account', toUtf8(account)),
  line: (ordinal: number) => table('line', number(ordinal)),
  groupLine: (group: Uint8Array, ordinal: number) => table('groupLine', groupPart(group), number(ordinal)),
  /** Some neighbouring heads of a group's chain, the `row`th of them. */
  heads: (group: Uint8Array, row: number) => table('heads', groupPart(group), number(row)),
  receipt: (group: Uint8Array, slot: number) => table('receipt', groupPart(group), number(slot)),
  serverKey: () => table('serverKey'),
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
function after(prefix: Uint8Array): Uint8Array {
  for (let end = prefix.length; end > 0; end -= 1) {
    const last = prefix[end - 1]!;
    if (last === 0xff) continue;
    const next = prefix.slice(0, end);
    next[end - 1] = last + 1;
    return next;
  }
  throw new RangeError('there is no key after this prefix');
}
