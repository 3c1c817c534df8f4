import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LIMIT_NAMES } from '../../src/bin/mlsd/options.ts';
import { toBase64Url, toHex } from '../../src/wire/bytes.ts';
import { DEFAULT_LIMITS } from '../../src/wire/limits.ts';
import { serverInfoSchema } from '../../src/wire/schemas/server-info.ts';
import { killServer } from '../support/nats.ts';
import { startServer } from '../support/server.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { pathOf, TestDevice } from '../support/test-device.ts';
import { useServer } from './support.ts';

const { server, device } = useServer();
const get = async (path: string) => {
  const response = await fetch(`${server().url()}${path}`);
  return { status: response.status, headers: response.headers, text: await response.text() };
};

describe('the public resources', () => {
  it('say whether the server lives and can serve, and what its acknowledgements are worth', async () => {
    expect(JSON.parse((await get('/healthz')).text)).toEqual({ status: 'alive', reasons: [] });
    const ready = await get('/readyz');
    expect(ready.status).toBe(200);
    expect(JSON.parse(ready.text)).toMatchObject({
      status: 'ready',
      reasons: [],
      log: {
        replicas: 1,
        serverVersion: expect.stringMatching(/^\d+\.\d+\.\d+/),
        durability: expect.stringContaining('fsync'),
      },
    });
  });

  it('D13: publish domain, every limit there is, and the key of receipts', async () => {
    const info = serverInfoSchema.parse(JSON.parse((await get('/.well-known/mlsd')).text));
    expect(info).toMatchObject({ domain: 'localhost', protocol: 1, ciphersuites: [1] });
    expect(Object.keys(info.limits)).toEqual(LIMIT_NAMES);
    expect(info.limits).toMatchObject({ sessionTtlMs: DEFAULT_LIMITS.sessionTtlMs });
    const before = toHex(info.serverKey);
    await server().restart();
    expect(toHex(serverInfoSchema.parse(JSON.parse((await get('/.well-known/mlsd')).text)).serverKey)).toBe(before);
  });

  it('give the contract and the figures', async () => {
    expect(JSON.parse((await get('/openapi.json')).text)).toMatchObject({ openapi: '3.1.0' });
    const { text } = await get('/metrics');
    expect(text).toMatch(/^mlsd_ready 1$/m);
    expect(text).toMatch(/^mlsd_checkpoint_sequence \d+$/m);
  });

  it('tell browsers to keep and run nothing', async () => {
    const { headers } = await get('/healthz');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-request-id')).toMatch(/^\S{5,}$/);
  });
});

describe('privacy', () => {
  it('D14: neither the log of the server nor its metrics hold names, keys, signatures, bodies or ids of groups', async () => {
    const alice = await TestDevice.register(() => server().url(), 'very-secret-name');
    const group = await alice.createGroup('very-secret-group');
    const text = 'very secret text';
    await alice.send(group, text);
    await alice.http.request('GET', '/v1/groups?name=very-secret-group');
    await alice.http.request('GET', '/v1/accounts?name=very-secret-name');
    await alice.http.request('GET', '/v1/sync?cursor=very-secret-cursor');
    let signature = '';
    await alice.http.request('POST', '/v1/groups', {
      body: { name: 'very-secret-name', group: Uint8Array.of(1) },
      idempotencyKey: newId(),
      tamper: (headers) => {
        signature = headers['signature']!;
      },
    });
    const secret = (await readFile(join(server().folder, 'secret'), 'utf8')).trim();
    const said = server().logged.join('\n') + (await get('/metrics')).text;
    expect(server().logged.length).toBeGreaterThan(5);
    for (const hidden of ['very-secret', text, signature, toBase64Url(group), alice.id, alice.account, secret]) {
      expect(said).not.toContain(hidden);
    }
  });

  it('S7: the data folder and the secret are for their owner only', async () => {
    expect((await stat(server().folder)).mode & 0o777).toBe(0o700);
    expect((await stat(join(server().folder, 'secret'))).mode & 0o777).toBe(0o600);
  });

  it('a failure inside says nothing of the inside', async () => {
    const alice = await device();
    const { readModel } = { readModel: server().running().projections.read as { groupsOf: unknown } };
    const groupsOf = readModel.groupsOf;
    readModel.groupsOf = () => {
      throw new Error('the table groups at /very/secret/path is broken');
    };
    try {
      const problem = problemOf(await alice.http.request('GET', '/v1/groups'));
      expect(problem).toMatchObject({ code: 'internal', status: 500 });
      expect(JSON.stringify(problem)).not.toContain('secret');
    } finally {
      readModel.groupsOf = groupsOf;
    }
    expect(server().logged.some((line) => line.includes('request failed'))).toBe(true);
  });
});

