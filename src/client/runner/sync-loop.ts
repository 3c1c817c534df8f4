import { type Cursor, type GroupId, START_CURSOR } from '../../wire/ids.ts';
import type { Page } from '../../wire/page.ts';
import { ProblemError } from '../../wire/problems.ts';
import type { CatchUpProgress, Connection } from '../chat-client.ts';
import type { Needs } from '../engine/types.ts';
import { type ServerApi, TransportError } from '../transport/server-api.ts';
import type { AccountBook } from './accounts.ts';
import { createCatchUpMeter } from './catch-up-meter.ts';
import type { ChatState } from './chat-state.ts';
import { compareHistories } from './compare-histories.ts';
import type { EntryReader } from './entry-reader.ts';
import { isPassing, isRevoked, reasonOf } from './failures.ts';
import { READ_AGAIN, readUntilAnswered } from './held-groups.ts';
import { createReadingState, type ReadingState } from './reading-state.ts';
import { backoffMs, pause } from './retry.ts';
import type { Serial } from './serial.ts';
import { withAny } from './with-any.ts';

/** Entries between two `progress` events. */
const PROGRESS_ENTRIES = 100;
/** Stands for a tree that the server does not have: the join is refused over it, and the rest of the log goes on. */
const NO_TREE = new Uint8Array(0);

export interface SyncLoop extends ReadingState {
  readonly connection: Connection;
  /** Tries again now instead of at the end of the present waiting time. */
  nudge(): void;
  /** Ends when the signal fires. @throws what the store or the engine threw: there is no going on then */
  run(signal: AbortSignal): Promise<void>;
}

/**
 * Reads the device's log for ever: replay from the stored cursor, then live, the same code for both. Every entry is
 * processed in order and its cursor stored with it; a broken connection costs waiting, never an entry.
 */
