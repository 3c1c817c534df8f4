import { equalBytes, toBase64Url } from '../wire/bytes.ts';
import { describeKey, describeValues, type GroupNames } from './describe-row.ts';
import type { StoredRow, TablesFile } from './store/tables-file.ts';

/** The first row, in the order of the tables, that is not in both or not the same in both. */
export interface RowDifference {
  /** Which row, in words. */
  readonly row: string;
  /** What is wrong with it, in words. */
  readonly detail: string;
}

export type Comparison =
  | { readonly kind: 'equal'; readonly rows: number }
  | { readonly kind: 'different'; readonly difference: RowDifference };

const SLICE_ROWS = 2_000;

/**
 * Compares stored tables with those that were folded from the log, row by row. Neither may be written to meanwhile.
 *
 * @throws the signal's reason
 */
export async function compareTables(
  fromLog: TablesFile,
  stored: TablesFile,
  options: { readonly signal?: AbortSignal; readonly onProgress?: (rows: number) => void } = {},
): Promise<Comparison> {
  const names = groupNames(fromLog, stored);
  const left = createWalk(fromLog);
  const right = createWalk(stored);
  let rows = 0;
  for (;;) {
    const difference = differenceOf(left.row(), right.row(), names);
    if (difference === 'end') return { kind: 'equal', rows };
    if (difference !== undefined) return { kind: 'different', difference };
    left.next();
    right.next();
    rows += 1;
    if (rows % SLICE_ROWS > 0) continue;
    options.onProgress?.(rows);
    await new Promise((resolve) => setImmediate(resolve));
    options.signal?.throwIfAborted();
  }
}

function differenceOf(
  fromLog: StoredRow | undefined,
  stored: StoredRow | undefined,
  names: GroupNames,
): RowDifference | 'end' | undefined {
  if (fromLog === undefined && stored === undefined) return 'end';
  const order = compareKeys(fromLog?.key, stored?.key);
  if (order < 0) return { row: describeKey(fromLog!.key, names), detail: 'missing in the tables' };
  if (order > 0) return { row: describeKey(stored!.key, names), detail: 'in the tables, but not from the log' };
  const { key, value } = fromLog!;
  const damage = stored!.isIntact ? '' : 'damaged, its checksum does not fit';
  if (equalBytes(value, stored!.value)) {
    return stored!.isIntact ? undefined : { row: describeKey(key, names), detail: damage };
  }
  const detail = describeValues(key, value, stored!.value);
  return { row: describeKey(key, names), detail: damage === '' ? detail : `${damage}: ${detail}` };
}

/** As LMDB orders them; no key stands behind every key. */
function compareKeys(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return Buffer.compare(a, b);
}

function createWalk(file: TablesFile) {
  let slice: readonly StoredRow[] = file.rows(undefined, SLICE_ROWS);
  let at = 0;
  return {
    row: (): StoredRow | undefined => slice[at],
    next(): void {
      at += 1;
      if (at < slice.length || slice.length === 0) return;
      slice = file.rows(slice.at(-1)!.key, SLICE_ROWS);
      at = 0;
    },
  };
}

function groupNames(...files: readonly TablesFile[]): GroupNames {
  const known = new Map<number, string>();
  for (const file of files) {
    for (const { number, group } of file.standing().heads) {
      if (!known.has(number)) known.set(number, toBase64Url(group));
    }
  }
  return (group) => known.get(group) ?? `number ${group}`;
}
