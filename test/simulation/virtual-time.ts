import { createRequire, syncBuiltinESMExports } from 'node:module';
import { createHeap } from '../../src/projections/reads/heap.ts';
import { watchListeners } from './listeners.ts';

/** Something that will happen at a virtual moment, unless it is cancelled. */
export interface Scheduled {
  readonly at: number;
  cancel(): void;
}

/**
 * The one clock and the one queue of a history. Everything that is not computation waits here: timers of the code under
 * test, packets, disks, people. Two runs that schedule the same things run them in the same order.
 */
export interface VirtualTime {
  /** Milliseconds since the history began. */
  now(): number;
  /** Runs once, `ms` from now; at one moment what was scheduled first comes first. */
  after(ms: number, run: () => void): Scheduled;
  /** Runs everything that is due until `ms` from now, each with all promises that follow from it. */
  advance(ms: number): Promise<void>;
  /** How many things have run. */
  readonly steps: number;
}

interface Item {
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;
}

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: globalThis.setImmediate,
  dateNow: Date.now,
  random: Math.random,
  abortAfter: AbortSignal.timeout,
};

/**
 * All that follows from one step has happened when a turn of the real event loop is over: nothing in the simulation waits
 * for anything real, so there is nothing but promises to run.
 */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    real.setImmediate(resolve);
  });
}

/** @param onStep called after each step, when nothing is left to run before the next */
export function createVirtualTime(onStep: () => void): VirtualTime {
  const heap = createHeap<Item>((a, b) => a.at < b.at || (a.at === b.at && a.order < b.order));
  let now = 0;
  let order = 0;
  let steps = 0;

  return {
    now: () => now,
    get steps() {
      return steps;
    },
    after(ms, run) {
      const item: Item = { at: now + Math.max(0, ms), order: order++, run };
      heap.push(item);
      return {
        at: item.at,
        cancel: () => {
          item.run = undefined;
        },
      };
    },
    async advance(ms) {
      const end = now + ms;
      await settled();
      for (let next = heap.first(); next !== undefined && next.at <= end; next = heap.first()) {
        const { at, run } = heap.pop()!;
        if (run === undefined) continue;
        now = at;
        run();
        steps += 1;
        await settled();
        onStep();
      }
      now = end;
    },
  };
}

/** What the standard timers are made of here. */
class VirtualTimer {
  scheduled: Scheduled | undefined;
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return true;
  }
}

/**
 * Puts the virtual clock in the place of every clock, timer and die that the code under test reaches by itself.
 * Restored by what this returns; one at a time in a process.
 *
 * @param epochMs the moment that virtual time 0 is, milliseconds since 1970
 */
export function installVirtualTime(time: VirtualTime, epochMs: number, random: () => number): () => void {
  const later =
    (repeat: boolean) =>
    (run: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => {
      const timer = new VirtualTimer();
      const wait = Math.max(1, ms ?? 1);
      const arm = (): void => {
        timer.scheduled = time.after(wait, () => {
          if (repeat) arm();
          run(...args);
        });
      };
      arm();
      return timer;
    };
  const soon = (run: (...args: unknown[]) => void, ...args: unknown[]) => time.after(0, () => run(...args));
  const clear = (timer: unknown): void => {
    if (timer instanceof VirtualTimer) timer.scheduled?.cancel();
  };
  const timersPromises = createRequire(import.meta.url)('node:timers/promises') as { setTimeout: unknown };
  const realDelay = timersPromises.setTimeout;
  const delay = (ms: number, value: unknown, options: { readonly signal?: AbortSignal } = {}) =>
    new Promise((resolve, reject) => {
      const { signal } = options;
      if (signal !== undefined) watchListeners(signal);
      const giveUp = (): void => {
        scheduled.cancel();
        reject(signal?.reason);
      };
      const scheduled = time.after(ms, () => {
        signal?.removeEventListener('abort', giveUp);
        resolve(value);
      });
      if (signal?.aborted === true) giveUp();
      else signal?.addEventListener('abort', giveUp, { once: true });
    });
  const abortAfter = (ms: number): AbortSignal => {
    const controller = new AbortController();
    time.after(ms, () => controller.abort(new DOMException('timed out', 'TimeoutError')));
    return controller.signal;
  };

  Object.assign(globalThis, {
    setTimeout: later(false),
    setInterval: later(true),
    setImmediate: soon,
    clearTimeout: clear,
    clearInterval: clear,
  });
  Object.defineProperty(performance, 'now', { value: () => time.now(), configurable: true, writable: true });
  Object.assign(Date, { now: () => epochMs + Math.floor(time.now()) });
  Object.assign(Math, { random });
  Object.assign(AbortSignal, { timeout: abortAfter });
  timersPromises.setTimeout = delay;
  syncBuiltinESMExports();
  return () => {
    const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = real;
    Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate });
    Reflect.deleteProperty(performance, 'now');
    Object.assign(Date, { now: real.dateNow });
    Object.assign(Math, { random: real.random });
    Object.assign(AbortSignal, { timeout: real.abortAfter });
    timersPromises.setTimeout = realDelay;
    syncBuiltinESMExports();
  };
}
