/** The other side of `bench/server.ts`, in a process of its own: requests signed beforehand, then sent as fast as they are answered. */
import { createHmac, randomBytes } from 'node:crypto';
import { createConnection, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { nodeSha256 } from '../src/mls/suite-node.ts';
import { toBase64Url } from '../src/wire/bytes.ts';
import { encodeCbor } from '../src/wire/cbor.ts';
import { contentDigest, signRequest } from '../src/wire/http-signature.ts';
import { createDeviceKey, newId } from '../test/support/signed-client.ts';
import { createChecks } from './machine.ts';

/** Bytes as base64url. */
export interface Sender {
  readonly seed: string;
  readonly group: string;
  readonly message: string;
  /** Signs its requests instead of the device key. */
  readonly session?: { readonly ticket: string; readonly key: string };
}

export interface LoadOrder {
  readonly url: string;
  readonly senders: readonly Sender[];
  /** `stock`: requests that cost little beside their signature. */
  readonly kind?: 'messages' | 'stock';
  readonly requests: number;
  readonly messagesPerRequest: number;
  readonly inFlight: number;
}

export interface LoadResult {
  readonly acceptedMessages: number;
  readonly refused: number;
  readonly elapsedMs: number;
  readonly latenciesMs: readonly number[];
  /** What this machine needed meanwhile for each round of checks, while the server had nothing to do. */
  readonly checksMs: readonly number[];
}

/**
 * The load is played in so many parts, with a round of checks before, between and after them: the speed of a shared machine changes by
 * half within a second, and what the server is held against has to be of the same seconds. At the end of a part fewer and fewer requests
 * are under way, which costs the server some of its rate; what it puts off into the pauses is in its processor time only.
 */
const SLICES = 8;
/** After the last answer of a part, until tables and log are written too: they would slow down the checks. */
const SETTLE_MS = 30;

process.once('message', (order: LoadOrder) => {
  play(order).then(
    (result) => process.send!(result, () => process.disconnect()),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});

async function play(order: LoadOrder): Promise<LoadResult> {
  const { host, hostname, port } = new URL(order.url);
  const keys = order.senders.map(({ seed }) => createDeviceKey(Buffer.from(seed, 'base64url')));
  const prepareFrom = async (start: number, end: number): Promise<Buffer[]> => {
    const prepared: Buffer[] = [];
    for (let i = start; i < end; i += 1) {
      const sender = order.senders[i % order.senders.length]!;
      prepared.push(await prepare(order, sender, keys[i % keys.length]!, host));
    }
    return prepared;
  };
  const latenciesMs: number[] = [];
  let acceptedMessages = 0;
  let refused = 0;
  const lane = async (socket: Socket, prepared: Iterator<Buffer>) => {
    for (let bytes = prepared.next(); bytes.done !== true; bytes = prepared.next()) {
      const before = performance.now();
      const status = await exchange(socket, bytes.value);
      latenciesMs.push(performance.now() - before);
      if (status === 201 || status === 200) acceptedMessages += order.messagesPerRequest;
      else refused += 1;
    }
  };
  const sockets = Array.from({ length: order.inFlight }, () =>
    createConnection({ host: hostname, port: Number(port), noDelay: true }),
  );
  const timeChecks = createChecks();
  const checksMs = [timeChecks()];
  let elapsedMs = 0;
  for (let slice = 0; slice < SLICES; slice += 1) {
    const [start, end] = [slice, slice + 1].map((part) => Math.round((order.requests * part) / SLICES));
    // signed just before: a signature is good for a minute
    const prepared = (await prepareFrom(start!, end!)).values();
    const started = performance.now();
    await Promise.all(sockets.map((socket) => lane(socket, prepared)));
    elapsedMs += performance.now() - started;
    await setTimeout(SETTLE_MS);
    checksMs.push(timeChecks());
  }
  for (const socket of sockets) socket.destroy();
  return { acceptedMessages, refused, elapsedMs, latenciesMs, checksMs };
}

async function prepare(
  order: LoadOrder,
  sender: Sender,
  key: ReturnType<typeof createDeviceKey>,
  host: string,
): Promise<Buffer> {
  const { method, path, body } = order.kind === 'stock' ? STOCK : messagesOf(order, sender);
  const { session } = sender;
  const signed = await signRequest(
    {
      method,
      authority: host,
      path,
      query: '?',
      ...(body === undefined ? {} : { contentDigest: contentDigest(body, nodeSha256) }),
    },
    {
      created: Math.floor(Date.now() / 1000),
      nonce: toBase64Url(randomBytes(16)),
      keyid: session?.ticket ?? key.id,
      alg: session === undefined ? 'ed25519' : 'hmac-sha256',
    },
    session === undefined ? key.sign : (base) => macOf(session.key, base),
  );
  const headers = {
    host,
    accept: 'application/cbor',
    ...(body === undefined ? {} : { 'content-type': 'application/cbor', 'content-length': String(body.length) }),
    ...signed,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), body ?? Buffer.alloc(0)]);
}

const STOCK = { method: 'GET', path: '/v1/key-packages', body: undefined };

function messagesOf(order: LoadOrder, sender: Sender): { method: string; path: string; body: Uint8Array } {
  const message = new Uint8Array(Buffer.from(sender.message, 'base64url'));
  const messages = Array.from({ length: order.messagesPerRequest }, () => ({ id: newId(), message }));
  return { method: 'POST', path: `/v1/groups/${sender.group}/messages`, body: encodeCbor({ messages }) };
}

function macOf(key: string, base: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac('sha256', Buffer.from(key, 'base64url')).update(base).digest());
}

const END_OF_HEAD = '\r\n\r\n';

/**
 * One request, written as it was prepared, and the status of its answer. Node's client costs as much processor time a
 * request as half the server does, which would be taken from the server where both share two cores.
 */
function exchange(socket: Socket, bytes: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    let answer: Buffer = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      answer = answer.length === 0 ? chunk : Buffer.concat([answer, chunk]);
      const end = answer.indexOf(END_OF_HEAD);
      if (end < 0) return;
      const head = answer.toString('latin1', 0, end);
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (answer.length < end + END_OF_HEAD.length + length) return;
      settle();
      resolve(Number(head.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length)));
    };
    const onError = (error: Error): void => {
      settle();
      reject(error);
    };
    const onClose = (): void => onError(new Error('the server closed the connection'));
    const settle = (): void => {
      socket.off('data', onData);
      socket.off('error', onError);
      socket.off('close', onClose);
    };
    socket.on('data', onData);
    socket.on('error', onError);
    socket.on('close', onClose);
    socket.write(bytes);
  });
}
