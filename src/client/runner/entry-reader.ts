import { welcomeRefs } from '../../mls/session/join.ts';
import { cursorFromBlock } from '../../wire/cursor.ts';
import {
  type AccountEntry,
  decodeEntry,
  type Entry,
  type GroupEntry,
  isGroupEntry,
  type WelcomeEntry,
} from '../../wire/entry.ts';
import { type Cursor, type GroupId, groupIdOf } from '../../wire/ids.ts';
import type { Page } from '../../wire/page.ts';
import { judgeOwnChange } from '../engine/account-entry.ts';
import { applyEntry, compareHead } from '../engine/apply-entry.ts';
import { crossGap } from '../engine/cross-gap.ts';
import { park } from '../engine/placing.ts';
import type { EngineEnv, Needs, Step } from '../engine/types.ts';
import { applyWelcome, emptyGroup, isUsedUp } from '../engine/welcome.ts';
import type { ClientStore } from '../store/client-store.ts';
import { keys } from '../store/keys.ts';
import { TransportError } from '../transport/server-api.ts';
import type { Batch, ChatState } from './chat-state.ts';
import { decodeServed, groupOfEntry, type UnreadableEntry } from './decode-entry.ts';
import { reasonOf } from './failures.ts';
import { findKeyPackage } from './key-packages.ts';

/** A transaction holds at most this many entries, and what this many milliseconds of work come to: only while catching up are there so many. */
export const SLICE_ENTRIES = 500;
export const SLICE_MS = 100;
/**
 * On a slow or busy machine a transaction reads longer: so many times what storing the one before took, that storing stays a small part of
 * the whole, and at most this long, because what is typed waits for it.
 */
const STORING_SHARE = 20;
const SLICE_MAX_MS = 1_000;

/** Where the reader stands, for whoever watches that it does not stand there for ever. */
export interface ReadingProgress {
  begin(group: GroupId, position: number): void;
  end(): void;
}

/** An entry that made the engine hang or die before: not to be touched again. */
export interface PoisonedEntry {
  readonly group: GroupId;
  readonly position: number;
}

export interface SliceResult {
  readonly next: number;
  /** Cursors of the entries of this slice. */
  readonly passed: readonly Cursor[];
  readonly needs?: Needs;
}

export interface EntryReader {
  /**
   * Groups of which nothing is read, because the server has not said what became of their commits. The others go on; but no cursor is
   * taken over, so that all that comes meanwhile comes again to who begins anew after {@link EntryReader.release}.
   */
  readonly held: ReadonlySet<GroupId>;
  release(): void;
  /**
   * Applies entries of a page from index `from` on, as one batch. `next` is the first that was not applied; `needs`
   * says what it waits for.
   */
  readSlice(page: Page, from: number): Promise<SliceResult>;
  /** Compares heads and takes over the page's cursor, after all of its entries. */
  finishPage(page: Page): Promise<void>;
  /** A tree that was fetched for a Welcome. */
  putTree(group: GroupId, epoch: number, tree: Uint8Array): void;
  /** Welcomes by a last-resort package since the last call, and low-stock notices. */
  takeStockNews(): { readonly low: boolean; readonly lastResortUsed: boolean };
}

