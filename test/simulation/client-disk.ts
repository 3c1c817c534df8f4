import type { HistoryLine } from '../../src/client/chat-client.ts';
import type { ClientStore, Write } from '../../src/client/store/client-store.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { fromUtf8, toHex, toUtf8 } from '../../src/wire/bytes.ts';
import { tellsGap } from './missed.ts';
import type { World } from './world.ts';

/** First byte of the keys of ratchets. */
const RATCHET_TABLE = 'r'.charCodeAt(0);

const LINE_TABLE = 'l'.charCodeAt(0);

function lineIn({ key, value }: Write): HistoryLine | undefined {
  if (key[0] !== LINE_TABLE || value === undefined) return undefined;
  return JSON.parse(fromUtf8(value) ?? '') as HistoryLine;
}

function withMoreMissed(write: Write): Write {
  const line = lineIn(write);
  if (line?.kind !== 'warning' || !tellsGap(line)) return write;
  return {
    ...write,
    value: toUtf8(JSON.stringify({ ...line, text: line.text.replace(/: [\d,]+ entr/, ': 999 entr') })),
  };
}

function asLeave(write: Write): Write {
  const line = lineIn(write);
  if (line?.kind !== 'membership' || !line.rotated) return write;
  const { by, group, groupName, time, position, cursor } = line;
  const left = { kind: 'removed-me', by, group, groupName, time, position, cursor };
  return { ...write, value: toUtf8(JSON.stringify(left)) };
}

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
        const kept = writes
          .filter(({ key }) => world.mutations.ratchetsNotStored !== true || key[0] !== RATCHET_TABLE)
          .filter((one) => world.mutations.accountsNotShown !== true || lineIn(one)?.kind !== 'account')
          .filter((one) => world.mutations.gapsNotTold !== true || !tellsGap(lineIn(one)))
          .map((one) => (world.mutations.gapsOvertold === true ? withMoreMissed(one) : one))
          .map((one) => (world.mutations.leavesInWord === true ? asLeave(one) : one))
          .map(({ key, value }) => ({ key: key.slice(), value: value?.slice() }));
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
