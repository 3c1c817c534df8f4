import { decodeEntry, isGroupEntry } from '../../wire/entry.ts';
import type { DeviceId, Position } from '../../wire/ids.ts';
import type { Gap, Head } from '../../wire/page.ts';
import type { CursorSeal } from '../cursor-seal.ts';
import { ENTRY_FRAMED_OFFSET, ENTRY_HEAD_OFFSET, unframe } from '../fold/entry-row.ts';
import { entryKey, INBOX_KEY_ORDER_OFFSET, inboxKey, moveEntryKey } from '../fold/keys.ts';
import type { LogStart, Window } from '../fold/rows.ts';
import { AFTER_EVENT, type Order, readOrder } from '../order.ts';
import type { PageLimits, SyncResult } from '../read-model.ts';
import type { Tables } from '../store/tables.ts';
import { firstPositionAfter } from './locate.ts';
import { deviceNumber, logStartOf } from './lookup.ts';
import { createPageWriter } from './page-writer.ts';
import { createSourceHeap, type Source } from './source-heap.ts';

const INBOX_PIECE = 4;

/**
 * Everything a device may read after a cursor, in log order: its windows into groups and its inbox, merged. Pages of
 * any size, joined, give the same entries. What was compacted away is named as gaps, and read past.
 */
export function readSyncPage(
  tables: Tables,
  seal: CursorSeal,
  device: DeviceId,
  cursor: string,
  limits: PageLimits,
): SyncResult {
  const { incarnation, sequence } = tables.standing;
  const opened = seal.open(incarnation, cursor);
  if (opened.kind === 'invalid') return { kind: 'cursor-invalid', reason: opened.reason };
  if (opened.order.sequence > sequence) return { kind: 'cursor-invalid', reason: 'future' };

  const number = deviceNumber(tables, device);
  const groups: GroupSource[] = [];
  const gaps: Gap[] = [];
  const heap = createSourceHeap();
  if (number !== undefined) {
    openGroupSources(tables, number, opened.order, groups, gaps);
    for (const source of groups) heap.push(source);
    const inbox = inboxSource(tables, number, opened.order);
    if (inbox !== undefined) heap.push(inbox);
  }

  const page = createPageWriter(limits);
  const orders: Order[] = [];
  for (let source = heap.first(); source !== undefined; source = heap.first()) {
    const order = { sequence: source.sequence, index: source.index };
    if (!page.add(source.framed())) break;
    orders.push(order);
    heap.advanceFirst();
  }
  const upToDate = heap.first() === undefined;
  const end = upToDate ? { sequence, index: AFTER_EVENT } : orders.at(-1)!;
  return {
    kind: 'page',
    page: {
      framed: page.framed,
      cursors: seal.sealBlocks(incarnation, orders),
      cursor: seal.seal(incarnation, end),
      upToDate,
      heads: headsOf(tables, groups),
      ...(gaps.length === 0 ? {} : { gaps }),
    },
  };
}

interface GroupSource extends Source {
  readonly group: number;
  readonly first: number;
  /** Position of the entry that is next; what lies before it is in the page. */
  next: number;
}

function openGroupSources(tables: Tables, device: number, after: Order, into: GroupSource[], gaps: Gap[]): void {
  for (const [group, windows] of tables.deviceWindows(device)) {
    for (const window of windows) {
      if (isBehind(tables, group, window, after)) continue;
      const last = window.to ?? tables.head(group)!.position;
      const seen = isAfterOrder(window.openedSequence, window.openedIndex, after);
      const start = logStartOf(tables, group);
      const gap = start === undefined ? undefined : gapOf(tables, { group, window, last, after, seen, start });
      if (gap !== undefined) gaps.push(gap);
      const kept = Math.max(window.from, start?.position ?? 1);
      if (kept > last) continue;
      // behind a gap comes the first entry that is kept
      const from = gap !== undefined || seen ? kept : firstPositionAfter(tables, group, kept, last, after);
      into.push(groupSource(tables, group, from, last));
    }
  }
}

/**
 * What the window shows after the reader's place, and is not kept. How much of it the reader has read already nobody knows any
 * more, unless the window begins after its place: `from` is the earliest that can be missing.
 */
