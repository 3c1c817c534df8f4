/** The whole server in a process of its own, every write synced, loaded from another process. */
import { type ChildProcess, fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toBase64Url } from '../src/wire/bytes.ts';
import { type ServerProcess, startServerProcess } from '../test/support/server.ts';
import { createDeviceKey } from '../test/support/signed-client.ts';
import { TestDevice } from '../test/support/test-device.ts';
import { type Figure, perSecond, quantile, rate, round } from './figure.ts';
import type { LoadOrder, LoadResult } from './server-load.ts';

const SENDERS = 16;
const PAYLOAD_BYTES = 900; // about 1 KiB as an MLS message
const SINGLE = { requests: 12_000, messagesPerRequest: 1, inFlight: 64 };
const BATCHED = { requests: 1_200, messagesPerRequest: 100, inFlight: 16 };
const WARM_UP = { requests: 2_000, messagesPerRequest: 1, inFlight: 64 };
const GROUPS = 1_000;
const STREAM_PARALLEL = 8;

export async function run(): Promise<readonly Figure[]> {
  await using server = await startServerProcess();
  const senders = await makeSenders(server, SENDERS);
  await load(server, senders, WARM_UP);
  const single = await load(server, senders, SINGLE);
  const batched = await load(server, senders, BATCHED);
  const singleRate = perSecond(single.acceptedMessages, single.elapsedMs);
  const batchedRate = perSecond(batched.acceptedMessages, batched.elapsedMs);
  const p99 = quantile([...single.latenciesMs], 0.99);
  const verifying = await verifyRate();
  const memory = await memoryWithStreams();
  return [
    {
      name: `one signed message a request, ${SINGLE.inFlight} in flight, refused ${single.refused}`,
      value: rate(singleRate, 'accepted'),
      against: {
        what: `Ed25519 checks alone on one thread (${rate(verifying, 'checks')})`,
        ratio: singleRate / verifying,
      },
      target: '≥ 3,500/s',
      met: singleRate >= 3_500 && single.refused === 0,
    },
    { name: 'p99 of them', value: `${round(p99, 1)} ms`, target: '< 50 ms', met: p99 < 50 },
    {
      name: `${BATCHED.messagesPerRequest} messages of 1 KiB a request, refused ${batched.refused}`,
      value: rate(batchedRate, 'messages'),
      against: { what: 'one message a request', ratio: batchedRate / singleRate },
      target: '≥ 60,000/s',
      met: batchedRate >= 60_000 && batched.refused === 0,
    },
    {
      name: `memory with ${GROUPS} groups and ${memory.streams} open streams`,
      value: `${round(memory.mebibytes, 0)} MiB resident`,
      target: '< 300 MiB',
      met: memory.mebibytes < 300 && memory.streams === GROUPS,
    },
  ];
}

async function makeSenders(server: ServerProcess, count: number): Promise<LoadOrder['senders']> {
  const senders: LoadOrder['senders'][number][] = [];
  for (let i = 0; i < count; i += 1) {
    const seed = randomBytes(32);
    const device = await TestDevice.register(server.url(), `load-${i}-${toBase64Url(seed.subarray(0, 4))}`, {
      packages: 0,
      key: createDeviceKey(seed),
    });
    const group = await device.createGroup();
    const message = await device.encrypt(group, 'x'.repeat(PAYLOAD_BYTES));
    senders.push({ seed: seed.toString('base64url'), group: toBase64Url(group), message: toBase64Url(message) });
  }
  return senders;
}

async function load(
  server: ServerProcess,
  senders: LoadOrder['senders'],
  shape: Omit<LoadOrder, 'url' | 'senders'>,
): Promise<LoadResult> {
  const child: ChildProcess = fork(fileURLToPath(new URL('./server-load.ts', import.meta.url)), [], {
    execArgv: ['--import', 'tsx'],
  });
  child.send({ url: server.url(), senders, ...shape } satisfies LoadOrder);
  const [result] = (await once(child, 'message')) as [LoadResult];
  await once(child, 'exit');
  return result;
}

/** What one thread does when it does nothing but check signatures: the part that a signed request cannot be cheaper than. */
async function verifyRate(): Promise<number> {
  const { verify, generateKeyPairSync, sign } = await import('node:crypto');
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const base = createHash('sha512').update('a signature base is a few hundred bytes').digest();
  const signature = sign(null, base, privateKey);
  const checks = 3_000;
  const before = performance.now();
  for (let i = 0; i < checks; i += 1) if (!verify(null, base, publicKey, signature)) throw new Error('does not verify');
  return perSecond(checks, performance.now() - before);
}

async function memoryWithStreams(): Promise<{ mebibytes: number; streams: number }> {
  await using server = await startServerProcess();
  const cancel = new AbortController();
  const names = Array.from({ length: GROUPS }, (_, i) => `m${i}`);
  let streams = 0;
  const lane = async () => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      const device = await TestDevice.register(server.url(), name, { packages: 1 });
      await device.createGroup();
      const response = await device.http.fetch('GET', '/v1/sync?cursor=start', {
        accept: 'application/cbor-seq',
        signal: cancel.signal,
      });
      const { value } = await response.body!.getReader().read();
      if (response.status === 200 && value !== undefined) streams += 1;
    }
  };
  await Promise.all(Array.from({ length: STREAM_PARALLEL }, lane));
  const status = readFileSync(`/proc/${server.process().pid}/status`, 'utf8');
  cancel.abort();
  return { mebibytes: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024, streams };
}
