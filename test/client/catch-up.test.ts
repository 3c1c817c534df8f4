import { expect, test } from 'vitest';
import { waitUntilCaughtUp } from '../../src/client/runner/catch-up.ts';
import { createReadingState } from '../../src/client/runner/reading-state.ts';
import { TransportError } from '../../src/client/transport/server-api.ts';
import { CURSOR_BLOCK_BYTES, cursorFromBlock } from '../../src/wire/cursor.ts';
import { type Cursor, type GroupId, START_CURSOR } from '../../src/wire/ids.ts';

const TEA = 'tea' as GroupId;

/** Waits for the one entry that the server has; `meanwhile` is what is read before the server's answer is here. */
function catchingUp(meanwhile: (last: Cursor, world: ReturnType<typeof reading>) => void) {
  const world = reading();
  const cursors = crypto.getRandomValues(new Uint8Array(CURSOR_BLOCK_BYTES));
  const last = cursorFromBlock(cursors);
  const api = {
    syncPage: async () => {
      meanwhile(last, world);
      return { entries: [new Uint8Array(1)], cursors, heads: [], cursor: last, upToDate: true };
    },
  };
  world.sync.setUpToDate(true);
  const done = waitUntilCaughtUp({ api, sync: world.sync, random: () => 0 }, new AbortController().signal, TEA);
  return { ...world, last, done };
}

function reading() {
  const held = new Set<GroupId>();
  return { held, sync: createReadingState({ held, state: { cursor: START_CURSOR } }) };
}

test('what is passed while the group is held is not taken for read: it comes again', async () => {
  const { held, sync, last, done } = catchingUp((cursor, world) => {
    world.held.add(TEA);
    world.sync.passed(cursor);
  });
  let isDone = false;
  const ended = done.then(() => {
    isDone = true;
  });
  await new Promise((resolve) => setImmediate(resolve)); // whatever could settle has
  expect(isDone).toBe(false);
  held.clear();
  sync.restart();
  sync.passed(last);
  await ended;
});

test('what a log had last that was replaced meanwhile is not waited for: the new one is asked', async () => {
  const { sync, done } = catchingUp((_last, world) => world.sync.compare());
  const ended = expect(done).rejects.toBeInstanceOf(TransportError);
  sync.passed(cursorFromBlock(new Uint8Array(CURSOR_BLOCK_BYTES)));
  await ended;
});
