import { fromUtf8 } from '../../wire/bytes.ts';
import { decodeCbor } from '../../wire/cbor.ts';
import { keys, letterOf, namesIn, stateTables } from '../store/keys.ts';
import { decodeLine } from '../store/older-rows.ts';
import { createRowSeal, PSEUDONYM_BYTES, type RowSeal } from '../store/sealed-store.ts';
import { nameOf, type Salvage, type SoundRow } from './salvage.ts';

/** What a damaged store holds, decrypted where it was encrypted. */
export interface FoundRows {
  /** Of the newest state. */
  readonly rows: readonly SoundRow[];
  /** Of earlier ones, with keys that the newest has not. */
  readonly older: readonly SoundRow[];
  /** Whether all rows of a table are there as they were written last, but for those that are known to be damaged. */
  isProven(letter: number): boolean;
  /** How many rows a table should have, as far as that is known. */
  expected(letter: number): number | undefined;
  /** Whether this row was there, and is not what was written. */
  wasDamaged(key: Uint8Array): boolean;
  /** Whether everything that a group's keys depend on is there as it was written last. */
  isGroupProven(group: Uint8Array): boolean;
}

/** Decrypts what was found. Rows that say nothing are left out. */
export function openFound(found: Salvage, dataKey: Uint8Array | undefined): FoundRows {
  const seal = dataKey === undefined ? undefined : createRowSeal(dataKey);
  const open = (rows: Salvage['rows']): readonly SoundRow[] =>
    [...rows.values()].flatMap((row) => openRow(row, seal) ?? []).filter((row) => !found.isUnsummed || isReadable(row));
  const hide = (key: Uint8Array): Uint8Array => seal?.hide(key) ?? key;
  /** The part of a stored key that names its group. */
  const groupIn = (key: Uint8Array): string | undefined => {
    if (namesIn(key[0] ?? 0) !== 'group') return undefined;
    return nameOf(key.subarray(1, seal === undefined ? 2 + (key[1] ?? 0) : 1 + PSEUDONYM_BYTES));
  };
  const rows = open(found.rows);
  // a row with a checksum that fits, and which yet cannot be opened: changed on purpose, or of another key
  const isForeign = !found.isUnsummed && rows.length !== found.rows.size;
  const isProven = (letter: number): boolean => !isForeign && found.isProven(letter);
  const known = new Set([...found.rows.values()].map(({ key }) => groupIn(key)));
  const concerned = new Set(found.damaged.filter(([letter]) => stateTables().includes(letter ?? 0)).map(groupIn));
  // a key may be what is damaged of its row: of a group that is not known it can be anybody's
  const isClear = stateTables().every(isProven) && [...concerned].every((group) => known.has(group));
  const damaged = new Set(found.damaged.map(nameOf));
  return {
    rows,
    older: open(found.older),
    isProven,
    expected: found.expected,
    wasDamaged: (key) => damaged.has(nameOf(hide(key))),
    isGroupProven: (group) => isClear && !concerned.has(groupIn(hide(keys.group(group)))),
  };
}

function openRow(row: SoundRow, seal: RowSeal | undefined): SoundRow | undefined {
  if (seal === undefined) return row;
  try {
    const [key, value] = seal.open(row.key, row.value);
    return { key, value };
  } catch {
    return undefined; // it was not sealed by this key: it says nothing
  }
}

const LINES = (['line', 'older'] as const).map(letterOf);
const TEXTS = (['cursor', 'message', 'awaited', 'recoveryCode'] as const).map(letterOf);
const OPAQUE = (['epochRecord', 'ratchet', 'ratchets', 'upload', 'groupLine'] as const).map(letterOf);

/** Whether a row can be decoded at all: in a store from before there were checksums nothing else speaks for it. */
function isReadable({ key, value }: SoundRow): boolean {
  const letter = key[0] ?? 0;
  if (OPAQUE.includes(letter)) return true;
  try {
    if (TEXTS.includes(letter)) return fromUtf8(value) !== undefined;
    if (LINES.includes(letter)) decodeLine(value);
    else decodeCbor(value);
    return true;
  } catch {
    return false;
  }
}
