import { expect, test, vi } from 'vitest';
import { createSequenceWaiters, WAITERS_MAX } from '../../src/projections/sequence-waiters.ts';
import { createWatchers } from '../../src/projections/watchers.ts';
import { bytesOf, createScript, sampleLog, testDevice } from './builders.ts';
import { createFakeLog } from './fake-log.ts';
import { openTest } from './open.ts';

const SIGNAL = () => AbortSignal.timeout(60_000);

test('a caller that waits for a sequence goes on when the checkpoint is there, and not before', async () => {
  const { events } = sampleLog();
  const log = createFakeLog(events.slice(0, 4));
  const { read } = await openTest(log);
  await read.waitForSequence(4, SIGNAL());
  const reached: number[] = [];
  const waits = [7, 5, 6].map(async (sequence) => {
    await read.waitForSequence(sequence, SIGNAL());
    reached.push(sequence);
    expect(read.checkpoint().sequence).toBeGreaterThanOrEqual(sequence);
  });
  for (const event of events.slice(4, 7)) {
    const sequence = log.append(event);
    await read.waitForSequence(sequence, SIGNAL());
  }
  await Promise.all(waits);
  expect(reached.toSorted()).toEqual([5, 6, 7]);
});

test('a caller that gives up stops waiting with its own reason; closing rejects the others', async () => {
  const { events } = sampleLog();
  const projections = await openTest(createFakeLog(events));
  await projections.ready;
  const { read } = projections;
  const giveUp = new AbortController();
  const [first, second] = [read.waitForSequence(999, giveUp.signal), read.waitForSequence(999, SIGNAL())];
  giveUp.abort(new Error('no longer'));
  await expect(first).rejects.toThrow('no longer');
  await expect(read.waitForSequence(1, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  const closed = expect(second).rejects.toMatchObject({ code: 'closed' });
  await projections.close();
  await closed;
  expect(read.readiness().ready).toBe(false);
});

test('there is a bound on how many wait', async () => {
  const waiters = createSequenceWaiters(0);
  const all = Array.from({ length: WAITERS_MAX }, () => waiters.wait(1, new AbortController().signal));
  await expect(waiters.wait(1, new AbortController().signal)).rejects.toMatchObject({ code: 'overloaded' });
  waiters.reach(1);
  await Promise.all(all);
});

test('a node that catches up says how far it is; caught up, it is ready', async () => {
  const { events } = sampleLog();
  const projections = await openTest(createFakeLog(events, [1]));
  const seen = projections.read.readiness();
  expect(seen.ready || seen.reasons[0]).toMatch(/^projections are at sequence \d+ of \d+$/);
  await projections.ready;
  expect(projections.read.readiness()).toEqual({ ready: true });
});

test('a wake reaches the members of a touched group, also the one it removes, and nobody else', async () => {
  const script = createScript();
  const [alice, bob, carol] = [testDevice('alice'), testDevice('bob'), testDevice('carol')];
  const group = bytesOf('g', 16);
  const log = createFakeLog([
    script.started(),
    ...[alice, bob, carol].map((device) => script.register(device)),
    script.createGroup(alice, group),
  ]);
  const { read, ready } = await openTest(log);
  await ready;
  const wakes = [alice, bob, carol].map((person) => {
    const wake = vi.fn();
    return { wake, watcher: read.watch(person.device, wake) };
  });
  const woken = async (event: Parameters<typeof log.append>[0]) => {
    for (const { wake } of wakes) wake.mockClear();
    await read.waitForSequence(log.append(event), SIGNAL());
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    return wakes.map(({ wake }) => wake.mock.calls.length);
  };
  expect(await woken(script.commit(alice, group, 0, 0, { adds: [bob] }))).toEqual([1, 1, 0]);
  expect(await woken(script.send(script.batch(bob, group, 1, ['1', '2', '3'])))).toEqual([1, 1, 0]);
  expect(await woken(script.commit(alice, group, 1, 0, { removes: [1] }))).toEqual([1, 1, 0]);
  expect(await woken(script.send(script.batch(alice, group, 2, ['4'])))).toEqual([1, 0, 0]);
  wakes[0]!.watcher.close();
  expect(await woken(script.send(script.batch(alice, group, 2, ['5'])))).toEqual([0, 0, 0]);
});

test('many batches in one turn wake a watcher once', async () => {
  const watchers = createWatchers();
  const { device } = testDevice('alice');
  const wake = vi.fn();
  watchers.watch(device, wake);
  const touched = {
    touchedGroups: new Map([[1, { leaves: new Map([[device, 0]]) }]]),
    touchedDevices: new Set([device]),
  };
  for (let i = 0; i < 10; i += 1) watchers.notify(touched);
  await new Promise((resolve) => setImmediate(resolve));
  expect(wake).toHaveBeenCalledTimes(1);
});
