import type { IncomingMessage, ServerResponse } from 'node:http';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAdaptiveLimit } from '../../src/api/http/adaptive-limit.ts';
import { createAdmission, UNDER_WAY } from '../../src/api/http/admission.ts';
import { createGate } from '../../src/api/writes/gate.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import { problemOf } from '../support/signed-client.ts';
import { until } from '../support/until.ts';
import { useServer } from './support.ts';

const BOUNDS = { floor: 20, start: 40, max: 200, targetMs: 50 };

/** A server under a limit, and the time that goes by there. */
function openServer() {
  const limit = createAdaptiveLimit(BOUNDS);
  let now = 0;
  let inside = 0;
  return {
    limit,
    /** All that is under way is done, and nothing comes. */
    drain(): void {
      for (; inside > 0; inside -= 1) {
        now += 10;
        limit.done(now);
        limit.leave(now);
      }
    },
    /** It does so many a second, one after another; callers are always so many, or more than may be in. */
    play(perSecond: number, seconds: number, callers = Number.POSITIVE_INFINITY): void {
      for (let i = 0; i < perSecond * seconds; i += 1) {
        while (inside < Math.min(callers, limit.current)) {
          limit.enter(now);
          inside += 1;
        }
        if (callers > inside) limit.refused();
        now += 1_000 / perSecond;
        limit.done(now);
        limit.leave(now);
        inside -= 1;
      }
    },
  };
}

describe('an adaptive limit', () => {
  it('comes to what is done within the target, whatever a server can do, between its floor and its most', () => {
    const speeds = fc.integer({ min: 50, max: 6_000 });
    fc.assert(
      fc.property(speeds, (perSecond) => {
        const { limit, play } = openServer();
        play(perSecond, 4);
        const inTime = (perSecond * BOUNDS.targetMs) / 1_000;
        const expected = Math.min(BOUNDS.max, Math.max(BOUNDS.floor, inTime));
        expect(Math.abs(limit.current - expected)).toBeLessThanOrEqual(1 + 0.05 * expected);
      }),
      { numRuns: 50 },
    );
  });

  it('follows a server that becomes slower, and one that becomes faster', () => {
    const { limit, play } = openServer();
    const seen = [3_000, 800, 3_000].map((perSecond) => {
      play(perSecond, 5);
      return limit.current;
    });
    expect(seen[0]).toBeGreaterThan(130);
    expect(seen[1]).toBeLessThan(50);
    expect(seen[2]).toBeGreaterThan(130);
  });

  it('is not cut because of few that are slow', () => {
    const { limit, play } = openServer();
    play(10, 60, 8);
    expect(limit.current).toBe(BOUNDS.start);
  });

  it('is what it began with as soon as it is calm again', () => {
    const { limit, play } = openServer();
    play(100, 5);
    expect(limit.current).toBe(BOUNDS.floor);
    play(100, 2, 2);
    expect(limit.current).toBe(BOUNDS.start);
  });

  it('is that also when it is quiet after an overload, or the few that come are slow', () => {
    for (const callers of [undefined, 2]) {
      const { limit, play, drain } = openServer();
      play(100, 5);
      drain();
      expect(limit.current).toBe(BOUNDS.floor);
      if (callers === undefined) {
        limit.enter(3_600_000);
        expect(limit.current).toBe(BOUNDS.start);
      } else {
        play(10, 20, callers); // 200 ms each
        expect(limit.current).toBe(BOUNDS.start);
      }
    }
  });
});

/** As much of a request and its response as the door looks at. */
function visitor(method: string, url: string, headers: Record<string, string> = {}) {
  const head: { status?: number; headers?: Record<string, unknown> } = {};
  const onClose: (() => void)[] = [];
  const response = {
    once: (_: string, listener: () => void) => onClose.push(listener),
    writeHead: (status: number, given: Record<string, unknown>) => Object.assign(head, { status, headers: given }),
    end: () => {},
  } as unknown as ServerResponse;
  const close = (): void => {
    for (const listener of onClose) listener();
  };
  return { request: { method, url, headers } as unknown as IncomingMessage, response, head, close };
}
type Visitor = ReturnType<typeof visitor>;

const read = (headers?: Record<string, string>): Visitor => visitor('GET', '/v1/sync', headers);
const write = (): Visitor => visitor('POST', '/v1/groups/g/messages');

