import { randomBytes } from 'node:crypto';
import { Agent, get, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { signatureParams } from '../../src/wire/http-signature.ts';
import { startServer } from '../support/server.ts';
import { createDeviceKey, newId, okValue } from '../support/signed-client.ts';
import { pathOf, TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';

const ELSEWHERE = { headers: { 'x-forwarded-for': '192.0.2.2' } };
const SENDERS = 300; // more than are let in at once
const LATE_MS = 100;

/** A registration by nobody, as far as can be told before its body is there; the body never comes. */
function bodiless(port: number, length = 1000): Socket {
  const parameters = {
    created: Math.floor(Date.now() / 1000),
    nonce: toBase64Url(randomBytes(16)),
    keyid: createDeviceKey().id,
    alg: 'ed25519',
  } as const;
  const head = [
    'POST /v1/accounts HTTP/1.1',
    'host: x',
    'x-forwarded-for: 192.0.2.1',
    'content-type: application/cbor',
    `content-length: ${length}`,
    `signature-input: sig1=${signatureParams(parameters, true)}`,
    `signature: sig1=:${randomBytes(64).toString('base64')}:`,
  ];
  const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(`${head.join('\r\n')}\r\n\r\n`));
  return socket.on('error', () => {});
}

async function figure(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
}

it('D13: bodies that never come, from an address without any account, keep nobody else out', async () => {
  await using server = await startServer({ behindTlsProxy: true });
  const alice = await TestDevice.register(server.url(), 'alice');
  const { port } = server.running().http;
  const limit = await figure(server.url(), 'mlsd_admission_limit');
  expect(limit).toBeLessThan(SENDERS);
  const senders: Socket[] = [];
  for (let wanted = 100; wanted <= SENDERS; wanted += 100) {
    while (senders.length < wanted) senders.push(bodiless(port));
    await until(async () => (await figure(server.url(), 'mlsd_bodies_awaited')) === wanted);
    const at = Date.now();
    await until(() => Date.now() > at + LATE_MS);
  }
  for (let i = 0; i < 5; i += 1) okValue(await alice.http.request('GET', '/v1/groups', ELSEWHERE));
  const broken = Promise.all(senders.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
  for (const socket of senders) socket.destroy();
  await broken;
  await until(async () => (await figure(server.url(), 'mlsd_bodies_awaited')) === 0);
  // what they cost says nothing about this server: it lets in as many as before
  expect(await figure(server.url(), 'mlsd_admission_limit')).toBe(limit);
});

it('D13: bodies that an address has on their way are bounded in bytes, and another address still gets its answers', async () => {
  await using server = await startServer({ behindTlsProxy: true });
  const alice = await TestDevice.register(server.url(), 'alice');
  const { port } = server.running().http;
  const refused: string[] = [];
  const senders: Socket[] = [];
  const send = (): void => {
    senders.push(bodiless(port, 1024 * 1024).on('data', (text) => refused.push(String(text))));
  };
  while (senders.length < 100) send();
  await until(async () => (await figure(server.url(), 'mlsd_bodies_awaited')) === 100);
  const at = Date.now();
  await until(() => Date.now() > at + LATE_MS); // they hold no place any more
  while (senders.length < 130) send();
  await until(() => refused.length === 2);
  expect(refused.every((text) => /^HTTP\/1.1 429 [\s\S]*retry-after/.test(text))).toBe(true);
  okValue(await alice.http.request('GET', '/v1/groups', ELSEWHERE));
  for (const socket of senders) socket.destroy();
});

it('D13: answers that nobody reads cost a bounded memory and are cut after a while; whoever reads gets more', async () => {
  // long enough for a slow machine to render so many answers before the first of them is cut
  await using server = await startServer({ operation: { drainTimeoutMs: 20_000 } });
  const [alice, bob] = [
    await TestDevice.register(server.url(), 'alice'),
    await TestDevice.register(server.url(), 'bob'),
  ];
  const group = await alice.createGroup();
  const text = 'x'.repeat(900_000);
  for (let i = 0; i < 4; i += 1) {
    const message = await alice.encrypt(group, text);
    okValue(await alice.postMessages(group, [{ id: newId(), message }]));
  }
  const target = `${pathOf(group)}/log`; // as JSON more than the kernel takes of one answer
  const agent = new Agent({ maxSockets: 200 });
  const unread: IncomingMessage[] = [];
  let refused = 0;
  const ask = async () => {
    let headers: Record<string, string> = {};
    const tamper = (made: Record<string, string>) => {
      headers = made;
    };
    await alice.http
      .fetch('GET', target, { tamper, accept: 'application/json', signal: AbortSignal.abort() })
      .catch(() => undefined); // headers only
    await new Promise<void>((resolve, reject) => {
      get(`${server.url()}${target}`, { headers, agent }, (response) => {
        response.on('error', () => {});
        if (response.statusCode === 200) unread.push(response);
        else {
          refused += 1;
          response.resume();
        }
        resolve();
      }).on('error', reject);
    });
  };
  for (let i = 0; i < 120 && refused === 0; i += 1) await ask();
  expect(refused).toBe(1);
  okValue(await bob.http.request('GET', '/v1/groups'));
  // those that were not read are cut, and then there is room again
  await until(async () => (await alice.http.request('GET', target)).status === 200);
  agent.destroy();
});

const BEHIND = 60;

it('D13: what waits behind another request on a connection that breaks keeps no place at the door', async () => {
  await using server = await startServer();
  const alice = await TestDevice.register(server.url(), 'alice');
  const { port } = server.running().http;
  for (const behind of ['GET /v1/nothing', 'POST /v1/groups']) {
    const head = `GET /v1/accounts/${alice.account}?newest=true HTTP/1.1\r\nhost: x\r\n\r\n`;
    for (let i = 0; i < 4; i += 1) {
      const socket = connect({ port, host: '127.0.0.1' });
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.write(head + `${behind} HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(BEHIND), () => socket.resetAndDestroy());
      await closed;
      const { status } = await fetch(`${server.url()}/v1/nothing`, { method: 'GET' });
      expect([404, 503]).toContain(status); // by now the connection has been read
    }
    await until(async () => (await figure(server.url(), 'mlsd_admission_inside')) === 0);
  }
});
