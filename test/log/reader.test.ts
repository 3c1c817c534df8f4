import { connect, type NatsConnection } from 'nats';
import { describe, expect, test } from 'vitest';
import { LogError } from '../../src/log/errors.ts';
import { findNatsServer } from '../../src/log/nats-server/find.ts';
import { isAtLeast } from '../../src/log/nats-server/version.ts';
import { type Log, openLog } from '../../src/log/open-log.ts';
import type { LogEntry, ReaderOptions } from '../../src/log/reader.ts';
import { isTestedWithReplicas } from '../../src/log/stream.ts';
import {
  checkpointOf,
  killServer,
  type ManualServer,
  openManualServer,
  openTestLog,
  readAll,
  TEST_DOMAIN,
} from '../support/nats.ts';
import { until } from '../support/until.ts';
import { batchOf, groupOf, proposal } from './events.ts';

const group = groupOf(1);
const PAUSE_SINCE = { major: 2, minor: 11, patch: 0 };
const canPause = await findNatsServer().then(
  ({ version }) => isAtLeast(version, PAUSE_SINCE),
  () => false,
);

async function write(log: Log, from: number, to: number): Promise<void> {
  for (let first = from; first < to; first += 200) {
    const numbers = Array.from({ length: Math.min(200, to - first) }, (_, i) => first + i);
    await Promise.all(
      numbers.map((i) => log.append({ lane: { kind: 'group-proposal', group }, event: proposal(`event-${i}`, group) })),
    );
  }
}

/** Reads in the background; what came, and how it ended. */
function follow(
  log: Log,
  options: ReaderOptions = {},
): { entries: LogEntry[]; readonly ended: Promise<string>; stop(): Promise<string> } {
  const stopping = new AbortController();
  const entries: LogEntry[] = [];
  const ended = (async () => {
    try {
      for await (const batch of await log.read({ ...options, signal: stopping.signal })) entries.push(...batch);
      return 'ended';
    } catch (error) {
      if (error instanceof LogError) return error.code;
      throw error;
    }
  })();
  return {
    entries,
    ended,
    stop: () => {
      stopping.abort();
      return ended;
    },
  };
}

const openAt = (server: ManualServer, tablesEmpty = true): Promise<Log> =>
  openLog({ place: server.place, domain: TEST_DOMAIN, tablesEmpty });

async function rawConnection(server: ManualServer): Promise<NatsConnection> {
  return await connect({ servers: [...server.place.servers], token: server.place.token });
}

describe('reading', () => {
  test('gives every event once, in order, without gaps, in batches of the size asked for, from any checkpoint', async () => {
    await using opened = await openTestLog();
    await write(opened.log, 0, 700);
    const all = await readAll(opened.log);
    expect(all.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 701 }, (_, i) => i + 1));
    expect(all[0]?.event.type).toBe('log-started');
    expect(new Set(all.map(({ event }) => event.id)).size).toBe(701);
    for (const at of [1, 2, 350, 699, 700, 701]) {
      const rest = await readAll(opened.log, { checkpoint: checkpointOf(all.slice(0, at)) });
      expect(rest.map(({ event }) => event.id)).toEqual(all.slice(at).map(({ event }) => event.id));
    }
    const reader = await opened.log.read({ batchMaxEvents: 64 });
    expect(reader.tail).toBe(701);
    let seen = 0;
    for await (const batch of reader) {
      expect(batch.length).toBeGreaterThan(0);
      expect(batch.length).toBeLessThanOrEqual(64);
      seen += batch.length;
      if (seen === reader.tail) break;
    }
  });

  test('waits at the tail and gives what comes, for as long as it is wanted', async () => {
    await using opened = await openTestLog();
    const reading = follow(opened.log);
    for (let i = 0; i < 5; i += 1) {
      await write(opened.log, i, i + 1);
      await until(() => reading.entries.at(-1)?.event.id === `event-${i}`);
    }
    expect(await reading.stop()).toBe('ended');
    const aborted = new AbortController();
    aborted.abort();
    for await (const _ of await opened.log.read({ signal: aborted.signal })) expect.unreachable();
  });

  test('holds events larger than a pull, and more than a buffer holds, for a reader that is slow', async () => {
    await using opened = await openTestLog();
    const large = { ...proposal('large', group), proposal: new Uint8Array(8 * 1024 * 1024) };
    await write(opened.log, 0, 3);
    await opened.log.append({ lane: { kind: 'group-proposal', group }, event: large });
    for (let i = 0; i < 40; i += 1) await opened.log.submitMessages(batchOf(group, [`m-${i}`], 700_000));
    await opened.log.append({ lane: { kind: 'group-proposal', group }, event: { ...large, id: 'large-2' } });
    const reader = await opened.log.read({ batchMaxEvents: 3 });
    let last = 0;
    for await (const batch of reader) {
      for (const { sequence } of batch) expect(sequence).toBe(++last);
      await new Promise((resolve) => setImmediate(resolve));
      if (last === reader.tail) break;
    }
    expect(last).toBe(46);
  });

  test.skipIf(!canPause)(
    'that is told again and again there is nothing, while the log goes on, begins anew',
    async () => {
      await using server = await openManualServer();
      await using log = await openAt(server);
      const raw = await rawConnection(server);
      const reading = follow(log);
      await until(() => reading.entries.length === 1);
      const ask = async <Answer>(operation: string, body: unknown): Promise<Answer> =>
        (await raw.request(`$JS.API.CONSUMER.${operation}`, JSON.stringify(body))).json<Answer>();
      const { consumers } = await ask<{ consumers: string[] }>('NAMES.MLS', {});
      expect(consumers).toHaveLength(1);
      // as a replica that has stopped taking part: every request is answered, with nothing
      const until2100 = { pause_until: '2100-01-01T00:00:00Z' };
      expect(await ask(`PAUSE.MLS.${consumers[0]}`, until2100)).toMatchObject({ paused: true });
      await write(log, 0, 10);
      await until(() => reading.entries.length === 11);
      await raw.close();
      expect(await reading.stop()).toBe('ended');
    },
  );

  test('goes on over deaths of the server, without a gap, a repetition or a long pause', async () => {
    await using opened = await openTestLog();
    const reading = follow(opened.log);
    for (let round = 0; round < 4; round += 1) {
      const writing = write(opened.log, round * 300, (round + 1) * 300);
      await killServer(opened.log);
      const back = performance.now();
      await writing;
      await until(() => reading.entries.length === 1 + (round + 1) * 300);
      // a connection that does not come back is given up after 30 s
      expect(performance.now() - back).toBeLessThan(20_000);
    }
    expect(await reading.stop()).toBe('ended');
    expect(reading.entries.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 1_201 }, (_, i) => i + 1));
    expect(new Set(reading.entries.map(({ event }) => event.id)).size).toBe(1_201);
  });
});