function openDoor(max = 2_048) {
  const clock = { now: 0 };
  const limit = createAdaptiveLimit(UNDER_WAY);
  const gate = createGate(
    max,
    () => true,
    limit,
    () => clock.now,
  );
  const admission = createAdmission(limit, gate, () => clock.now);
  const enter = ({ request, response }: Visitor): boolean => admission.enter(request, response);
  return { clock, gate, admission, enter };
}

/** An append that lasts until it is told to end. */
function append(gate: ReturnType<typeof createGate>): () => Promise<void> {
  let end = (): void => {};
  const done = gate.pass(
    () =>
      new Promise<void>((resolve) => {
        end = resolve;
      }),
  );
  return () => {
    end();
    return done;
  };
}

describe('admission', () => {
  it('answers 503 with Retry-After once too many are inside, and lets in again who comes after one has left', () => {
    const { admission, enter } = openDoor();
    const inside = Array.from({ length: admission.limit }, () => read());
    for (const one of inside) expect(enter(one)).toBe(true);
    const late = read();
    expect(enter(late)).toBe(false);
    expect(late.head).toMatchObject({ status: 503, headers: { 'retry-after': expect.stringMatching(/^[123]$/) } });
    expect(late.head.headers).not.toHaveProperty('connection');
    const large = read({ 'content-length': '9000000' });
    enter(large);
    expect(large.head.headers).toHaveProperty('connection', 'close');
    expect(admission.turnedAway).toBe(2);
    admission.leave(inside[0]!.response); // authenticated
    inside[0]!.close();
    inside[1]!.close(); // broken off
    expect(admission.inside).toBe(inside.length - 2);
    expect(enter(late)).toBe(true);
  });

  it('asks those whom it refuses at one moment to come again at several', () => {
    const { admission, enter } = openDoor();
    for (let i = admission.limit; i > 0; i -= 1) enter(read());
    const refused = Array.from({ length: 200 }, () => read());
    for (const one of refused) expect(enter(one)).toBe(false);
    expect(new Set(refused.map(({ head }) => head.headers?.['retry-after'])).size).toBeGreaterThan(1);
  });

  it('never turns away who asks for health, readiness or metrics', () => {
    const { admission, enter } = openDoor();
    for (let i = 0; i < 5_000; i += 1) {
      expect(enter(visitor('GET', ['/healthz', '/readyz', '/metrics'][i % 3]!))).toBe(true);
    }
    expect(admission.inside).toBe(0);
  });

  it('of a slow server refuses none of 64 callers that wait for their answers, and none of a burst of 100', async () => {
    const { clock, gate, admission, enter } = openDoor();
    const slowly = async (one: Visitor): Promise<void> => {
      admission.leave(one.response);
      await gate.pass(async () => {
        clock.now += 50; // twenty a second
      });
      one.close();
    };
    const burst = Array.from({ length: 100 }, () => write());
    for (const one of burst) expect(enter(one)).toBe(true);
    for (const one of burst) await slowly(one);
    const callers = Array.from({ length: 64 }, () => write());
    for (const one of callers) expect(enter(one)).toBe(true);
    for (let i = 0; i < 3_000; i += 1) {
      await slowly(callers.shift()!);
      const next = write();
      expect(enter(next)).toBe(true);
      callers.push(next);
    }
    expect(admission.limit).toBe(UNDER_WAY.floor);
  });

  it('counts writes until they are in the log, and refuses the next before it costs anything', async () => {
    const { gate, admission, enter } = openDoor();
    const ends = Array.from({ length: admission.limit }, () => append(gate));
    expect(enter(write())).toBe(false);
    await ends[0]!();
    expect(enter(write())).toBe(true);
    expect(enter(write())).toBe(false);
    for (const end of ends.slice(1)) await end();
    expect(enter(write())).toBe(true);
    expect(admission.turnedAway).toBe(2);
  });

  it('lets readers and those who open sessions in while the log stands still', () => {
    const { gate, admission, enter } = openDoor();
    while (gate.inFlight < admission.limit) append(gate);
    expect(enter(write())).toBe(false);
    for (let i = 0; i < 30; i += 1) expect(enter(read())).toBe(true);
    expect(enter(visitor('POST', '/v1/sessions'))).toBe(true);
  });

  it('lets no more writes in because reads are quick, and no fewer reads because writes are slow', async () => {
    const { clock, gate, admission, enter } = openDoor();
    const ends: (() => Promise<void>)[] = [];
    for (let i = 0; i < 5_000; i += 1) {
      for (let next = write(); enter(next); next = write()) {
        admission.leave(next.response); // authenticated, and on to the gate
        ends.push(append(gate));
        next.close();
      }
      const reader = read();
      expect(enter(reader)).toBe(true);
      clock.now += 1;
      admission.leave(reader.response);
      reader.close();
      if (i % 20 === 0) await ends.shift()!();
    }
    expect(admission.limit).toBe(UNDER_WAY.floor);
    expect(admission.readsLimit).toBe(UNDER_WAY.start);
  });

  it('refuses writes that the gate would refuse', async () => {
    const { gate, enter } = openDoor(1);
    const end = append(gate);
    expect(enter(write())).toBe(false);
    expect(enter(read())).toBe(true);
    await end();
    expect(enter(write())).toBe(true);
  });

  it('counts a body that is awaited for nobody: neither does it hold a place when it is late, nor make the server seem slow', () => {
    const { clock, admission, enter } = openDoor();
    const senders = Array.from({ length: admission.limit }, () => write());
    for (const one of senders) {
      expect(enter(one)).toBe(true);
      admission.awaitBody(one.response);
    }
    expect(enter(write())).toBe(false);
    clock.now += 10_000;
    const quick = write();
    expect(enter(quick)).toBe(true);
    expect(admission.awaited).toBe(senders.length);
    for (const { response } of senders.slice(0, 40)) admission.bodyCame(response);
    expect(admission.inside).toBe(41);
    for (const one of senders) one.close();
    quick.close();
    expect([admission.inside, admission.awaited, admission.limit]).toEqual([0, 0, UNDER_WAY.start]);
  });
});