function gapOf(
  tables: Tables,
  at: {
    readonly group: number;
    readonly window: Window;
    readonly last: number;
    readonly after: Order;
    /** The reader's place is before the window. */
    readonly seen: boolean;
    readonly start: LogStart;
  },
): Gap | undefined {
  const { group, window, last, after, seen, start } = at;
  if (window.from >= start.position) return undefined;
  if (!seen && !isAfterOrder(start.sequence, start.index, after)) return undefined;
  const place = { group: tables.head(group)!.group, from: window.from as Position };
  if (last < start.position) return { ...place, to: last as Position };
  const entry = decodeEntry(unframe(tables.peekEntry(group, start.position).subarray(ENTRY_FRAMED_OFFSET)));
  const time = isGroupEntry(entry) ? entry.time : 0;
  const { head, epoch } = start;
  return { ...place, to: (start.position - 1) as Position, next: { head, epoch, time } };
}

/** Whether the reader has all that this window shows. In memory alone: it is asked for every group of every page. */
function isBehind(tables: Tables, group: number, window: Window, after: Order): boolean {
  if (window.to !== undefined) return !isAfterOrder(window.closedSequence!, window.closedIndex!, after);
  const head = tables.head(group)!;
  return !isAfterOrder(head.sequence, head.index, after);
}

function isAfterOrder(sequence: number, index: number, after: Order): boolean {
  return sequence > after.sequence || (sequence === after.sequence && index > after.index);
}

function groupSource(tables: Tables, group: number, from: number, last: number): GroupSource {
  const key = entryKey(group, from);
  let row = tables.peekEntryAt(key);
  const { sequence, index } = readOrder(row);
  /** Whether `row` is still this source's entry: another source's read goes over it. */
  let reads = tables.reads;
  const source: GroupSource = {
    group,
    first: from,
    next: from,
    sequence,
    index,
    framed() {
      if (tables.reads !== reads) row = tables.peekAgain(key)!;
      return row.subarray(ENTRY_FRAMED_OFFSET);
    },
    advance() {
      source.next += 1;
      if (source.next > last) return false;
      moveEntryKey(key, source.next);
      row = tables.peekEntryAt(key);
      reads = tables.reads;
      const order = readOrder(row);
      source.sequence = order.sequence;
      source.index = order.index;
      return true;
    },
  };
  return source;
}

/** Read in small pieces: a Welcome can be large. */
function inboxSource(tables: Tables, device: number, after: Order): Source | undefined {
  const end = inboxKey(device + 1, 0, 0);
  const piece = (sequence: number, index: number) =>
    tables.scan(
      index === AFTER_EVENT ? inboxKey(device, sequence + 1, 0) : inboxKey(device, sequence, index + 1),
      end,
      { limit: INBOX_PIECE },
    );
  let rows = piece(after.sequence, after.index);
  let at = 0;
  const source: Source = {
    sequence: 0,
    index: 0,
    framed: () => rows[at]!.value,
    advance() {
      at += 1;
      if (at === INBOX_PIECE) {
        rows = piece(source.sequence, source.index);
        at = 0;
      }
      return settle();
    },
  };
  const settle = (): boolean => {
    const row = rows[at];
    if (row === undefined) return false;
    const { sequence, index } = readOrder(row.key, INBOX_KEY_ORDER_OFFSET);
    source.sequence = sequence;
    source.index = index;
    return true;
  };
  return settle() ? source : undefined;
}

/** For each group with entries in the page, the head after its last one. */
function headsOf(tables: Tables, sources: readonly GroupSource[]): Head[] {
  const lastOf = new Map<number, number>();
  for (const { group, first, next } of sources) if (next > first) lastOf.set(group, next - 1);
  return [...lastOf].map(([group, position]) => {
    const row = tables.peekEntryAt(entryKey(group, position));
    return {
      group: tables.head(group)!.group,
      position: position as Head['position'],
      hash: row.slice(ENTRY_HEAD_OFFSET, ENTRY_FRAMED_OFFSET),
    };
  });
}