export function createSyncLoop(options: {
  readonly api: ServerApi;
  readonly state: ChatState;
  readonly reader: EntryReader;
  readonly accounts: AccountBook;
  readonly serial: Serial;
  readonly random: () => number;
  readonly now: () => number;
  /** Resolves when the server has said whether it took the group's pending commit. @throws TransportError, Aborted */
  readonly commitAnswered: (group: GroupId, signal: AbortSignal) => Promise<void>;
  readonly onConnection: (connection: Connection) => void;
  readonly onCaughtUp: (cursor: Cursor) => void;
  readonly onProgress: (progress: CatchUpProgress) => void;
  readonly onStock: (news: { low: boolean; lastResortUsed: boolean }) => void;
}): SyncLoop {
  const { api, state, reader, accounts, serial, random } = options;
  let connection: Connection = { state: 'connecting' };
  let nudged = new AbortController();
  const meter = createCatchUpMeter(options);
  const reading = createReadingState({ held: reader.held, state });
  const { setUpToDate, setShown, passed } = reading;

  const setConnection = (next: Connection): void => {
    const same = next.state === connection.state && next.state !== 'offline';
    connection = next;
    if (!same) options.onConnection(next);
  };

  const fulfil = async (needs: Needs): Promise<void> => {
    switch (needs.kind) {
      case 'needs-accounts':
        return accounts.fetch(needs.accounts, needs.group === undefined ? {} : { group: needs.group });
      case 'needs-tree': {
        const tree = await api.tree(needs.group, needs.epoch).catch((error: unknown) => {
          if (isPassing(error) || !(error instanceof ProblemError)) throw error;
          return { ratchetTree: NO_TREE };
        });
        return reader.putTree(needs.group, needs.epoch, tree.ratchetTree);
      }
    }
  };

  const readPage = async (page: Page, done: number): Promise<number> => {
    let next = 0;
    while (next < page.entries.length) {
      const from = next;
      const slice = await serial.run(() => reader.readSlice(page, from));
      next = slice.next;
      for (const cursor of slice.passed) passed(cursor);
      if (
        !reading.upToDate &&
        Math.floor((done + next) / PROGRESS_ENTRIES) > Math.floor((done + from) / PROGRESS_ENTRIES)
      ) {
        const progress = await meter.measure(page, done + next);
        if (progress !== undefined) options.onProgress(progress);
      }
      if (slice.needs !== undefined) await fulfil(slice.needs);
    }
    await serial.run(() => reader.finishPage(page));
    passed(page.cursor);
    const news = reader.takeStockNews();
    if (news.low || news.lastResortUsed) options.onStock(news);
    return done + page.entries.length;
  };

  /** One connection, until it ends. */
  const follow = async (cursor: Cursor, signal: AbortSignal, onHeld: () => void): Promise<string> => {
    let done = 0;
    meter.begin();
    for await (const item of api.syncStream(cursor, signal)) {
      if (signal.aborted) return 'closed';
      setConnection({ state: 'online' });
      if (item.type !== 'closing') setShown(true);
      switch (item.type) {
        case 'page':
          done = await readPage(item, done);
          if (reader.held.size > 0) onHeld();
          break;
        case 'caught-up': {
          if (reader.held.size > 0) {
            // the others have all of theirs; the cursor is not taken over before the rest is read
            setUpToDate(true);
            passed(item.cursor);
            break;
          }
          await serial.run(async () => {
            const batch = state.begin();
            batch.advance(item.cursor);
            await batch.commit();
          });
          setUpToDate(true);
          passed(item.cursor);
          options.onCaughtUp(item.cursor);
          break;
        }
        case 'heartbeat':
          break;
        case 'closing':
          if (item.reason === 'cursor-invalid') throw new ProblemError('cursor-invalid', 'the log was replaced');
          if (item.reason === 'device-revoked') throw revoked();
          return closingText(item.reason);
      }
    }
    return 'the server closed the connection';
  };

  return {
    get connection() {
      return connection;
    },
    get reached() {
      return reading.reached;
    },
    isUpToDate: reading.isUpToDate,
    whenUpToDate: reading.whenUpToDate,
    whenShown: reading.whenShown,
    isHeld: reading.isHeld,
    get compared() {
      return reading.compared;
    },
    onPassed: reading.onPassed,
    nudge: () => nudged.abort(),
    run: async (signal) => {
      let failures = 0;
      let resync = false;
      let isCompared = false;
      while (!signal.aborted) {
        setConnection({ state: 'connecting' });
        setUpToDate(false); // what was held, and a log that was replaced, is still to be read
        setShown(false);
        let reason: string;
        let readable = true;
        const before = state.cursor;
        try {
          if (resync && !isCompared) {
            reading.compare();
            await compareHistories({ api, state, serial, now: options.now });
          }
          reader.release();
          reading.restart();
          const from = resync ? START_CURSOR : state.cursor;
          const read = (either: AbortSignal, onHeld: () => void): Promise<string> => follow(from, either, onHeld);
          const ended = await readUntilAnswered({
            held: reader.held,
            commitAnswered: options.commitAnswered,
            read,
            signal,
          });
          // asked again, what was just answered would be open again
          isCompared = ended === READ_AGAIN;
          if (ended === READ_AGAIN) {
            if (state.cursor !== before) resync = false;
            continue;
          }
          reason = ended;
        } catch (error) {
          if (signal.aborted) return;
          isCompared = false;
          if (error instanceof ProblemError && error.code === 'cursor-invalid' && !resync) {
            // the log was replaced: read it from its beginning against what is here already
            resync = true;
            continue;
          }
          if (isRevoked(error)) {
            // no answer will ever come again: what is stored here stays readable, and nobody is asked in vain
            setUpToDate(false);
            setShown(true); // what was asked for is answered as this was
            setConnection({ state: 'offline', reason: reasonOf(error) });
            return;
          }
          if (!isPassing(error) && !(error instanceof ProblemError)) throw error;
          readable = !(error instanceof TransportError && error.code === 'malformed');
          reason = error instanceof TransportError ? error.message : reasonOf(error);
        }
        if (state.cursor !== before) resync = false;
        // a server that hangs up before it has shown anything, or shows what cannot be read, is not asked again at once
        // without end
        if (readable && (state.cursor !== before || reading.upToDate)) failures = 0;
        if (signal.aborted) return;
        setUpToDate(false);
        setShown(false);
        const retryInMs = Math.round(backoffMs(failures, random));
        failures += 1;
        setConnection({ state: 'offline', reason, retryInMs });
        nudged = new AbortController();
        await withAny([signal, nudged.signal], (either) => pause(retryInMs, either));
      }
    },
  };
}

function revoked(): ProblemError {
  return new ProblemError('unauthenticated', 'this device was revoked', { members: { reason: 'revoked' } });
}

/** Why the server ended the stream, for people. */
function closingText(reason: string): string {
  switch (reason) {
    case 'server-closing':
      return 'the server is being stopped';
    case 'slow-reader':
      return 'this device did not read what came in time';
    default:
      return `the server closed the connection (${reason})`;
  }
}
