import { sha256 } from '@noble/hashes/sha2.js';
import { zeroConsumed } from '../../mls/session/state.ts';
import { toUtf8 } from '../../wire/bytes.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import { cursorFromBlock } from '../../wire/cursor.ts';
import { type Cursor, type GroupId, START_CURSOR } from '../../wire/ids.ts';
import type { HistoryLine } from '../chat-client.ts';
import type { KnownAccount } from '../engine/directory.ts';
import type { Group, Signal, Step } from '../engine/types.ts';
import { attachmentWrite } from '../store/attachment-rows.ts';
import type { ClientStore, Write } from '../store/client-store.ts';
import { groupRemoval, groupWrites } from '../store/group-rows.ts';
import { cursorWrite } from '../store/history-rows.ts';
import { keys } from '../store/keys.ts';
import { receiptWrite } from '../store/receipt-rows.ts';
import { type NewLine, newLineWrites } from './new-lines.ts';

/** What a committed batch tells the rest of the client, in order. */
export type Notice =
  | { readonly type: 'line'; readonly line: HistoryLine }
  | { readonly type: 'signal'; readonly group: GroupId; readonly signal: Signal }
  | {
      readonly type: 'changed';
      readonly before: Group | undefined;
      readonly after: Group | undefined;
      readonly id: GroupId;
    };

/** Everything the client knows, as the store has it. Changed only through batches. */
export interface ChatState {
  readonly groups: ReadonlyMap<GroupId, Group>;
  readonly cursor: Cursor;
  /** Starts a batch over the present values. One at a time. */
  begin(): Batch;
  /** A number for a new outbox item, greater than all before. */
  nextOutboxOrdinal(): number;
}

/**
 * Steps that are stored together: after {@link Batch.commit} all of it is in the store and in memory, before it
 * nothing is, whenever the process ends.
 */
export interface Batch {
  group(id: GroupId): Group | undefined;
  /** Takes the result of a step; its lines came with the entry before `cursor`, or without any. */
  take(step: Step, cursor?: Cursor): void;
  remove(id: GroupId): void;
  /** Something more is known about an account. */
  learn(account: KnownAccount): void;
  write(...writes: readonly Write[]): void;
  /** Everything up to this cursor is in the batch. */
  advance(cursor: Cursor): void;
  commit(): Promise<void>;
}

interface DeviceRecord {
  readonly v: 1;
  readonly cursor: Cursor;
  /** Of the newest line, 0 before the first. */
  readonly lastLine: number;
}

export async function openChatState(options: {
  readonly store: ClientStore;
  readonly groups: readonly Group[];
  readonly notify: (notices: readonly Notice[]) => void;
  /** The rows that hold what is known about an account. */
  readonly accountWrites: (account: KnownAccount) => readonly Write[];
}): Promise<ChatState> {
  const { store, notify, accountWrites } = options;
  const stored = await store.get(keys.device());
  const record: DeviceRecord =
    stored === undefined ? { v: 1, cursor: START_CURSOR, lastLine: 0 } : (decodeCbor(stored) as DeviceRecord);
  const groups = new Map(options.groups.map((group) => [group.id, group]));
  let { cursor, lastLine } = record;
  let lastOutbox = Math.max(0, ...options.groups.flatMap((group) => group.outbox.map((item) => item.ordinal)));

  const begin = (): Batch => {
    const changed = new Map<GroupId, Group>();
    const removed: Group[] = [];
    const writes: Write[] = [];
    const notices: Notice[] = [];
    const lines: NewLine[] = [];
    const consumed: Step['consumed'][number][] = [];
    let ordinal = lastLine;
    let reached: Cursor | undefined;
    const groupOf = (id: GroupId): Group | undefined => changed.get(id) ?? groups.get(id);

    return {
      group: groupOf,
      take: (step, at) => {
        const { group } = step;
        if (groupOf(group.id) !== group) changed.set(group.id, group);
        consumed.push(...step.consumed);
        for (const account of step.accounts ?? []) writes.push(...accountWrites(account));
        for (const { position, attachment } of step.attachments ?? []) {
          writes.push(attachmentWrite(group.bytes, position, attachment));
        }
        for (const settled of step.receipts ?? []) writes.push(receiptWrite(group.bytes, settled));
        for (const signal of step.signals) notices.push({ type: 'signal', group: group.id, signal });
        for (const draft of step.lines) {
          ordinal += 1;
          const lineCursor = at ?? localCursor(cursor, ordinal);
          const line: HistoryLine = { ...draft, group: group.id, groupName: group.name, cursor: lineCursor };
          writes.push(cursorWrite(lineCursor, ordinal));
          const notice = { type: 'line' as const, line };
          lines.push({ ordinal, group: group.bytes, notice });
          notices.push(notice);
        }
      },
      remove: (id) => {
        const group = groups.get(id);
        if (group !== undefined) removed.push(group);
        changed.delete(id);
      },
      learn: (account) => {
        writes.push(...accountWrites(account));
      },
      write: (...more) => {
        writes.push(...more);
      },
      advance: (to) => {
        reached = to;
      },
      commit: async () => {
        writes.push(...(await newLineWrites(store, lines)));
        for (const group of changed.values()) writes.push(...groupWrites(groups.get(group.id), group));
        for (const group of removed) writes.push(...(await groupRemoval(store, group)));
        if (reached !== undefined && reached !== cursor) writes.push(cursorWrite(reached, ordinal));
        const next: DeviceRecord = { v: 1, cursor: reached ?? cursor, lastLine: ordinal };
        if (next.cursor !== cursor || ordinal !== lastLine)
          writes.push({ key: keys.device(), value: encodeCbor(next) });
        if (writes.length > 0) await store.commit(writes);
        cursor = next.cursor;
        lastLine = ordinal;
        for (const after of changed.values()) {
          notices.push({ type: 'changed', before: groups.get(after.id), after, id: after.id });
          groups.set(after.id, after);
        }
        for (const before of removed) {
          groups.delete(before.id);
          notices.push({ type: 'changed', before, after: undefined, id: before.id });
        }
        for (const secrets of consumed) zeroConsumed(secrets);
        notify(notices);
      },
    };
  };

  return {
    groups,
    get cursor() {
      return cursor;
    },
    begin,
    nextOutboxOrdinal: () => {
      lastOutbox += 1;
      return lastOutbox;
    },
  };
}

/**
 * A cursor for a line that no entry brought. One that a reader may stand at already would show it the line twice, or
 * never. Known to the local history alone.
 */
function localCursor(before: Cursor, ordinal: number): Cursor {
  return cursorFromBlock(sha256(toUtf8(`${before} ${ordinal}`)));
}
