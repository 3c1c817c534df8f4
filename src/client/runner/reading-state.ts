import type { Cursor, GroupId } from '../../wire/ids.ts';
import { onAbort } from '../on-abort.ts';

/** How far the reading of the device's log has come. Of a group that is held (see EntryReader) nothing is read, and of the others on. */
export interface ReadingState {
  /**
   * Whether the running stream has delivered everything that was there when it began: of all groups, or of the one that is named,
   * which need not wait for another that is held.
   */
  isUpToDate(group?: GroupId): boolean;
  /** Resolves when {@link ReadingState.isUpToDate}, or the signal fires. */
  whenUpToDate(signal: AbortSignal, group?: GroupId): Promise<void>;
  /**
   * Resolves when the server has shown on the running connection that its log is the one that was read here, or that nothing of it will
   * ever be shown any more, or the signal fires. A log that went back takes a text by the number of its epoch, which another history has too.
   */
  whenShown(signal: AbortSignal): Promise<void>;
  /**
   * How often what was read here was compared with another log. What the one before answered says nothing of this one, and may come after
   * the comparison.
   */
  readonly compared: number;
  /** Up to where the log was read of the groups that are not held: behind the stored cursor while any is. */
  readonly reached: Cursor;
  /** Whether the group is held, or, of none that is named, any is. */
  isHeld(group?: GroupId): boolean;
  /** Calls back for every cursor that was passed, of the groups that are not held, until closed. */
  onPassed(listener: (cursor: Cursor) => void): () => void;
}

interface ReadingStateWriter extends ReadingState {
  /** Of the groups that are not held. */
  readonly upToDate: boolean;
  setUpToDate(value: boolean): void;
  setShown(value: boolean): void;
  /** All that was read here is about to be compared with another log. */
  compare(): void;
  /** All up to this cursor was read. */
  passed(cursor: Cursor): void;
  /** The reading begins anew at the stored cursor, with all groups. */
  restart(): void;
}

export function createReadingState(options: {
  readonly held: ReadonlySet<GroupId>;
  readonly state: { readonly cursor: Cursor };
}): ReadingStateWriter {
  const { held, state } = options;
  let upToDate = false;
  let isShown = false;
  let compared = 0;
  let ahead: Cursor | undefined;
  const waiters = new Set<() => void>();
  const listeners = new Set<(cursor: Cursor) => void>();

  const isHeld = (group?: GroupId): boolean => (group === undefined ? held.size > 0 : held.has(group));
  const isUpToDate = (group?: GroupId): boolean => upToDate && !isHeld(group);
  const look = (): void => {
    for (const waiter of waiters) waiter();
  };
  const until = (isMet: () => boolean, signal: AbortSignal): Promise<void> => {
    if (isMet() || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const waiter = (): void => {
        if (!isMet() && !signal.aborted) return;
        waiters.delete(waiter);
        stopWaiting();
        resolve();
      };
      waiters.add(waiter);
      const stopWaiting = onAbort(signal, waiter);
    });
  };
  return {
    get upToDate() {
      return upToDate;
    },
    isUpToDate,
    whenUpToDate: (signal, group) => until(() => isUpToDate(group), signal),
    whenShown: (signal) => until(() => isShown, signal),
    get compared() {
      return compared;
    },
    compare: () => {
      compared += 1;
    },
    get reached() {
      return ahead ?? state.cursor;
    },
    isHeld,
    onPassed: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    setUpToDate: (value) => {
      upToDate = value;
      if (value) look();
    },
    setShown: (value) => {
      isShown = value;
      if (value) look();
    },
    passed: (cursor) => {
      if (held.size > 0) ahead = cursor;
      for (const listener of listeners) listener(cursor);
    },
    restart: () => {
      ahead = undefined;
    },
  };
}
