import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { webPlatform } from '../../../src/client/runner/platform-web.ts';
import { type HttpClient, readBody } from '../../../src/client/transport/http-client.ts';
import { webHttp } from '../../../src/client/transport/http-web.ts';
import { createMemoryStore, openChatClientOver } from '../../../src/client/web.ts';
import { leftIn } from '../../support/left-in-signal.ts';
import { startServer } from '../../support/server.ts';
import { SCENARIOS } from '../acceptance/scenarios.ts';
import { createStage } from '../acceptance/stage.ts';

const TIMEOUT_MS = 240_000;

describe('HTTP over fetch', () => {
  let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {};
  let server: Server;
  let url: URL;
  let http: HttpClient;
  beforeEach(async () => {
    server = createServer((request, response) => answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/x`);
    http = webHttp.createHttpClient();
  });
  afterEach(async () => {
    http.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const get = (timeoutMs = TIMEOUT_MS, signal?: AbortSignal) =>
    http.send({ method: 'GET', url, headers: {}, timeoutMs, ...(signal === undefined ? {} : { signal }) });
  const unreachable = { name: 'TransportError', code: 'unreachable' };

  it('gives status, headers and body, and sends what it is given', async () => {
    answer = async (request, response) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of request) chunks.push(chunk as Uint8Array);
      response.writeHead(201, { 'retry-after': '7' }).end(Buffer.concat(chunks));
    };
    const body = Uint8Array.of(1, 2, 3);
    const headers = { 'content-type': 'application/cbor' };
    const got = await http.send({ method: 'POST', url, headers, body, timeoutMs: TIMEOUT_MS });
    expect(got.status).toBe(201);
    expect(got.headers['retry-after']).toBe('7');
    expect(await readBody(got, 10)).toEqual(body);
  });

  it('gives up on a server that is silent, before its answer or inside it', async () => {
    answer = () => {};
    await expect(get(50)).rejects.toMatchObject(unreachable);
    answer = (_request, response) => void response.writeHead(200).write('half of it');
    await expect(get(500).then((got) => readBody(got, 1_000))).rejects.toMatchObject(unreachable);
  });

  it('ends what is under way when it is closed, and when the caller gives up', async () => {
    const arrived: (() => void)[] = [];
    answer = () => arrived.shift()?.();
    const isThere = () => new Promise<void>((resolve) => arrived.push(resolve));
    const given = new AbortController();
    const [first, there] = [get(TIMEOUT_MS, given.signal), isThere()];
    const refused = expect(first).rejects.toMatchObject(unreachable);
    await there;
    given.abort();
    await refused;
    const [second, thereToo] = [get(), isThere()];
    const refusedToo = expect(second).rejects.toMatchObject(unreachable);
    await thereToo;
    http.close();
    await refusedToo;
  });

  it('leaves nothing behind in a signal that lives on, however a request ended', async () => {
    const { signal } = new AbortController();
    const any = vi.spyOn(AbortSignal, 'any'); // would leave it in the client's own signal, too
    answer = (request, response) => {
      if (request.method === 'GET') response.end('an answer');
      else response.destroy();
    };
    for (let i = 0; i < 20; i += 1) {
      await readBody(await get(TIMEOUT_MS, signal), 100);
      await expect(get(TIMEOUT_MS, signal).then((got) => readBody(got, 1))).rejects.toMatchObject({
        code: 'malformed',
      });
      const cut = http.send({ method: 'DELETE', url, headers: {}, timeoutMs: TIMEOUT_MS, signal });
      await expect(cut).rejects.toMatchObject(unreachable);
    }
    answer = () => {};
    await expect(get(50, signal)).rejects.toMatchObject(unreachable);
    expect(leftIn(signal)).toBe(0);
    expect(any).not.toHaveBeenCalled();
    any.mockRestore();
  });

  it('ends an answer that is cut, or longer than it may be, or elsewhere', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('cut', () => response.destroy());
    };
    await expect(get().then((got) => readBody(got, 1_000))).rejects.toMatchObject(unreachable);
    answer = (_request, response) => void response.end('far too long');
    await expect(get().then((got) => readBody(got, 5))).rejects.toMatchObject({ code: 'malformed' });
    answer = (_request, response) => void response.writeHead(302, { location: '/elsewhere' }).end();
    await expect(get()).rejects.toMatchObject(unreachable);
  });
});

describe('a client on what browsers have', () => {
  // WebCrypto and fetch are in Node as well: of what runs in Chromium, this runs everywhere
  const scenario = SCENARIOS.find(({ claim }) => claim.startsWith('D8: an answer that is lost'))!;

  it('does the same over WebCrypto and fetch', async () => {
    await using server = await startServer();
    const place = () => {
      const rows = new Map<string, Uint8Array>();
      return () => createMemoryStore(rows);
    };
    await using stage = createStage({ platform: await webPlatform(), server: server.url(), place });
    await scenario.play(stage);
  });

  it('says so where there is no WebCrypto, and lets go of the store', async () => {
    const close = vi.fn(async () => {});
    vi.stubGlobal('crypto', {});
    const opening = openChatClientOver({ ...createMemoryStore(), close }, { server: 'http://x', userName: 'page' });
    await expect(opening).rejects.toMatchObject({ name: 'ClientError', code: 'unsupported' });
    vi.unstubAllGlobals();
    expect(close).toHaveBeenCalledTimes(1);
  });
});
