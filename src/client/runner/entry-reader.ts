import { welcomeRefs } from '../../mls/session/join.ts';
import { decodeCbor } from '../../wire/cbor.ts';
import { cursorFromBlock } from '../../wire/cursor.ts';
import { decodeEntry, type Entry, type GroupEntry, isGroupEntry, type WelcomeEntry } from '../../wire/entry.ts';
import { type Cursor, type GroupId, groupIdOf } from '../../wire/ids.ts';
import type { Page } from '../../wire/page.ts';
import { applyEntry, compareHead } from '../engine/apply-entry.ts';
import { park } from '../engine/placing.ts';
import type { EngineEnv, Needs, Step } from '../engine/types.ts';
import { applyWelcome, emptyGroup } from '../engine/welcome.ts';
import type { ClientStore } from '../store/client-store.ts';
import { keys } from '../store/keys.ts';
import { TransportError } from '../transport/server-api.ts';
import type { Batch, ChatState } from './chat-state.ts';
import { findKeyPackage } from './key-packages.ts';

/** A transaction holds at most this many entries, and what this many milliseconds of work come to: only while catching up are there so many. */
export const SLICE_ENTRIES = 500;
export const SLICE_MS = 100;

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
  let stock = { low: false, lastResortUsed: false };

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
      const unknown = { ...emptyGroup(entry.group, name ?? id.slice(0, 8)), position: entry.position };
      return park(unknown, 'This device has no keys for this group', entry.time);
    }
    if (entry.position <= known.position) return undefined; // read before
    if (poisoned.some((entryOf) => entryOf.group === id && entryOf.position === entry.position)) {
      return park(known, `Entry ${entry.position} stopped the program when it was read`, entry.time);
    }
    progress.begin(id, entry.position);
    try {
      return await applyEntry(env, known, entry, bytes);
    } finally {
      progress.end();
    }
  };

  const readWelcome = async (batch: Batch, entry: WelcomeEntry): Promise<Step | Needs | undefined> => {
    const { group: bytes, welcome, epoch, position } = entry.payload;
    const id = groupIdOf(bytes);
    const known = batch.group(id);
    if (known !== undefined && known.position >= position) return undefined; // used before
    if (poisoned.some((entryOf) => entryOf.group === id && entryOf.position === position)) {
      return park(
        { ...(known ?? emptyGroup(bytes, entry.payload.name ?? id.slice(0, 8))), position },
        'The invitation stopped the program when it was read',
        entry.time,
      );
    }
    const keyPackage = await findKeyPackage(store, welcomeRefs(welcome) ?? []);
    const treeKey = `${id}/${epoch}`;
    const tree = trees.get(treeKey);
    progress.begin(id, position);
    const result = await applyWelcome(env, known, entry, {
      ...(keyPackage === undefined ? {} : { keyPackage }),
      ...(tree === undefined ? {} : { tree }),
    }).finally(() => progress.end());
    if ('group' in result && 'lines' in result && keyPackage !== undefined) {
      trees.delete(treeKey);
      // used up with the join, in the same transaction; a last resort stays, and is to be replaced
      if (keyPackage.lastResort) stock = { ...stock, lastResortUsed: true };
      else batch.write({ key: keys.keyPackage(keyPackage.ref), value: undefined });
    }
    return result;
  };

  const readEntry = async (batch: Batch, bytes: Uint8Array): Promise<Step | Needs | undefined> => {
    const entry = decode(bytes);
    if (entry === undefined) return undefined;
    if ('unknownKind' in entry) {
      const known = batch.group(groupIdOf(entry.group));
      return known === undefined || known.phase !== 'member'
        ? undefined
        : park(known, `An entry of the kind "${entry.unknownKind}" is not known to this version`, env.now());
    }
    if (isGroupEntry(entry)) return readGroupEntry(batch, entry, bytes);
    switch (entry.kind) {
      case 'welcome':
        return readWelcome(batch, entry);
      case 'key-packages-low':
        stock = { low: true, lastResortUsed: stock.lastResortUsed || entry.payload.lastResortUsed };
        return undefined;
      case 'account':
        return undefined;
    }
  };

  return {
    readSlice: async (page, from) => {
      const batch = state.begin();
      const started = monotonicMs();
      let next = from;
      let needs: Needs | undefined;
      const passed: Cursor[] = [];
      while (next < page.entries.length && next - from < SLICE_ENTRIES && monotonicMs() - started < SLICE_MS) {
        const cursor = cursorFromBlock(page.cursors, next);
        const result = await readEntry(batch, page.entries[next]!);
        if (result !== undefined && !('lines' in result)) {
          needs = result;
          break;
        }
        if (result !== undefined) batch.take(result, cursor);
        passed.push(cursor);
        next += 1;
      }
      const reached = passed.at(-1);
      if (reached !== undefined) batch.advance(reached);
      await batch.commit();
      return { next, passed, ...(needs === undefined ? {} : { needs }) };
    },
    finishPage: async (page) => {
      const batch = state.begin();
      for (const { group, position, hash } of page.heads) {
        const known = batch.group(groupIdOf(group));
        // without a cursor: a page's may be that of its last entry, which readers stand at already
        if (known !== undefined) batch.take(compareHead(known, position, hash, env.now()));
      }
      batch.advance(page.cursor);
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

/** `undefined`: something about this device that this version does not know, and may pass over. */
function decode(bytes: Uint8Array): Entry | { readonly unknownKind: string; readonly group: Uint8Array } | undefined {
  try {
    return decodeEntry(bytes);
  } catch (cause) {
    let value: unknown;
    try {
      value = decodeCbor(bytes);
    } catch {
      throw new TransportError('malformed', 'the server sent an entry that cannot be read', cause);
    }
    const { kind, group } = value as { kind?: unknown; group?: unknown };
    if (typeof kind !== 'string')
      throw new TransportError('malformed', 'the server sent something that is no entry', cause);
    return group instanceof Uint8Array ? { unknownKind: kind, group } : undefined;
  }
}
