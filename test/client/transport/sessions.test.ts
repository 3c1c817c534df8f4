import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHttpApi } from '../../../src/client/transport/http-api.ts';
import { readBody } from '../../../src/client/transport/http-client.ts';
import { nodeHttp } from '../../../src/client/transport/http-request.ts';
import { createSessions } from '../../../src/client/transport/sessions.ts';
import { createSignedHttp, type SignedHttp } from '../../../src/client/transport/signed-http.ts';
import { createKeyAgreement } from '../../../src/mls/key-agreement-node.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { encodeCbor } from '../../../src/wire/cbor.ts';
import { START_CURSOR } from '../../../src/wire/ids.ts';
import { ProblemError } from '../../../src/wire/problems.ts';
import { startServer, type TestServer } from '../../support/server.ts';
import { createDeviceKey, type DeviceKey } from '../../support/signed-client.ts';
import { TestDevice } from '../../support/test-device.ts';
import { until } from '../../support/until.ts';

const optionsFor = (server: string, key: DeviceKey, signed: () => void = () => undefined) => ({
  server,
  device: key.id,
  sign: async (message: Uint8Array) => {
    signed();
    return key.sign(message);
  },
  sha256: nodeSha256,
  now: Date.now,
  randomBytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
  platform: nodeHttp,
});

describe('the sessions of a client', () => {
  let now = 1_000_000;
  const opened: number[] = [];
  let fails = false;
  const open = async () => {
    opened.push(now);
    if (fails) throw new ProblemError('not-ready', 'not now');
    return { key: createKeyAgreement().publicKey, ticket: `ticket-${opened.length}`, expiresAt: now + 900_000 };
  };
  beforeEach(() => {
    [now, fails] = [1_000_000, false];
    opened.length = 0;
  });

  it('are opened at the first need, once for all who need one at a time', async () => {
    const sessions = createSessions(open, () => now, createKeyAgreement);
    expect(opened).toEqual([]);
    const all = await Promise.all([sessions.current(), sessions.current(), sessions.current()]);
    expect(new Set(all).size).toBe(1);
    expect(opened).toHaveLength(1);
  });

  it('are renewed before they end, and the old one does while a new one cannot be had', async () => {
    const sessions = createSessions(open, () => now, createKeyAgreement);
    const first = await sessions.current();
    now += 779_000;
    expect(await sessions.current()).toBe(first);
    now += 2_000;
    fails = true;
    expect(await sessions.current()).toBe(first);
    now += 120_000;
    await expect(sessions.current()).rejects.toThrow(ProblemError);
    fails = false;
    expect(await sessions.current()).not.toBe(first);
  });

  it('that the server gave up are asked for anew, and nobody drops the one after', async () => {
    const sessions = createSessions(open, () => now, createKeyAgreement);
    const first = await sessions.current();
    sessions.drop(first);
    const second = await sessions.current();
    sessions.drop(first);
    expect(await sessions.current()).toBe(second);
    expect(opened).toHaveLength(2);
  });

  it('with a key that gives no secret are a malformed answer', async () => {
    const sessions = createSessions(
      async () => ({ key: new Uint8Array(32), ticket: 'ticket-0123456789', expiresAt: now + 900_000 }),
      () => now,
      createKeyAgreement,
    );
    await expect(sessions.current()).rejects.toMatchObject({ name: 'TransportError', code: 'malformed' });
  });
});

