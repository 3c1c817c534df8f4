import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { createDeviceKey, createSignedClient, newId, okValue, problemOf } from '../support/signed-client.ts';
import { pathOf } from '../support/test-device.ts';
import { useServer } from './support.ts';

const { server, device } = useServer({ operation: { bodyTimeoutMs: 300 } });
const isAlive = async (): Promise<void> => {
  expect((await fetch(`${server().url()}/healthz`)).status).toBe(200);
};

const WRITES: [string, string][] = [
  ['POST', '/v1/accounts'],
  ['POST', '/v1/sessions'],
  ['PUT', '/v1/key-packages'],
  ['POST', '/v1/key-packages/claims'],
  ['POST', '/v1/groups'],
  ['POST', '/v1/groups/GROUP/commits'],
  ['POST', '/v1/groups/GROUP/proposals'],
  ['POST', '/v1/groups/GROUP/messages'],
];

describe('hostile input', () => {
  it('random bytes as any body are an invalid request, and the server lives', async () => {
    const alice = await device();
    const group = await alice.createGroup();
    const cases = fc.record({
      write: fc.constantFrom(...WRITES),
      as: fc.constantFrom('json' as const, 'cbor' as const),
      body: fc.uint8Array({ minLength: 1, maxLength: 300 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ write: [method, path], as, body }) => {
        const target = path.replace('GROUP', toBase64Url(group));
        const answered = await alice.http.request(method, target, { body, as, idempotencyKey: newId() });
        expect(problemOf(answered).code).toBe('invalid-request');
      }),
      { numRuns: 100 },
    );
    await isAlive();
  });

  it('values of wrong types and shapes, and cut-off CBOR, are an invalid request', async () => {
    const alice = await device();
    const group = await alice.createGroup();
    const good: Record<string, unknown> = {
      '/v1/key-packages': { keyPackages: [Uint8Array.of(1)] },
      '/v1/key-packages/claims': { group, accounts: [alice.account] },
      '/v1/groups': { group, groupInfo: Uint8Array.of(1) },
      '/v1/groups/GROUP/commits': { commit: Uint8Array.of(1), groupInfo: Uint8Array.of(1) },
      '/v1/groups/GROUP/proposals': { proposal: Uint8Array.of(1) },
      '/v1/groups/GROUP/messages': { messages: [{ id: newId(), message: Uint8Array.of(1) }] },
    };
    const junk = fc.anything({ maxDepth: 2, withNullPrototype: false });
    const json = (value: unknown): unknown => {
      try {
        return JSON.parse(JSON.stringify(value) ?? 'null');
      } catch {
        return null;
      }
    };
    for (const [path, body] of Object.entries(good)) {
      const method = path === '/v1/key-packages' ? 'PUT' : 'POST';
      const target = path.replace('GROUP', toBase64Url(group));
      const send = (wrong: unknown, as: 'json' | 'cbor') =>
        alice.http.request(method, target, { body: wrong, as, idempotencyKey: newId() });
      const bytes = encodeCbor(body);
      for (const cut of [1, Math.floor(bytes.length / 2), bytes.length - 1]) {
        expect(problemOf(await send(bytes.subarray(0, cut), 'cbor')).code).toBe('invalid-request');
      }
      expect(problemOf(await send({ ...(body as object), surprise: 1 }, 'cbor')).code).toBe('invalid-request');
      for (const name of Object.keys(body as object)) {
        for (const value of [null, 1, 'x', {}, [[]]]) {
          const wrong = { ...(body as object), [name]: value };
          expect([name, value, problemOf(await send(wrong, 'json')).code]).toEqual([name, value, 'invalid-request']);
        }
      }
      await fc.assert(
        fc.asyncProperty(junk, async (value) => {
          const answered = await send(new TextEncoder().encode(JSON.stringify(json(value))), 'json');
          expect(problemOf(answered).status).toBe(400);
        }),
        { numRuns: 15 },
      );
    }
    await isAlive();
  });

  it('deeply nested bodies are refused, not followed', async () => {
    const alice = await device();
    const deep = new TextEncoder().encode(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    const nested = new Uint8Array(200_000).fill(0x81);
    for (const [body, as] of [
      [deep, 'json'],
      [nested, 'cbor'],
    ] as const) {
      const answered = await alice.http.request('PUT', '/v1/key-packages', { body, as, idempotencyKey: newId() });
      expect(problemOf(answered).code).toBe('invalid-request');
    }
    await isAlive();
  });

  it('D13: bodies over the limit are refused by their length, or while they are read, and the connection is closed', async () => {
    const alice = await device();
    const group = await alice.createGroup();
    const big = new Uint8Array(1024 * 1024 + 1);
    const stated = await alice.http.request('PUT', '/v1/key-packages', { body: big, idempotencyKey: newId() });
    expect(problemOf(stated)).toMatchObject({ code: 'payload-too-large', status: 413 });
    expect(stated.headers.get('connection')).toBe('close');
    const commit = await alice.http.request('POST', `${pathOf(group)}/commits`, { body: big, idempotencyKey: newId() });
    expect(problemOf(commit).code).toBe('invalid-request'); // within the limit of commits: only its bytes are wrong
    const tooBig = new Uint8Array(8 * 1024 * 1024 + 1);
    const refused = await alice.http.request('POST', `${pathOf(group)}/commits`, {
      body: tooBig,
      idempotencyKey: newId(),
    });
    expect(problemOf(refused).code).toBe('payload-too-large');

    const answer = await raw((head) => {
      const chunk = Buffer.alloc(64 * 1024, 120);
      const chunks = Buffer.concat(
        Array.from({ length: 20 }, () => Buffer.concat([Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')])),
      );
      return Buffer.concat([Buffer.from(`${head}transfer-encoding: chunked\r\n\r\n`), chunks]);
    });
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
  });

  it('D13: a body that comes too slowly, or breaks off, costs its sender the connection', async () => {
    expect(await raw((head) => `${head}content-length: 1000\r\n\r\n{"a"`)).toMatch(
      /^HTTP\/1.1 400 [\s\S]*did not arrive within/,
    );
    await raw((head) => `${head}content-length: 1000\r\n\r\n{"a"`, true);
    await isAlive();
  });

  it('other media types and encodings are not guessed at', async () => {
    const alice = await device();
    const send = (headers: Record<string, string>) =>
      alice.http.request('PUT', '/v1/key-packages', { body: { keyPackages: [] }, idempotencyKey: newId(), headers });
    expect(problemOf(await send({ 'content-type': 'text/plain' }))).toMatchObject({
      status: 415,
      code: 'unsupported-media-type',
    });
    expect(problemOf(await send({ 'content-type': '' })).code).toBe('unsupported-media-type');
    expect(problemOf(await send({ 'content-encoding': 'gzip' })).code).toBe('unsupported-media-type');
  });

  it('every signed resource refuses who is unknown, unsigned, or signs something else', async () => {
    const alice = await device();
    const stranger = createSignedClient(() => server().url());
    const targets: [string, string][] = [
      ...WRITES.map(([method, path]): [string, string] => [method, path.replace('GROUP', 'a'.repeat(22))]),
      ['GET', '/v1/accounts?name=a'],
      ['GET', '/v1/key-packages'],
      ['GET', '/v1/groups'],
      ['GET', `/v1/groups/${'a'.repeat(22)}`],
      ['GET', `/v1/groups/${'a'.repeat(22)}/log`],
      ['GET', `/v1/groups/${'a'.repeat(22)}/group-info`],
      ['GET', `/v1/groups/${'a'.repeat(22)}/tree?epoch=0`],
      ['GET', '/v1/sync'],
    ];
    const reason = async (answered: Promise<Parameters<typeof problemOf>[0]>) => problemOf(await answered).reason;
    for (const [method, target] of targets) {
      const body = method === 'GET' ? {} : { body: { a: 1 }, idempotencyKey: newId() };
      expect([target, await reason(alice.http.request(method, target, { ...body, unsigned: true }))]).toEqual([
        target,
        'missing',
      ]);
      if (target !== '/v1/accounts') {
        expect(await reason(stranger.request(method, target, body))).toBe('unknown-key');
        const impostor = createSignedClient(() => server().url(), { ...createDeviceKey(), id: alice.id });
        expect(await reason(impostor.request(method, target, body))).toBe('bad-signature');
        const late = Math.floor(Date.now() / 1000) - 120;
        expect(await reason(alice.http.request(method, target, { ...body, parameters: { created: late } }))).toBe(
          'stale',
        );
      }
    }
  });

  it('a captured request cannot be sent again', async () => {
    const alice = await device();
    let captured: Record<string, string> = {};
    const tamper = (headers: Record<string, string>): void => {
      captured = { ...headers };
    };
    okValue(await alice.http.request('GET', '/v1/groups', { tamper }));
    const again = await fetch(`${server().url()}/v1/groups`, { headers: captured });
    expect(again.status).toBe(401);
    expect(await again.json()).toMatchObject({ code: 'unauthenticated', reason: 'replayed' });
    await server().restart();
    const after = await fetch(`${server().url()}/v1/groups`, { headers: captured });
    expect(await after.json()).toMatchObject({ reason: 'stale' });
  });

  it('paths, queries and ids in no form are refused or not found, never a failure', async () => {
    const alice = await device();
    const cases: [string, number][] = [
      ['/v1/groups/short', 400],
      [`/v1/groups/${'a'.repeat(22)}/log?after=-1`, 400],
      [`/v1/groups/${'a'.repeat(22)}/log?limit=0`, 400],
      [`/v1/groups/${'a'.repeat(22)}/log?limit=1&limit=2`, 400],
      [`/v1/groups/${'a'.repeat(22)}/tree`, 400],
      ['/v1/sync?wait=soon', 400],
      ['/v1/sync?surprise=1', 400],
      [`/v1/sync?cursor=${'a'.repeat(100)}`, 400],
      ['/v1/accounts', 400],
      ['/v1/accounts/UPPER', 400],
      ['/v1/accounts?name=', 400],
      [`/v1/accounts?name=${'x'.repeat(200)}`, 400],
      ['/v1/nothing', 404],
      ['/', 404],
      ['/v1/groups/', 404],
      ['/v1/groups/%E0%A4%A', 400],
      ['/v1/sync?cursor=%E0%A4%A', 422],
    ];
    for (const [target, status] of cases) {
      expect([target, (await alice.http.request('GET', target)).status]).toEqual([target, status]);
    }
    expect((await alice.http.request('DELETE', '/v1/groups')).status).toBe(404);
    const long = await alice.http.request('GET', `/v1/sync?cursor=${'a'.repeat(20_000)}`).catch(() => undefined);
    expect([undefined, 431]).toContain(long?.status);
    const noKey = await alice.http.request('POST', '/v1/groups', {
      body: { group: randomBytes(16), groupInfo: Uint8Array.of(1) },
    });
    expect(problemOf(noKey).code).toBe('invalid-request');
    await isAlive();
  });

  it('what is no HTTP at all costs nothing but its connection', async () => {
    for (const bytes of [randomBytes(200), Buffer.from('GET\r\n\r\n'), Buffer.from('\x16\x03\x01\x02\x00\x01')]) {
      await raw(() => bytes);
    }
    await isAlive();
  });

  /** What the server answers to raw bytes until it closes the connection; `head` begins a signed-looking request. */
  async function raw(make: (head: string) => string | Uint8Array, breakOff = false): Promise<string> {
    const alice = await device();
    let headers: Record<string, string> = {};
    await alice.http.request('POST', '/v1/groups', {
      body: { a: 1 },
      idempotencyKey: newId(),
      headers: { 'x-unused': '1' },
      tamper: (made) => {
        headers = { ...made };
        made['signature'] = 'spoilt'; // so that this copy is refused and the other one is fresh
      },
    });
    const { port } = server().running().http;
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `POST /v1/groups HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${lines.join('')}`;
    return await new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' });
      let text = '';
      socket.setEncoding('latin1');
      socket.on('data', (chunk) => {
        text += String(chunk);
      });
      socket.on('error', () => resolve(text));
      socket.on('close', () => resolve(text));
      socket.write(make(head), () => {
        if (breakOff) socket.destroy();
      });
    });
  }
});