describe('a log that is not what it was', () => {
  test('gone back behind the checkpoint is rolled-back', async () => {
    await using server = await openManualServer();
    const log = await openAt(server);
    await write(log, 0, 10);
    await server.stop();
    const restore = await server.snapshot();
    await server.start();
    await write(log, 10, 20);
    const checkpoint = checkpointOf(await readAll(log));
    await log.close();
    await server.stop();
    await restore();
    await server.start();
    await using after = await openAt(server, false);
    expect(await follow(after, { checkpoint }).ended).toBe('rolled-back');
    // With its sequences used again the log is long enough, but another event stands at the checkpoint.
    await write(after, 100, 130);
    expect(await follow(after, { checkpoint }).ended).toBe('rolled-back');
    const kept = checkpointOf((await readAll(after)).slice(0, 5));
    expect((await readAll(after, { checkpoint: kept })).length).toBe(36);
  });

  test('gone back while a reader was connected is rolled-back at the reconnect, before anything of it is given', async () => {
    await using server = await openManualServer();
    await using log = await openAt(server);
    await write(log, 0, 10);
    await server.stop();
    const restore = await server.snapshot();
    await server.start();
    const reading = follow(log);
    await write(log, 10, 20);
    await until(() => reading.entries.length === 21);
    await server.kill();
    await restore();
    await server.start();
    await using other = await openAt(server, false);
    await write(other, 100, 140);
    expect(await reading.ended).toBe('rolled-back');
    expect(reading.entries).toHaveLength(21);
  });

  test('made anew is incarnation-changed', async () => {
    await using server = await openManualServer();
    const log = await openAt(server);
    await write(log, 0, 5);
    const checkpoint = checkpointOf(await readAll(log));
    const raw = await rawConnection(server);
    await raw.request('$JS.API.STREAM.DELETE.MLS');
    await expect(openAt(server, false)).rejects.toMatchObject({ code: 'log-missing' });
    await using anew = await openAt(server, true);
    await write(anew, 0, 20);
    expect(await follow(anew, { checkpoint }).ended).toBe('incarnation-changed');
    await raw.close();
    await log.close();
  });

  test('with messages missing in it is a gap', async () => {
    await using server = await openManualServer();
    await using log = await openAt(server);
    await write(log, 0, 20);
    const raw = await rawConnection(server);
    const refused = await raw.request('$JS.API.STREAM.MSG.DELETE.MLS', JSON.stringify({ seq: 7 }));
    expect(refused.json()).toHaveProperty('error');
    await raw.request('$JS.API.STREAM.PURGE.MLS', JSON.stringify({ seq: 10 }));
    await raw.close();
    expect(await follow(log).ended).toBe('gap');
  });

  test('with bytes in it that are no event, or one that is not known, halts there and gives what stands before', async () => {
    await using server = await openManualServer();
    await using log = await openAt(server);
    await write(log, 0, 3);
    const raw = await rawConnection(server);
    const publish = (bytes: string): Promise<unknown> =>
      raw.request('mls.group.AAAA.proposal', Buffer.from(bytes, 'hex'));
    await publish('a261766101'); // {"va": 1} cut short of its second pair
    await write(log, 3, 6);
    const reading = follow(log);
    expect(await reading.ended).toBe('invalid-event');
    expect(reading.entries).toHaveLength(4);
    const checkpoint = checkpointOf(reading.entries);
    expect(await follow(log, { checkpoint }).ended).toBe('invalid-event');
    await raw.close();
  });
});

