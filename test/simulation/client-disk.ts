import type { ClientStore, Write } from '../../src/client/store/client-store.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { toHex } from '../../src/wire/bytes.ts';
import { asLiarsWrite } from './lying-disk.ts';
import type { World } from './world.ts';

/** What a process that dies at a write hears of it. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

/** One client machine's disk: what was committed survives the program, what was flushed survives a power cut. */
export interface ClientDisk {
  readonly rows: Map<string, Uint8Array>;
  isFull: boolean;
  crash: { in: number; readonly applied: boolean } | undefined;
  /** Committed and not flushed. */
  readonly unflushed: number;
  /** Opens it for one program; when that is told to die, nothing of it gets here any more. */
  open(died: () => void): ClientStore & { die(): void };
  /** Loses the newest of what was not flushed. */
  losePower(): void;
}

/** Told of every transaction as it is committed. */
export type OnCommitted = (writes: readonly Write[]) => void;

export function createClientDisk(
  world: World,
  before: ReadonlyMap<string, Uint8Array>,
  onCommitted: OnCommitted,
): ClientDisk {
  const { time, chance } = world;
  const rows = new Map(before);
  const flushed = new Map(before);
  const unflushed: (readonly Write[])[] = [];
  const lied = asLiarsWrite(world.mutations);

  const apply = (to: Map<string, Uint8Array>, writes: readonly Write[]): void => {
    for (const { key, value } of writes) {
      if (value === undefined) to.delete(toHex(key));
      else to.set(toHex(key), value);
    }
  };
  const flush = (count: number): void => {
    for (const writes of unflushed.splice(0, count)) apply(flushed, writes);
  };
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      time.after(chance.between(0, 3), resolve);
    });

  const disk: ClientDisk = {
    rows,
    isFull: false,
    crash: undefined,
    get unflushed() {
      return unflushed.length;
    },
    open(died) {
      const inner = createMemoryStore(rows);
      let isDead = false;
      const check = (): void => {
        if (isDead) throw new Crash('the program is gone');
      };
      const die = (): void => {
        if (isDead) return;
        isDead = true;
        died();
      };
      const write = (writes: readonly Write[]): void => {
        // copies: what the program does with its buffers afterwards must not reach the disk
        const kept = lied(writes).map(({ key, value }) => ({ key: key.slice(), value: value?.slice() }));
        apply(rows, kept);
        unflushed.push(kept);
        onCommitted(kept);
      };
      return {
        ...inner,
        commit: async (writes) => {
          await pause();
          check();
          if (disk.isFull) throw new Error('no space left on the disk');
          const { crash } = disk;
          if (crash === undefined || --crash.in > 0) {
            write(writes);
            return;
          }
          disk.crash = undefined;
          world.fault(crash.applied ? 'client killed after a write' : 'client killed before a write');
          if (crash.applied) write(writes);
          die();
          throw new Crash('killed at a write');
        },
        durable: async () => {
          if (world.mutations.durableLies === true) return;
          const count = unflushed.length;
          await pause();
          check();
          flush(Math.min(count, unflushed.length));
        },
        die,
      };
    },
    losePower() {
      flush(chance.below(unflushed.length + 1));
      unflushed.length = 0;
      rows.clear();
      for (const [key, value] of flushed) rows.set(key, value);
    },
  };
  return disk;
}
