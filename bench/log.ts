/** The append path: our reply multiplexer against the library's own publish, on one server in one run. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openConnection } from '../src/log/connection.ts';
import { openNatsServer } from '../src/log/nats-server/child.ts';
import { findNatsServer } from '../src/log/nats-server/find.ts';
import { createPublisher } from '../src/log/publisher.ts';
import { ensureStream } from '../src/log/stream.ts';
import { type Figure, round } from './figure.ts';

const MESSAGES = 20_000;
const WARM_UP = 2_000;
const IN_FLIGHT = 256;
const MESSAGE_BYTES = 1024;
const RUNS = 3;
/** A disk that is slow to sync must cost time, not the run. */
const ANSWER_TIMEOUT_MS = 120_000;
const SUBJECT = 'mls.application.0';

export async function run(): Promise<readonly Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'mlsd-bench-log-'));
  const server = await openNatsServer({ folder, binary: await findNatsServer() });
  const connection = await openConnection({ servers: [server.url], token: server.token });
  try {
    await ensureStream(connection, { replicas: 1, tablesEmpty: true });
    const bytes = new Uint8Array(MESSAGE_BYTES);
    const publisher = createPublisher(connection);
    const js = connection.nats.jetstream();
    let next = 0;
    const ours = () => publisher.publish({ subject: SUBJECT, eventId: `o${next++}`, bytes });
    const theirs = () => js.publish(SUBJECT, bytes, { msgID: `t${next++}`, timeout: ANSWER_TIMEOUT_MS });
    const samples = { ours: [] as number[], theirs: [] as number[] };
    await pump(WARM_UP, ours);
    await pump(WARM_UP, theirs);
    for (let i = 0; i < RUNS; i += 1) {
      samples.ours.push(await cpuMicros(ours));
      samples.theirs.push(await cpuMicros(theirs));
    }
    publisher.close();
    const [own, library] = [median(samples.ours), median(samples.theirs)];
    const ratio = own / library;
    return [
      {
        name: `publish and acknowledge 1 KiB, ${IN_FLIGHT} in flight, CPU of this process`,
        value: `${round(own, 1)} µs a message`,
        against: { what: `the library's publish (${round(library, 1)} µs)`, ratio },
        target: '≤ 0.5 of it',
        met: ratio <= 0.5,
      },
    ];
  } finally {
    await connection.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function cpuMicros(publish: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await pump(MESSAGES, publish);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / MESSAGES;
}

async function pump(count: number, publish: () => Promise<unknown>): Promise<void> {
  let started = 0;
  const lane = async () => {
    while (started < count) {
      started += 1;
      await publish();
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}
