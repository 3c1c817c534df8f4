import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LogError } from '../../src/log/errors.ts';
import { createStallWatch } from '../../src/log/stall-watch.ts';

const LOOK_EVERY_MS = 1_000;

function watched() {
  const log = { next: 5, last: 4 as number | Error, known: 0, stalls: 0, asked: 0 };
  const watch = createStallWatch({
    next: () => log.next,
    newestKnown: () => log.known,
    lastSequence: async () => {
      log.asked += 1;
      if (log.last instanceof Error) throw log.last;
      return log.last;
    },
    onStalled: () => {
      log.stalls += 1;
    },
  });
  const look = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i += 1) {
      watch.look();
      await vi.advanceTimersByTimeAsync(LOOK_EVERY_MS);
    }
  };
  return { log, watch, look };
}

describe('a consumer that gives nothing', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  test('is left alone at the end of the log, however long that lasts', async () => {
    const { log, look } = watched();
    await look(100);
    expect(log).toMatchObject({ stalls: 0, asked: 100 });
  });

  test('is stalled, once, when the log has had more for some seconds', async () => {
    const { log, look } = watched();
    await look(10);
    log.last = 5;
    await look(4);
    expect(log.stalls).toBe(0);
    await look(20);
    expect(log.stalls).toBe(1);
  });

  test('is stalled as well when the server does not know how far the log is, or says nothing, and somebody else does', async () => {
    for (const last of [4, new LogError('unavailable', 'nobody answers')]) {
      const { log, look } = watched();
      Object.assign(log, { last, known: 5 });
      await look(10);
      expect(log.stalls).toBe(1);
    }
  });

  test('is not stalled when something came meanwhile, or nobody says where the log ends', async () => {
    const { log, watch, look } = watched();
    log.last = 8;
    for (const next of [6, 7, 8]) {
      await look(4);
      log.next = next;
      watch.heard();
    }
    log.last = new LogError('unavailable', 'nobody answers');
    await look(20);
    expect(log.stalls).toBe(0);
  });
});