export function createEntryReader(options: {
  readonly env: EngineEnv;
  readonly store: ClientStore;
  readonly state: ChatState;
  readonly progress: ReadingProgress;
  readonly poisoned: readonly PoisonedEntry[];
  readonly monotonicMs: () => number;
}): EntryReader {
  const { env, store, state, progress, poisoned, monotonicMs } = options;
  const trees = new Map<string, Uint8Array>();
  const held = new Set<GroupId>();
  let storingMs = 0;
  let stock = { low: false, lastResortUsed: false };

  /** What the engine throws over something it was sent: the group stops there, the others go on. */
  const applied = async (
    group: GroupId,
    position: number,
    stopped: (reason: string) => Step,
    apply: () => Promise<Step | Needs>,
  ): Promise<Step | Needs> => {
    progress.begin(group, position);
    try {
      return await apply();
    } catch (error) {
      return stopped(`Entry ${position} could not be processed (${reasonOf(error)})`);
    } finally {
      progress.end();
    }
  };

  const readGroupEntry = async (
    batch: Batch,
    entry: GroupEntry,
    bytes: Uint8Array,
  ): Promise<Step | Needs | undefined> => {
    const id = groupIdOf(entry.group);
    const known = batch.group(id);
    if (known === undefined) {
      // the commit that adds this device comes just before its Welcome, which brings everything to begin with
      if (entry.kind === 'commit') return undefined;
      const name = entry.kind === 'group-created' ? entry.payload.name : undefined;
      const unknown = { ...emptyGroup(entry.group.slice(), name ?? id.slice(0, 8)), position: entry.position };
      return park(unknown, 'This device has no keys for this group', entry.time);
    }
    if (entry.position <= known.position) return undefined; // read before
    if (poisoned.some((entryOf) => entryOf.group === id && entryOf.position === entry.position)) {
      return park(known, `Entry ${entry.position} stopped the program when it was read`, entry.time);
    }
    return applied(
      id,
      entry.position,
      (reason) => park(known, reason, entry.time),
      () => applyEntry(env, known, entry, bytes),
    );
  };

  const readWelcome = async (batch: Batch, entry: WelcomeEntry): Promise<Step | Needs | undefined> => {
    const { group: bytes, welcome, epoch, position } = entry.payload;
    const id = groupIdOf(bytes);
    const known = batch.group(id);
    if (known !== undefined && isUsedUp(known, position)) return undefined;
    const stopped = (reason: string): Step =>
      park({ ...(known ?? emptyGroup(bytes, entry.payload.name ?? id.slice(0, 8))), position }, reason, entry.time);
    if (poisoned.some((entryOf) => entryOf.group === id && entryOf.position === position)) {
      return stopped('The invitation stopped the program when it was read');
    }
    const keyPackage = await findKeyPackage(store, welcomeRefs(welcome) ?? []);
    const treeKey = `${id}/${epoch}`;
    const tree = trees.get(treeKey);
    const result = await applied(id, position, stopped, () =>
      applyWelcome(env, known, entry, {
        ...(keyPackage === undefined ? {} : { keyPackage }),
        ...(tree === undefined ? {} : { tree }),
      }),
    );
    if ('group' in result && 'lines' in result && keyPackage !== undefined) {
      trees.delete(treeKey);
      // used up with the join, in the same transaction; a last resort stays, and is to be replaced
      if (keyPackage.lastResort) stock = { ...stock, lastResortUsed: true };
      else batch.write({ key: keys.keyPackage(keyPackage.ref), value: undefined });
    }
    return result;
  };

  /** Of this device's own account; its lines are shown in the groups. */
  const readOwnChange = async (batch: Batch, entry: AccountEntry): Promise<Needs | undefined> => {
    const judged = await judgeOwnChange(env, entry.payload);
    if (judged === undefined || 'kind' in judged) return judged;
    batch.learn(judged);
    return undefined;
  };

  const isHeld = (entry: Entry | UnreadableEntry): boolean => {
    if (held.size === 0) return false;
    const group = groupOfEntry(entry);
    return group !== undefined && held.has(groupIdOf(group));
  };

  const readEntry = async (batch: Batch, bytes: Uint8Array): Promise<Step | Needs | undefined> => {
    const entry = decodeServed(bytes);
    if (entry === undefined) return undefined;
    if (isHeld(entry)) return undefined;
    if ('unreadable' in entry) {
      const known = batch.group(groupIdOf(entry.group));
      const isOld = known !== undefined && entry.position !== undefined && entry.position <= known.position;
      return known === undefined || known.phase !== 'member' || isOld
        ? undefined
        : park(known, entry.unreadable, env.now());
    }
    if (isGroupEntry(entry)) return readGroupEntry(batch, entry, bytes);
    switch (entry.kind) {
      case 'welcome':
        return readWelcome(batch, entry);
      case 'key-packages-low':
        stock = { low: true, lastResortUsed: stock.lastResortUsed || entry.payload.lastResortUsed };
        return undefined;
      case 'account':
        return readOwnChange(batch, entry);
    }
  };

  /** What is no longer on the server, of the groups that are known so far; saying it again changes nothing. */
  const passGaps = async (batch: Batch, { gaps = [] }: Page): Promise<void> => {
    for (const gap of gaps) {
      const known = batch.group(groupIdOf(gap.group));
      if (known === undefined || held.has(known.id)) continue;
      const result = await crossGap(env, known, gap);
      if ('lines' in result) batch.take(result);
      else held.add(known.id);
    }
  };

  return {
    held,
    release: () => held.clear(),
    readSlice: async (page, from) => {
      const batch = state.begin();
      await passGaps(batch, page);
      let needs: Needs | undefined;
      const started = monotonicMs();
      let next = from;
      const passed: Cursor[] = [];
      const longest = Math.min(SLICE_MAX_MS, Math.max(SLICE_MS, STORING_SHARE * storingMs));
      const mayGoOn = (): boolean => next - from < SLICE_ENTRIES && monotonicMs() - started < longest;
      while (needs === undefined && next < page.entries.length && mayGoOn()) {
        const cursor = cursorFromBlock(page.cursors, next);
        const result = await readEntry(batch, page.entries[next]!).catch((error: unknown) => {
          // what came before it is kept; the slice that begins with it fails
          if (error instanceof TransportError && next > from) return 'later' as const;
          throw error;
        });
        if (result === 'later') break;
        if (result !== undefined && !('lines' in result)) {
          needs = inGroup(result, page.entries[next]!);
          break;
        }
        // what is held comes later, with earlier cursors: whoever goes on from here must get it
        if (result !== undefined && held.size > 0) batch.take(result);
        else if (result !== undefined) batch.take(result, cursor);
        passed.push(cursor);
        next += 1;
        if (page.gaps !== undefined) await passGaps(batch, page); // of a group that an invitation has just begun
      }
      const reached = passed.at(-1);
      if (reached !== undefined && held.size === 0) batch.advance(reached);
      const read = monotonicMs();
      await batch.commit();
      storingMs = monotonicMs() - read;
      return { next, passed, ...(needs === undefined ? {} : { needs }) };
    },
    finishPage: async (page) => {
      const batch = state.begin();
      await passGaps(batch, page);
      for (const { group, position, hash } of page.heads) {
        const known = batch.group(groupIdOf(group));
        // without a cursor: a page's may be that of its last entry, which readers stand at already
        if (known !== undefined) batch.take(compareHead(known, position, hash, env.now()));
      }
      if (held.size === 0) batch.advance(page.cursor);
      await batch.commit();
    },
    putTree: (group, epoch, tree) => {
      trees.set(`${group}/${epoch}`, tree);
    },
    takeStockNews: () => {
      const news = stock;
      stock = { low: false, lastResortUsed: false };
      return news;
    },
  };
}

/** Where an account came up that is to be looked up. */
function inGroup(needs: Needs, bytes: Uint8Array): Needs {
  if (needs.kind !== 'needs-accounts') return needs;
  const group = groupOfEntry(decodeEntry(bytes));
  return group === undefined ? needs : { ...needs, group: groupIdOf(group) };
}
