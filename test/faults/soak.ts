import { join } from 'node:path';
import { tempFolder } from '../support/nats.ts';
import { childrenOf } from '../support/process.ts';
import { startServerProcess } from '../support/server.ts';
import { startChurn } from './churn.ts';
import { beginLife, IS_IN, type Life, WAITS } from './lives.ts';
import { makeSenders, quantile, startLoad } from './load.ts';
import { judgeMemory, type MemorySample, type MemoryTrend, memoryMib, openHeapDiary } from './memory.ts';
import { heldMore, openNatsWatch } from './nats-memory.ts';
import { compareChats } from './rounds.ts';

export interface SoakSummary {
  readonly seconds: number;
  readonly acknowledged: number;
  readonly refused: number;
  /** Turns of everything else that comes and goes: sessions, streams, polls, attachments, commits. */
  readonly turns: number;
  /** Lines of the chat of two people. */
  readonly chatLines: number;
  /** What should not be, a sentence each. */
  readonly differences: readonly string[];
  /** Median of the p99 of all phases, ms. */
  readonly p99Ms: number;
  readonly memory: Readonly<Record<string, MemoryTrend>>;
}

const SENDERS = 16;
const IN_FLIGHT = 16;
const REQUESTS_A_SECOND = 120;
const REQUESTS_A_PHASE = 600;
const PAGE_ENTRIES = 1_000;
const CREATED = 201;
const LOOK_EVERY_MS = 1_000;
const SENTENCE_EVERY_MS = 1_000;
/** Heaps are seen after full collections; what a process has taken from the system also holds garbage and gaps. */
const HEAP_GROWTH_MAX = { share: 0.05, mib: 3 };
const TAKEN_GROWTH_MAX = { share: 0.1, mib: 12 };
/** Blocks of 8 MiB that the log passes through, twice over before they are collected. What it keeps is seen in its heap. */
const NATS_TAKEN_GROWTH_MAX = { share: 0.1, mib: 32 };

/**
 * Steady load on one server for a time, with two people in a chat. Afterwards everything acknowledged is looked for, and the memory
 * of server, `nats-server` and a client is judged.
 */
export async function soak(seconds: number, onPhase?: (text: string) => void): Promise<SoakSummary> {
  await using folder = await tempFolder();
  const diaries = { server: openHeapDiary(join(folder.path, 'a')), client: openHeapDiary(join(folder.path, 'b')) };
  const data = join(folder.path, 'data');
  const nats = await openNatsWatch(join(folder.path, 'c'), join(data, 'nats', 'ports'));
  await using server = await startServerProcess({ folder: data, env: { ...diaries.server.env, ...nats.env } });
  await using load = startLoad();
  const { senders, devices } = await makeSenders(server.url, SENDERS);
  const lives: Life[] = [];
  try {
    const alice = beginLife('alice', folder.path, server.url());
    lives.push(alice);
    await alice.waitFor(IS_IN, 'founds');
    const bob = beginLife('bob', folder.path, server.url(), diaries.client.env);
    lives.push(bob);
    await bob.waitFor(WAITS, 'waits');
    alice.say('/invite bob');
    await bob.waitFor(IS_IN, 'is in');
    const churn = await startChurn(server.url);
    const taken = watchTaken({
      server: server.process().pid,
      'nats-server': childrenOf(server.process().pid, 'nats-server')[0]!,
      client: bob.pid,
    });
    const stopLooking = nats.begin();
    let lines = 0;
    const talking = setInterval(() => {
      const life = lives[lines % 2]!;
      life.say(`${life.name} says ${lines}`);
      lines += 1;
    }, SENTENCE_EVERY_MS);
    const acknowledged = devices.map(() => new Set<string>());
    const p99s: number[] = [];
    let refused = 0;
    try {
      for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
        const shape = { requests: REQUESTS_A_PHASE, inFlight: IN_FLIGHT, perSecond: REQUESTS_A_SECOND };
        const sent = await load.play({ url: server.url(), senders, ...shape });
        for (const { sender, status, id } of sent) {
          if (status === CREATED) acknowledged[sender]!.add(id);
          else refused += 1;
        }
        const all = sent.map(({ ms }) => ms);
        p99s.push(quantile(all, 0.99));
        onPhase?.(`${count(acknowledged)} acknowledged, ${refused} refused, ${churn.turns} turns, ${taken.describe()}`);
      }
    } finally {
      clearInterval(talking);
      taken.stop();
      await stopLooking();
    }
    await churn.stop();
    for (const life of lives) life.say(`${life.name} is done`);
    for (const life of lives) {
      for (const { name } of lives) await life.waitFor(new RegExp(`"${name} is done"`), `reads the end of ${name}`);
    }
    const chat = compareChats(lives);
    const memory: Record<string, MemoryTrend> = {};
    for (const [name, samples] of taken.samples) {
      const growthMax = name === 'nats-server' ? NATS_TAKEN_GROWTH_MAX : TAKEN_GROWTH_MAX;
      memory[`${name}: taken`] = judgeMemory(samples, growthMax);
    }
    memory['nats-server: heap'] = judgeMemory(nats.heap, HEAP_GROWTH_MAX);
    for (const [name, diary] of Object.entries(diaries)) {
      for (const [thread, samples] of diary.read()) {
        memory[`${name}: heap of thread ${thread}`] = judgeMemory(samples, HEAP_GROWTH_MAX);
      }
    }
    return {
      seconds,
      acknowledged: count(acknowledged),
      refused,
      turns: churn.turns,
      chatLines: chat.lines,
      differences: [...chat.differences, ...(await missing(devices, acknowledged)), ...heldMore(nats.held)],
      p99Ms: quantile(p99s, 0.5),
      memory,
    };
  } finally {
    for (const life of lives) await life.end();
  }
}

const count = (sets: readonly ReadonlySet<string>[]): number => sets.reduce((sum, { size }) => sum + size, 0);

function watchTaken(pids: Readonly<Record<string, number>>) {
  const samples = new Map(Object.keys(pids).map((name): [string, MemorySample[]] => [name, []]));
  const timer = setInterval(() => {
    for (const [name, pid] of Object.entries(pids)) samples.get(name)!.push({ at: Date.now(), mib: memoryMib(pid) });
  }, LOOK_EVERY_MS);
  return {
    samples,
    describe: () => [...samples].map(([name, all]) => `${name} ${all.at(-1)?.mib.toFixed(0)} MiB`).join(', '),
    stop: () => clearInterval(timer),
  };
}

/** Acknowledged messages that their sender does not find exactly once. */
async function missing(
  devices: Awaited<ReturnType<typeof makeSenders>>['devices'],
  acknowledged: readonly ReadonlySet<string>[],
): Promise<string[]> {
  const differences: string[] = [];
  for (const [i, { device }] of devices.entries()) {
    const found = new Map<string, number>();
    for (const entry of await device.syncAll(PAGE_ENTRIES)) {
      if (entry.kind === 'message') found.set(entry.id, (found.get(entry.id) ?? 0) + 1);
    }
    for (const id of acknowledged[i]!) {
      const times = found.get(id) ?? 0;
      if (times !== 1) differences.push(`${id} of ${device.name} was found ${times} times`);
    }
  }
  return differences;
}
