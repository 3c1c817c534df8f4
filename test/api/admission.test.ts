import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { createAdaptiveLimit } from '../../src/api/http/adaptive-limit.ts';
import { createAdmission } from '../../src/api/http/admission.ts';
import { createGate } from '../../src/api/writes/gate.ts';
import { problemOf } from '../support/signed-client.ts';
import { useServer } from './support.ts';

const BOUNDS = { floor: 10, start: 40, max: 200, targetMs: 50 };

describe('an adaptive limit', () => {
  it('falls to its floor and no further while everything is late, whatever the number of samples', () => {
    const limit = createAdaptiveLimit(BOUNDS);
    for (let now = 0; now < 5_000; now += 1) limit.sample(51, 10, now);
    expect(limit.current).toBe(BOUNDS.floor);
  });

  it('is cut once for all that were under way together', () => {
    const limit = createAdaptiveLimit(BOUNDS);
    const before = limit.current;
    for (let i = 0; i < 100; i += 1) limit.sample(1_000, 30, 1);
    expect(limit.current).toBe(Math.floor(before * 0.8));
  });

  it('doubles within some hundred that were in time, up to its most, but only while it is used', () => {
    const limit = createAdaptiveLimit(BOUNDS);
    const before = limit.current;
    for (let i = 0; i < 10_000; i += 1) limit.sample(1, 1, i);
    expect(limit.current).toBe(before);
    for (let i = 0; i < 150; i += 1) limit.sample(1, limit.current, i);
    expect(limit.current).toBeGreaterThanOrEqual(2 * before);
    for (let i = 0; i < 10_000; i += 1) limit.sample(1, limit.current, i);
    expect(limit.current).toBe(BOUNDS.max);
  });
});

/** As much of a request and its response as the door looks at. */
function visitor(url: string, headers: Record<string, string> = {}) {
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
  return { request: { url, headers } as unknown as IncomingMessage, response, head, close };
}

describe('admission', () => {
  it('answers 503 with Retry-After once too many are inside, and lets in again who comes after one has left', () => {
    const admission = createAdmission(() => 0);
    const inside = Array.from({ length: admission.limit }, () => visitor('/v1/sync'));
    for (const { request, response } of inside) expect(admission.enter(request, response)).toBe(true);
    const late = visitor('/v1/sync');
    expect(admission.enter(late.request, late.response)).toBe(false);
    expect(late.head).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    expect(late.head.headers).not.toHaveProperty('connection');
    const large = visitor('/v1/sync', { 'content-length': '9000000' });
    admission.enter(large.request, large.response);
    expect(large.head.headers).toHaveProperty('connection', 'close');
    expect(admission.turnedAway).toBe(2);
    admission.leave(inside[0]!.response); // authenticated
    inside[0]!.close();
    inside[1]!.close(); // broken off
    expect(admission.inside).toBe(inside.length - 2);
    expect(admission.enter(late.request, late.response)).toBe(true);
  });

  it('never turns away who asks for health, readiness or metrics', () => {
    const admission = createAdmission(() => 0);
    for (let i = 0; i < 5_000; i += 1) {
      const { request, response } = visitor(['/healthz', '/readyz', '/metrics'][i % 3]!);
      expect(admission.enter(request, response)).toBe(true);
    }
    expect(admission.inside).toBe(0);
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
});

const WAITING = 300; // more than are let in at once
const { server, device } = useServer({ limits: { streamsPerDevice: 2 * WAITING, streamsPerAddress: 2 * WAITING } });

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
  const metrics = await (await fetch(`${server().url()}/metrics`)).text();
  expect(metrics).toMatch(/^mlsd_turned_away_total 0$/m);
  expect(metrics).toMatch(/^mlsd_admission_limit \d+$/m);
  cancel.abort();
  await Promise.all(polls);
  expect(problemOf(await alice.http.request('GET', '/v1/nothing')).code).toBe('not-found');
});