describe('the gate of writes', () => {
  it('refuses with storage-full while there is no room, and lets writes in as soon as there is', async () => {
    let hasRoom = false;
    const gate = createGate(8, () => hasRoom);
    await expect(gate.pass(async () => 1)).rejects.toMatchObject({ code: 'storage-full', retryAfterSeconds: 60 });
    hasRoom = true;
    expect(await gate.pass(async () => 1)).toBe(1);
    expect(gate.inFlight).toBe(0);
  });

  it('without room says first what room would not change, to nobody when it is full, and nothing of it with room', async () => {
    let hasRoom = false;
    let judged = 0;
    const gate = createGate(1, () => hasRoom);
    const pass = (tooLate: boolean): Promise<number> =>
      gate.pass(
        async () => 1,
        () => {
          judged += 1;
          if (tooLate) throw new ProblemError('epoch-conflict', 'too late');
        },
      );
    await expect(pass(true)).rejects.toMatchObject({ code: 'epoch-conflict' });
    await expect(pass(false)).rejects.toMatchObject({ code: 'storage-full' });
    expect([judged, gate.inFlight]).toEqual([2, 0]);
    hasRoom = true;
    const end = append(gate);
    hasRoom = false;
    await expect(pass(true)).rejects.toMatchObject({ code: 'not-ready' });
    await end();
    hasRoom = true;
    expect(await pass(true)).toBe(1);
    expect(judged).toBe(2);
  });
});

const WAITING = 300; // more than are let in at once
const { device, metric } = useServer({ limits: { streamsPerDevice: 2 * WAITING, streamsPerAddress: 2 * WAITING } });

it('long polls and streams that wait count for nothing at the door', async () => {
  const alice = await device();
  await alice.syncAll();
  const cancel = new AbortController();
  const polls: Promise<unknown>[] = [];
  for (let i = 0; i < WAITING; i += 1) {
    const target = `/v1/sync?cursor=${alice.cursor}&wait=60`;
    polls.push(alice.http.request('GET', target, { signal: cancel.signal }).catch(() => undefined));
    if (i % 10 === 9) await alice.syncPage(); // those before it have come in
  }
  const open = await alice.http.fetch('GET', '/v1/sync?cursor=start', {
    accept: 'application/cbor-seq',
    signal: cancel.signal,
  });
  expect(open.status).toBe(200);
  // on a slow machine the first polls are over before the last ones come
  await until(async () => (await metric('mlsd_streams_open')) > UNDER_WAY.start);
  expect(await metric('mlsd_admission_inside')).toBeLessThan(UNDER_WAY.start);
  expect(await metric('mlsd_turned_away_total')).toBe(0);
  cancel.abort();
  await Promise.all(polls);
  expect(problemOf(await alice.http.request('GET', '/v1/nothing')).code).toBe('not-found');
});
