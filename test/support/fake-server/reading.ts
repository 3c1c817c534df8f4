import { TransportError } from '../../../src/client/transport/server-api.ts';
import { concatBytes, toHex } from '../../../src/wire/bytes.ts';
import { blockFromCursor, CURSOR_BLOCK_BYTES, cursorFromBlock } from '../../../src/wire/cursor.ts';
import { type Cursor, type DeviceId, groupIdOf, type Position, START_CURSOR } from '../../../src/wire/ids.ts';
import type { Page, StreamItem } from '../../../src/wire/page.ts';
import { ProblemError } from '../../../src/wire/problems.ts';
import type { FakeLine } from './line.ts';
import type { FakeWorld } from './world.ts';

/** How pages leave: their size, and what a server that lies makes of them. */
export interface PageHands {
  readonly pageEntries: number;
  readonly tamper: ((device: DeviceId, page: Page) => Page) | undefined;
}

/** Pages and streams over the log, and cursors that are an incarnation and an index in it. */
export interface Reading {
  syncPage(device: DeviceId, cursor: Cursor, limit: number): Page;
  syncStream(device: DeviceId, cursor: Cursor, signal: AbortSignal): AsyncGenerator<StreamItem>;
  /** Ends every stream. */
  dropStreams(): void;
}

export function createReading(world: FakeWorld, line: FakeLine, hands: PageHands): Reading {
  const { log, groups, wakers } = world;
  const breakers = new Set<() => void>();

  const cursorAt = (index: number): Cursor => {
    const block = new Uint8Array(CURSOR_BLOCK_BYTES);
    new DataView(block.buffer).setUint32(0, world.incarnation);
    new DataView(block.buffer).setUint32(12, index);
    return cursorFromBlock(block);
  };
  const indexOf = (cursor: Cursor): number => {
    if (cursor === START_CURSOR) return 0;
    const block = blockFromCursor(cursor);
    if (block === undefined) throw new ProblemError('cursor-invalid', 'not a cursor');
    const view = new DataView(block.buffer, block.byteOffset);
    if (view.getUint32(0) !== world.incarnation) throw new ProblemError('cursor-invalid', 'of another log');
    return view.getUint32(12);
  };
  const pageFrom = (device: DeviceId, from: number, limit: number): { page: Page; next: number } => {
    const entries: Uint8Array[] = [];
    const blocks: Uint8Array[] = [];
    const heads = new Map<string, { group: Uint8Array; position: Position; hash: Uint8Array }>();
    let index = from;
    for (; index < log.length && entries.length < limit; index += 1) {
      const item = log[index]!;
      if (!item.readers.has(device)) continue;
      entries.push(item.bytes);
      blocks.push(blockFromCursor(cursorAt(index + 1))!);
      if ('position' in item.entry) {
        const group = groups.get(groupIdOf(item.entry.group))!;
        const { position } = item.entry;
        const hash = group.entries[position - 1]!.head;
        heads.set(toHex(group.bytes), { group: group.bytes, position, hash });
      }
    }
    const upToDate = !log.some((item, i) => i >= index && item.readers.has(device));
    const next = upToDate ? log.length : index;
    const cursors = concatBytes(...blocks);
    const page = { entries, cursors, cursor: cursorAt(next), upToDate, heads: [...heads.values()] };
    return { page: hands.tamper?.(device, page) ?? page, next };
  };

  async function* syncStream(device: DeviceId, cursor: Cursor, signal: AbortSignal): AsyncGenerator<StreamItem> {
    await Promise.resolve();
    if (line.isCut(device)) throw new TransportError('unreachable', 'the network is cut');
    let index = indexOf(cursor);
    let marked = false;
    let broken = false;
    const own = world.incarnation;
    let notify = (): void => {};
    const poke = (): void => notify();
    const breakIt = (): void => {
      broken = true;
      notify();
    };
    wakers.add(poke);
    breakers.add(breakIt);
    signal.addEventListener('abort', poke);
    try {
      while (!signal.aborted) {
        if (broken || line.isCut(device)) throw new TransportError('unreachable', 'the connection was cut');
        if (own !== world.incarnation) return;
        const { page, next } = pageFrom(device, index, hands.pageEntries);
        index = next;
        if (page.entries.length > 0) {
          yield { type: 'page', ...page };
          continue;
        }
        if (!marked) {
          marked = true;
          yield { type: 'caught-up', cursor: page.cursor };
          continue;
        }
        await new Promise<void>((resolve) => {
          notify = resolve;
          if (broken || index < log.length || signal.aborted) resolve();
        });
      }
    } finally {
      wakers.delete(poke);
      breakers.delete(breakIt);
      signal.removeEventListener('abort', poke);
    }
  }

  return {
    syncPage: (device, cursor, limit) => pageFrom(device, indexOf(cursor), Math.min(limit, hands.pageEntries)).page,
    syncStream,
    dropStreams: () => {
      for (const breakIt of breakers) breakIt();
    },
  };
}
