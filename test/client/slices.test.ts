import { expect, test } from 'vitest';
import type { EngineEnv } from '../../src/client/engine/types.ts';
import { openChatState } from '../../src/client/runner/chat-state.ts';
import { createEntryReader, SLICE_MS } from '../../src/client/runner/entry-reader.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { CURSOR_BLOCK_BYTES } from '../../src/wire/cursor.ts';
import { START_CURSOR } from '../../src/wire/ids.ts';
import type { Page } from '../../src/wire/page.ts';

const ENTRIES = 400;
/** What reading one entry takes. */
const ENTRY_MS = 10;

/** A page of what this version may pass over, and how much of it each transaction holds when storing one takes so long. */
async function slices(storingMs: number): Promise<number[]> {
  let now = 0;
  const store = createMemoryStore(new Map());
  const slow: typeof store = {
    ...store,
    commit: async (writes) => {
      now += storingMs;
      await store.commit(writes);
    },
  };
  const state = await openChatState({ store: slow, groups: [], notify: () => {}, accountWrites: () => [] });
  const entry = encodeCbor({ kind: 'of another version' });
  const page: Page = {
    entries: Array.from({ length: ENTRIES }, () => entry),
    cursors: crypto.getRandomValues(new Uint8Array(ENTRIES * CURSOR_BLOCK_BYTES)),
    heads: [],
    cursor: START_CURSOR,
    upToDate: true,
  };
  const reader = createEntryReader({
    ...{ store: slow, state, poisoned: [], progress: { begin: () => {}, end: () => {} } },
    env: {} as EngineEnv, // nothing of these entries reaches the engine
    monotonicMs: () => {
      now += ENTRY_MS;
      return now;
    },
  });
  const sizes: number[] = [];
  for (let next = 0; next < ENTRIES; ) {
    const slice = await reader.readSlice(page, next);
    sizes.push(slice.next - next);
    next = slice.next;
  }
  return sizes;
}

test('where storing takes long a transaction holds more, up to a bound, and else what is read in a moment', async () => {
  const [quick] = await slices(0);
  expect(quick).toBeGreaterThan(0);
  expect(quick! * ENTRY_MS).toBeLessThanOrEqual(SLICE_MS);
  const [first, second] = await slices(20);
  expect([first, second! > 2 * first!]).toEqual([quick, true]);
  const [, , longest] = await slices(10_000);
  expect(longest! * ENTRY_MS).toBeLessThanOrEqual(1_000);
});
