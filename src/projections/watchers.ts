import type { DeviceId } from '../wire/ids.ts';

interface Watcher {
  readonly wake: () => void;
  pending: boolean;
  closed: boolean;
}

/** What a batch touched, as far as readers are concerned. */
interface Touched {
  /** For each group: its members now. */
  readonly touchedGroups: ReadonlyMap<number, { readonly leaves: ReadonlyMap<DeviceId, number> }>;
  readonly touchedDevices: ReadonlySet<DeviceId>;
}

/** Who wants to know when there may be something new for a device. */
export interface Watchers {
  watch(device: DeviceId, wake: () => void): { close(): void };
  /** Wakes those concerned, each once, after the current turn of the event loop. */
  notify(touched: Touched): void;
  /** Wakes everybody: nothing new will come, and each has to see why. */
  wakeAll(): void;
}

export function createWatchers(): Watchers {
  const watchers = new Map<DeviceId, Set<Watcher>>();
  let due: Watcher[] = [];

  const flush = (): void => {
    const now = due;
    due = [];
    for (const watcher of now) {
      watcher.pending = false;
      if (!watcher.closed) watcher.wake();
    }
  };
  const mark = (device: DeviceId): void => {
    for (const watcher of watchers.get(device) ?? []) {
      if (watcher.pending) continue;
      watcher.pending = true;
      if (due.length === 0) setImmediate(flush);
      due.push(watcher);
    }
  };

  return {
    watch(device, wake) {
      const watcher: Watcher = { wake, pending: false, closed: false };
      const others = watchers.get(device) ?? new Set();
      watchers.set(device, others.add(watcher));
      return {
        close() {
          watcher.closed = true;
          others.delete(watcher);
          if (others.size === 0 && watchers.get(device) === others) watchers.delete(device);
        },
      };
    },
    notify({ touchedGroups, touchedDevices }) {
      if (watchers.size === 0) return;
      for (const device of touchedDevices) mark(device);
      for (const { leaves } of touchedGroups.values()) {
        if (leaves.size < watchers.size) for (const device of leaves.keys()) mark(device);
        else for (const device of watchers.keys()) if (leaves.has(device)) mark(device);
      }
    },
    wakeAll() {
      for (const device of watchers.keys()) mark(device);
    },
  };
}