describe('requests of a client', () => {
  let server: TestServer;
  let http: SignedHttp | undefined;
  beforeEach(async () => {
    server = await startServer();
  });
  afterEach(async () => {
    http?.close();
    await server[Symbol.asyncDispose]();
  });
  const ask = async () => {
    const answer = await http!.send({ method: 'GET', path: '/v1/groups' });
    await readBody(answer, 1_000_000);
    return answer.status;
  };

  it('use the device key for the session alone, and a server that restarts with another secret costs one renewal', async () => {
    const { key } = (await TestDevice.register(server.url, 'alice')).http;
    let signatures = 0;
    http = createSignedHttp(optionsFor(server.url(), key, () => (signatures += 1)));
    for (let i = 0; i < 5; i += 1) expect(await ask()).toBe(200);
    expect(signatures).toBe(1);
    await server.restart();
    for (let i = 0; i < 5; i += 1) expect(await ask()).toBe(200);
    expect(signatures).toBe(1);
    await writeFile(join(server.folder, 'secret'), `${'5'.repeat(64)}\n`);
    await server.restart();
    expect(await Promise.all([ask(), ask(), ask()])).toEqual([200, 200, 200]);
    expect(signatures).toBe(2);
  });

  it('end a wait for a session when they are given up', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await until(() => silent.listening);
    const { port } = silent.address() as AddressInfo;
    http = createSignedHttp(optionsFor(`http://127.0.0.1:${port}`, createDeviceKey()));
    const giveUp = new AbortController();
    const asked = http.send({ method: 'GET', path: '/v1/groups', signal: giveUp.signal });
    giveUp.abort();
    await expect(asked).rejects.toMatchObject({ name: 'TransportError', code: 'unreachable' });
    silent.closeAllConnections();
    silent.close();
  });
});

describe('a client whose sessions the server never keeps', () => {
  it('falls back to its device key for the request, after a bounded number of renewals', async () => {
    const algorithms: string[] = [];
    const fickle = createServer((request, response) => {
      const [, alg = ''] = /alg="([^"]+)"/.exec(String(request.headers['signature-input'])) ?? [];
      algorithms.push(`${alg} ${request.url}`);
      request.resume();
      if (request.url === '/v1/sessions') {
        const { publicKey } = createKeyAgreement();
        response.writeHead(201, { 'content-type': 'application/cbor' });
        response.end(encodeCbor({ key: publicKey, ticket: 'ticket-0123456789', expiresAt: Date.now() + 900_000 }));
        return;
      }
      const isRefused = alg === 'hmac-sha256';
      const problem = { code: 'unauthenticated', reason: 'session-expired', detail: 'no' };
      response.writeHead(isRefused ? 401 : 200, { 'content-type': 'application/problem+json' });
      response.end(isRefused ? JSON.stringify(problem) : '');
    }).listen(0, '127.0.0.1');
    await until(() => fickle.listening);
    const { port } = fickle.address() as AddressInfo;
    const http = createSignedHttp(optionsFor(`http://127.0.0.1:${port}`, createDeviceKey()));
    const answer = await http.send({ method: 'GET', path: '/x' });
    await readBody(answer, 1_000_000);
    expect(answer.status).toBe(200);
    expect(algorithms).toEqual([
      'ed25519 /v1/sessions',
      'hmac-sha256 /x',
      'ed25519 /v1/sessions',
      'hmac-sha256 /x',
      'ed25519 /x',
    ]);
    http.close();
    fickle.close();
  });
});

describe('the live stream of a client', () => {
  it('goes on under the next session when one ends, without a word to its reader', async () => {
    await using server = await startServer({ limits: { sessionTtlMs: 1_500 } });
    const alice = await TestDevice.register(server.url, 'alice');
    const group = await alice.createGroup();
    await alice.send(group, 'first');
    const api = createHttpApi(optionsFor(server.url(), alice.http.key));
    const end = new AbortController();
    const seen: string[] = [];
    let entries = 0;
    let later: Promise<void> | undefined;
    for await (const item of api.syncStream(START_CURSOR, end.signal)) {
      seen.push(item.type);
      if (item.type === 'page') entries += item.entries.length;
      if (item.type === 'caught-up') later = sendLater(server, alice, group);
      if (entries === 3) break;
    }
    expect(seen.filter((type) => type !== 'heartbeat')).toEqual(['page', 'caught-up', 'page']);
    await later;
    end.abort();
    await api.close();
  });

  /** After two sessions have ended. */
  async function sendLater(server: TestServer, alice: TestDevice, group: Uint8Array): Promise<void> {
    await until(async () => {
      const text = await (await fetch(`${server.url()}/metrics`)).text();
      const opened = /route="\/v1\/sessions",status="201"[^}]*} (\d+)/.exec(text)?.[1];
      return Number(opened ?? 0) >= 3;
    });
    await alice.send(group, 'after');
  }
});