describe('opening', () => {
  test('a log of another domain is domain-mismatch', async () => {
    await using server = await openManualServer();
    await using log = await openAt(server);
    await expect(openLog({ place: server.place, domain: 'other.example', tablesEmpty: true })).rejects.toMatchObject({
      code: 'domain-mismatch',
    });
    expect((await log.describe()).embedded).toBe(false);
  });

  test('a stream that loses events, or is no log of ours, is log-unsafe', async () => {
    await using server = await openManualServer();
    const raw = await rawConnection(server);
    const make = async (config: object): Promise<void> => {
      await raw.request('$JS.API.STREAM.DELETE.MLS');
      const body = JSON.stringify({
        name: 'MLS',
        subjects: ['mls.>'],
        storage: 'file',
        retention: 'limits',
        ...config,
      });
      // The name of a stream that was just deleted is free a moment later.
      await until(async () => !Object.hasOwn((await raw.request('$JS.API.STREAM.CREATE.MLS', body)).json(), 'error'));
    };
    for (const config of [
      { max_age: 1_000_000_000_000 },
      { max_msgs: 5 },
      { storage: 'memory' },
      { subjects: ['mls.group.>'] },
    ]) {
      await make(config);
      await expect(openAt(server)).rejects.toMatchObject({ code: 'log-unsafe' });
    }
    await make({});
    await raw.request('mls.application.0', 'not ours');
    await expect(openAt(server)).rejects.toMatchObject({ code: 'log-unsafe' });
    await make({});
    await expect(openAt(server, false)).rejects.toMatchObject({ code: 'rolled-back' });
    await using log = await openAt(server);
    expect((await log.describe()).lastSequence).toBe(1);
    await raw.close();
  });

  test('by several nodes at once starts the log once, and all are in the same incarnation', async () => {
    await using server = await openManualServer();
    const logs = await Promise.all(Array.from({ length: 5 }, () => openAt(server)));
    const descriptions = await Promise.all(logs.map((log) => log.describe()));
    expect(new Set(descriptions.map(({ incarnation }) => incarnation)).size).toBe(1);
    expect(descriptions[0]).toMatchObject({ lastSequence: 1, durability: 'unknown' });
    await Promise.all(logs.map((log) => log.close()));
  });

  test('gives what the first event says of old messages, whatever a node would have it be, in any incarnation', async () => {
    await using server = await openManualServer();
    const open = (pastEpochs?: number): Promise<Log> =>
      openLog({
        place: server.place,
        domain: TEST_DOMAIN,
        tablesEmpty: true,
        ...(pastEpochs === undefined ? {} : { pastEpochs }),
      });
    await using first = await open(3);
    await using other = await open(9);
    expect([first.pastEpochs, other.pastEpochs]).toEqual([3, 3]);
    await other.startNewIncarnation();
    await using later = await open();
    expect(later.pastEpochs).toBe(3);
  });

  test('with no server there is unavailable', async () => {
    const nowhere = openLog({ place: { servers: ['127.0.0.1:9'] }, domain: TEST_DOMAIN, tablesEmpty: true });
    await expect(nowhere).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('with replicas is refused on versions whose comparisons were not tested with them', () => {
    for (const version of ['2.10.27', '2.10.29', '2.15.1', '2.15.4']) expect(isTestedWithReplicas(version)).toBe(true);
    for (const version of ['2.9.10', '2.10.26', '2.12.8', '2.15.0', '2.16.0', '3.15.1', 'unknown']) {
      expect(isTestedWithReplicas(version), version).toBe(false);
    }
  });

  test('with replicas on a server that has no cluster is refused, not quietly made with one', async () => {
    await using server = await openManualServer();
    const replicated = openLog({ place: server.place, domain: TEST_DOMAIN, tablesEmpty: true, replicas: 3 });
    await expect(replicated).rejects.toBeInstanceOf(LogError);
  });
});

test('a new incarnation is an event of the log: who stood before it reads on, who stood further is rolled back', async () => {
  await using server = await openManualServer();
  await using log = await openAt(server);
  await write(log, 0, 10);
  const before = await readAll(log);
  const old = (await log.describe()).incarnation;
  const incarnation = await log.startNewIncarnation();
  expect(incarnation).not.toBe(old);
  expect((await log.describe()).incarnation).toBe(incarnation);
  const [started] = await readAll(log, { checkpoint: checkpointOf(before) });
  expect(started?.event).toMatchObject({ type: 'log-started', incarnation, domain: TEST_DOMAIN });
  await write(log, 10, 20);
  const stale = { ...checkpointOf(before), sequence: 15, eventId: 'event-15-of-a-lost-history' };
  expect(await follow(log, { checkpoint: stale }).ended).toBe('incarnation-changed');
  await using reopened = await openAt(server, false);
  expect((await reopened.describe()).incarnation).toBe(incarnation);
});
