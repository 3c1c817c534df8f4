import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { readBody } from '../../src/api/http/body.ts';
import { startServer } from '../support/server.ts';
import { openSession } from '../support/session-client.ts';
import { createDeviceKey, createSignedClient, okValue, problemOf } from '../support/signed-client.ts';
import { TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';

const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });
const FORGER = from('192.0.2.1');
const HOME = from('192.0.2.2');

describe('a flood', () => {
  it('D13: of forged signatures is charged to its address: few are checked, and the device it names loses nothing', async () => {
    await using server = await startServer({
      behindTlsProxy: true,
      // hardly anything flows back, however slow the machine is
      limits: { requestsPerSecond: 1, requestsBurst: 40, failuresPerSecond: 0.01, failuresBurst: 10 },
    });
    const alice = await TestDevice.register(server.url(), 'alice');
    const session = await openSession(server.url(), alice.http);
    const forger = createSignedClient(server.url(), { ...createDeviceKey(), id: alice.id });
    const statuses: number[] = [];
    for (let i = 0; i < 60; i += 1) statuses.push((await forger.request('GET', '/v1/groups', FORGER)).status);
    expect(statuses.slice(0, 10)).toEqual(new Array(10).fill(401));
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(45);
    okValue(await alice.http.request('GET', '/v1/groups', HOME));
    // somebody behind the forger's address goes on with a session: it costs no public-key operation
    expect((await alice.http.request('GET', '/v1/groups', FORGER)).status).toBe(429);
    okValue(await session.request('GET', '/v1/groups', FORGER));
  });

  it('D13: of registrations is limited by its address, and another address still registers', async () => {
    await using server = await startServer({ behindTlsProxy: true, limits: { registrationsPerMinute: 3 } });
    const register = async (name: string, by: typeof HOME) => {
      const device = await TestDevice.create(server.url(), name);
      const body = { ...device.registration, keyPackages: [] };
      return device.http.request('POST', '/v1/accounts', { body, idempotencyKey: `${name}-0123456789abcdef`, ...by });
    };
    for (const name of ['a', 'b', 'c']) expect((await register(name, FORGER)).status).toBe(201);
    const refused = await register('d', FORGER);
    expect(problemOf(refused)).toMatchObject({ code: 'rate-limited', status: 429 });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await register('e', HOME)).status).toBe(201);
  });

  it('D13: of streams and long polls is limited by device and by address', async () => {
    await using server = await startServer({
      behindTlsProxy: true,
      limits: { streamsPerDevice: 2, streamsPerAddress: 3 },
    });
    const [alice, bob] = [await TestDevice.register(server.url(), 'a'), await TestDevice.register(server.url(), 'b')];
    const end = new AbortController();
    const accept = 'application/cbor-seq';
    const stream = async (by: TestDevice, at: typeof HOME) => {
      const response = await by.http.fetch('GET', '/v1/sync', { accept, signal: end.signal, ...at });
      if (response.status !== 200) await response.arrayBuffer();
      return response.status;
    };
    const open = async () =>
      /^mlsd_streams_open (\d+)$/m.exec(await (await fetch(`${server.url()}/metrics`)).text())?.[1];
    const polling = alice.http.request('GET', '/v1/sync?wait=60', FORGER);
    await until(async () => (await open()) === '1');
    expect(await stream(alice, FORGER)).toBe(200);
    expect(await stream(alice, HOME)).toBe(429); // the device has two
    expect(await stream(bob, FORGER)).toBe(200);
    expect(await stream(bob, FORGER)).toBe(429); // the address has three
    expect(await stream(bob, HOME)).toBe(200);
    end.abort();
    await server.stop();
    expect((await polling).status).toBe(200);
  });
});

describe('a slow sender', () => {
  it('D13: of headers is cut, told so where nothing was answered yet, and nobody else is', async () => {
    await using server = await startServer({ operation: { headersTimeoutMs: 400 } });
    const { port } = server.running().http;
    const request = 'GET /healthz HTTP/1.1\r\nhost: x\r\n';
    const [silent, dripping, second] = await Promise.all([
      answerTo(port, () => undefined),
      answerTo(port, (socket) => socket.write(request)),
      answerTo(port, (socket) => socket.write(`${request}\r\n${request}`)),
    ]);
    for (const text of [silent, dripping]) expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(second).toMatch(/^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 408 /);
    expect((await fetch(`${server.url()}/healthz`)).status).toBe(200);
  });

  it('D13: is never a request whose headers have arrived, however long the server could not read them', async () => {
    await using server = await startServer({ operation: { headersTimeoutMs: 300, bodyTimeoutMs: 300 } });
    const alice = await TestDevice.register(server.url(), 'alice');
    const { port } = server.running().http;
    const statuses: (string | undefined)[] = [];
    for (let i = 0; i < 3; i += 1) {
      let head = '';
      const never = AbortSignal.abort();
      const tamper = (made: Record<string, string>) => {
        const lines = Object.entries({ host: `127.0.0.1:${port}`, connection: 'close', ...made });
        head = `GET /v1/groups HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
      };
      await alice.http.fetch('GET', '/v1/groups', { tamper, signal: never }).catch(() => undefined); // its headers only
      const answer = await answerTo(port, (socket) => {
        // the server has accepted the connection; what is written now lies in its socket while the loop stands still
        setImmediate(() => {
          socket.write(head);
          stall(1_000);
        });
      });
      statuses.push(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
    }
    expect(statuses).toEqual(['200', '200', '200']);
  });

  it('D13: of a body is none whose body lies in the socket already when its time is over', async () => {
    const begun = new EventEmitter();
    const reader = createServer((request, response) => {
      readBody(request, 100, 200).then(
        (body) => response.end(body),
        (error: unknown) => response.writeHead(400).end(String(error)),
      );
      begun.emit('request');
    }).listen(0, '127.0.0.1');
    await once(reader, 'listening');
    const answer = await answerTo((reader.address() as AddressInfo).port, (socket) => {
      begun.once('request', () => {
        socket.write('lo');
        stall(500);
      });
      socket.write('POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhel');
    });
    expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*hello/);
    reader.close();
  });
});

/** The event loop stands still: nothing is read, and timers come due. */
function stall(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** What comes back on a connection until the server closes it. */
function answerTo(port: number, act: (socket: Socket) => void): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ port, host: '127.0.0.1' }, () => act(socket));
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('error', () => resolve(text));
    socket.on('close', () => resolve(text));
  });
}
