/** The other side of `overload.test.ts` and of the soak, in a process of its own: signed requests, sent at a rate or one after another. */
import { randomBytes } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { contentDigest, signRequest } from '../../src/wire/http-signature.ts';
import { createDeviceKey, newId } from '../support/signed-client.ts';
import { openRawConnection, type RawConnection } from './raw-http.ts';

export interface Sender {
  /** Of its device key. */
  readonly seed: string;
  readonly group: string;
  readonly message: string;
}

/** One phase of load. */
export interface LoadOrder {
  readonly url: string;
  readonly senders: readonly Sender[];
  readonly requests: number;
  /** At most so many under way. */
  readonly inFlight: number;
  /** Requests are sent at this rate, whatever becomes of them; left out: as fast as they are answered. */
  readonly perSecond?: number;
}

/** One request: when it was sent (ms from the start), how long its answer took, what it was (0: none came). */
export interface Sent {
  readonly at: number;
  readonly ms: number;
  readonly status: number;
  readonly retryAfter: boolean;
  /** Index in the order's senders. */
  readonly sender: number;
  readonly id: string;
}

/** One phase, as it went. */
export interface Played {
  readonly sent: readonly Sent[];
  /** How late this process itself was, ms, 99 % of the time: what its clock says of a request may be too much by this. */
  readonly ownDelayMs: number;
}

/** Between two looks at how many requests are due. */
const TICK_MS = 4;
const DELAY_RESOLUTION_MS = 5;
const NS_PER_MS = 1e6;

process.on('message', (order: LoadOrder) => {
  play(order).then(
    (played) => process.send!(played),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});

async function play(order: LoadOrder): Promise<Played> {
  const { host, port } = new URL(order.url);
  const prepared: { request: Buffer; id: string; sender: number }[] = [];
  const keys = order.senders.map(({ seed }) => createDeviceKey(Buffer.from(seed, 'base64url')));
  for (let i = 0; i < order.requests; i += 1) {
    const at = i % order.senders.length;
    prepared.push({ ...(await prepare(order.senders[at]!, keys[at]!, host)), sender: at });
  }
  const idle: RawConnection[] = [];
  // A server accepts one connection a turn of its loop: a storm of new ones would measure that, and nothing else.
  for (let i = 0; i < order.inFlight; i += 1) {
    const connection = openRawConnection(Number(port));
    await connection.send(Buffer.from(`GET /healthz HTTP/1.1\r\nhost: ${host}\r\n\r\n`));
    idle.push(connection);
  }
  const sent: Sent[] = [];
  let next = 0;
  let underWay = 0;
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  const started = performance.now();
  const one = async (): Promise<void> => {
    const { request, id, sender } = prepared[next++]!;
    underWay += 1;
    let connection = idle.pop();
    while (connection?.isOpen === false) connection = idle.pop();
    connection ??= openRawConnection(Number(port));
    const before = performance.now();
    const answer = await connection.send(request);
    const ms = performance.now() - before;
    sent.push({
      at: before - started,
      ms,
      status: answer?.status ?? 0,
      retryAfter: answer?.retryAfter ?? false,
      sender,
      id,
    });
    idle.push(connection);
    underWay -= 1;
  };
  if (order.perSecond === undefined) {
    const lane = async (): Promise<void> => {
      while (next < prepared.length) await one();
    };
    await Promise.all(Array.from({ length: order.inFlight }, lane));
  } else await atRate(order.perSecond);
  delay.disable();
  for (const connection of idle) connection.close();
  return { sent, ownDelayMs: Math.max(0, delay.percentile(99) / NS_PER_MS - DELAY_RESOLUTION_MS) };

  async function atRate(perSecond: number): Promise<void> {
    await new Promise<void>((finished) => {
      const timer = setInterval(() => {
        const due = Math.min(prepared.length, ((performance.now() - started) / 1000) * perSecond);
        while (next < due && underWay < order.inFlight) void one();
        if (next < prepared.length || underWay > 0) return;
        clearInterval(timer);
        finished();
      }, TICK_MS);
    });
  }
}

async function prepare(sender: Sender, key: ReturnType<typeof createDeviceKey>, host: string) {
  const id = newId();
  const body = encodeCbor({ messages: [{ id, message: new Uint8Array(Buffer.from(sender.message, 'base64url')) }] });
  const path = `/v1/groups/${sender.group}/messages`;
  const signed = await signRequest(
    { method: 'POST', authority: host, path, query: '?', contentDigest: contentDigest(body, nodeSha256) },
    { created: Math.floor(Date.now() / 1000), nonce: toBase64Url(randomBytes(16)), keyid: key.id, alg: 'ed25519' },
    key.sign,
  );
  const headers = {
    host,
    accept: 'application/cbor',
    'content-type': 'application/cbor',
    'content-length': String(body.length),
    ...signed,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return { id, request: Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), body]) };
}
