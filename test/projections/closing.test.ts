import { expect, test } from 'vitest';
import { LogError } from '../../src/log/errors.ts';
import { entryKey } from '../../src/projections/fold/keys.ts';
import type { ProjectionLog } from '../../src/projections/fold-run.ts';
import { openProjections } from '../../src/projections/open-projections.ts';
import { createScript, fakeHandshakes, sampleLog } from './builders.ts';
import { changeRow, flipped } from './change-row.ts';
import { createFakeLog, type FakeLog } from './fake-log.ts';
import { CURSOR_KEY, openTest, readAll, tempFolder } from './open.ts';

const SIGNAL = () => AbortSignal.timeout(60_000);
const TEA = 1;

/** A log that can go away: whoever begins to read it then waits until it gives up. */
function createLogThatGoesAway(log: FakeLog) {
  let isAway = false;
  let onWaiting: () => void = () => {};
  const waiting = new Promise<void>((resolve) => {
    onWaiting = resolve;
  });
  const read: ProjectionLog['read'] = async (options) => {
    if (!isAway) return await log.read(options);
    const { signal } = options;
    return await new Promise((_, reject) => {
      const giveUp = (): void => reject(new LogError('aborted', 'given up while waiting for the log'));
      if (signal?.aborted === true) giveUp();
      else signal?.addEventListener('abort', giveUp, { once: true });
      onWaiting();
    });
  };
  return {
    log: { ...log, read },
    /** Settles when somebody waits for it. */
    waiting,
    leave: () => {
      isAway = true;
    },
  };
}

/** Fails after a minute: what is waited for here comes at once, or never. */
function soon<Value>(promise: Promise<Value>): Promise<Value> {
  const signal = SIGNAL();
  return Promise.race([
    promise,
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    }),
  ]);
}

test('closing waits for no log while damaged tables are made anew', async () => {
  const { events, devices } = sampleLog();
  const { log, waiting, leave } = createLogThatGoesAway(createFakeLog(events.slice(0, -1)));
  const dir = await tempFolder();
  const projections = await openTest(log, { dir });
  await projections.ready;
  await changeRow(dir, entryKey(TEA, 3), flipped);
  await projections.read.waitForSequence(log.append(events.at(-1)!), SIGNAL()); // from here on that row is seen
  leave();
  expect(() => readAll(projections.read, devices[0]!.device)).toThrow(expect.objectContaining({ code: 'damaged' }));
  await soon(waiting);
  await soon(projections.close());
});

test('an opening is given up at once while the log is away, and at the next one nothing is missing', async () => {
  const { events } = sampleLog();
  const { log, waiting, leave } = createLogThatGoesAway(createFakeLog(events));
  leave();
  const dir = await tempFolder();
  const stopping = new AbortController();
  const options = { dir, log, cursorKey: CURSOR_KEY, handshakes: fakeHandshakes, signal: stopping.signal };
  const opening = openProjections(options);
  opening.catch(() => undefined); // looked at below
  await soon(waiting);
  stopping.abort();
  await expect(soon(opening)).rejects.toMatchObject({ code: 'aborted' });
  await expect(soon(openProjections(options))).rejects.toMatchObject({ code: 'aborted' });
  const later = await openTest(createFakeLog(events), { dir });
  await later.ready;
});

test('a fold that has not come as far as the log is given up, keeps what it has, and goes on from there', async () => {
  const { events } = sampleLog();
  const log = createFakeLog(events.slice(0, -1));
  // as a long log: there is more than it gives
  const longer = { ...log, read: async (how: object) => Object.assign(await log.read(how), { tail: events.length }) };
  const dir = await tempFolder();
  const stopping = new AbortController();
  const projections = await openTest(longer, { dir, signal: stopping.signal });
  await projections.read.waitForSequence(events.length - 1, SIGNAL());
  stopping.abort();
  await expect(soon(projections.ready)).rejects.toMatchObject({ code: 'closed' });
  await soon(projections.close());
  const later = await openTest(createFakeLog(events), { dir });
  expect(later.read.checkpoint().sequence).toBe(events.length - 1);
  await later.ready;
});

test('once it is ready, what would have given it up ends nothing', async () => {
  const { events } = sampleLog();
  const log = createFakeLog(events);
  const stopping = new AbortController();
  const projections = await openTest(log, { signal: stopping.signal });
  await projections.ready;
  stopping.abort();
  const next = createScript(events.at(-1)!.time).started('second');
  await projections.read.waitForSequence(log.append(next), SIGNAL());
});