describe('overload and failure', () => {
  it('D13: one device’s flood is turned away with a time to come again, and leaves others alone', async () => {
    await using small = await startServer({ limits: { requestsPerSecond: 5, requestsBurst: 10 } });
    const [flooder, other] = await Promise.all(['a', 'b'].map((name) => TestDevice.register(small.url, name)));
    const answers = await Promise.all(Array.from({ length: 60 }, () => flooder!.http.request('GET', '/v1/groups')));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(20);
    expect(problemOf(refused[0]!).code).toBe('rate-limited');
    expect(Number(refused[0]!.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    okValue(await other!.http.request('GET', '/v1/groups'));
  });

  it('D13: one address has a bucket of its own, for signed and unsigned requests', async () => {
    await using small = await startServer({ operation: { addressPerSecond: 1, addressBurst: 5 } });
    const statuses = await Promise.all(
      Array.from({ length: 30 }, async () => (await fetch(`${small.url()}/healthz`)).status),
    );
    expect(statuses).toContain(429);
    expect(statuses).toContain(200);
  });

  it('more writes than the server takes at once are told to come again, and none of them is half done', async () => {
    await using small = await startServer({ operation: { appendsInFlight: 1 } });
    const alice = await TestDevice.register(small.url, 'alice');
    const group = await alice.createGroup();
    const messages = [];
    for (let i = 0; i < 20; i += 1) messages.push({ id: newId(), message: await alice.encrypt(group, `${i}`) });
    const answers = await Promise.all(messages.map((message) => alice.postMessages(group, [message])));
    const refused = answers.filter(({ status }) => status !== 201);
    expect(refused.length).toBeGreaterThanOrEqual(1);
    for (const answered of refused) {
      expect(problemOf(answered)).toMatchObject({ code: 'not-ready', status: 503 });
      expect(answered.headers.get('retry-after')).toMatch(/^[123]$/);
    }
    const taken = (await alice.syncAll()).filter(({ kind }) => kind === 'message');
    expect(taken).toHaveLength(20 - refused.length);
  });

  it('a killed nats-server is started again; what was acknowledged is there, and writes go on', async () => {
    const alice = await device();
    const group = await alice.createGroup();
    await alice.send(group, 'before');
    const message = await alice.encrypt(group, 'during');
    const [answered] = await Promise.all([
      alice.postMessages(group, [{ id: newId(), message }]),
      killServer(server().running().log),
    ]);
    if (answered.status !== 201) expect(problemOf(answered).code).toBe('not-ready');
    await alice.send(group, 'after');
    const kinds = (await alice.syncAll()).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'message').length).toBeGreaterThanOrEqual(2);
    expect(okValue(await alice.http.request('GET', pathOf(group))).position).toBe(kinds.length);
  });

  it('a server whose projections stopped answers not-ready, and says so in /readyz', async () => {
    await using small = await startServer();
    const alice = await TestDevice.register(small.url, 'alice');
    await small.running().projections.close();
    const answered = await alice.http.request('GET', '/v1/groups');
    expect(problemOf(answered)).toMatchObject({ code: 'not-ready', status: 503 });
    const ready = await fetch(`${small.url()}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ status: 'not-ready', reasons: [expect.any(String)] });
    expect((await fetch(`${small.url()}/healthz`)).status).toBe(200);
  });
});
