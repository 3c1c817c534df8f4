/** The other side of `bench/server.ts`, in a process of its own: requests signed beforehand, then sent as fast as they are answered. */
import { randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { nodeSha256 } from '../src/mls/suite-node.ts';
import { toBase64Url } from '../src/wire/bytes.ts';
import { encodeCbor } from '../src/wire/cbor.ts';
import { contentDigest, signRequest } from '../src/wire/http-signature.ts';
import { createDeviceKey, newId } from '../test/support/signed-client.ts';

export interface LoadOrder {
  readonly url: string;
  readonly senders: readonly { readonly seed: string; readonly group: string; readonly message: string }[];
  readonly requests: number;
  readonly messagesPerRequest: number;
  readonly inFlight: number;
}

export interface LoadResult {
  readonly acceptedMessages: number;
  readonly refused: number;
  readonly elapsedMs: number;
  readonly latenciesMs: readonly number[];
}

interface Prepared {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

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
  const prepared: Prepared[] = [];
  const keys = order.senders.map(({ seed }) => createDeviceKey(Buffer.from(seed, 'base64url')));
  for (let i = 0; i < order.requests; i += 1) {
    const sender = order.senders[i % order.senders.length]!;
    prepared.push(await prepare(order, sender, keys[i % keys.length]!, host));
  }
  const agent = new Agent({ keepAlive: true, maxSockets: order.inFlight });
  const latenciesMs: number[] = [];
  let acceptedMessages = 0;
  let refused = 0;
  let next = 0;
  const started = performance.now();
  const lane = async () => {
    for (let at = next++; at < prepared.length; at = next++) {
      const before = performance.now();
      const status = await post(agent, hostname, Number(port), prepared[at]!);
      latenciesMs.push(performance.now() - before);
      if (status === 201) acceptedMessages += order.messagesPerRequest;
      else refused += 1;
    }
  };
  await Promise.all(Array.from({ length: order.inFlight }, lane));
  const elapsedMs = performance.now() - started;
  agent.destroy();
  return { acceptedMessages, refused, elapsedMs, latenciesMs };
}

async function prepare(
  order: LoadOrder,
  sender: LoadOrder['senders'][number],
  key: ReturnType<typeof createDeviceKey>,
  host: string,
): Promise<Prepared> {
  const message = new Uint8Array(Buffer.from(sender.message, 'base64url'));
  const messages = Array.from({ length: order.messagesPerRequest }, () => ({ id: newId(), message }));
  const body = encodeCbor({ messages });
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
  return { path, headers, body };
}

function post(agent: Agent, hostname: string, port: number, { path, headers, body }: Prepared): Promise<number> {
  return new Promise((resolve, reject) => {
    const sending = request({ agent, hostname, port, method: 'POST', path, headers }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
    sending.once('error', reject);
    sending.end(body);
  });
}
