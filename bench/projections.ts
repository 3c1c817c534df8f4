/** Folding and reading, without a log server and without HTTP: what the tables cost by themselves. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { decodeEvent, encodeEvent } from '../src/log/envelope.ts';
import type { LogEvent, MessagesSent } from '../src/log/events.ts';
import type { LogEntry } from '../src/log/reader.ts';
import { entryKey } from '../src/projections/fold/keys.ts';
import type { ProjectionLog } from '../src/projections/fold-run.ts';
import { openProjections, type Projections } from '../src/projections/open-projections.ts';
import type { ReadModel } from '../src/projections/read-model.ts';
import {
  bytesOf,
  createScript,
  fakeHandshakes,
  type Script,
  type TestDevice,
  testDevice,
} from '../test/projections/builders.ts';
import { type Figure, perSecond, rate, round } from './figure.ts';
import { atLeastPerSecond, lessThanMs, type Machine } from './machine.ts';

const MESSAGES_AN_EVENT = 100;
const MESSAGE_BYTES = 1024;
const SMALL_MESSAGE_BYTES = 200;
const FOLDED_EVENTS = 1_000;
const LARGE_LOG_ENTRIES = 1_000_000;
const GROUPS = 1_000;
const BATCH_EVENTS = 10;
const PAGE = { maxEntries: 1_000, maxBytes: 4 * 1024 * 1024 };
const EMPTY_PAGES = 2_000;
const SCANS = 5;

/** What the figures are made of; times in ms, rates a second. */
export interface ProjectionNumbers {
  readonly foldedMessages: number;
  readonly rebuiltEntries: number;
  readonly pageEntries: number;
  readonly scanEntries: number;
  readonly nothingNewMs: number;
  readonly reopenMs: number;
}

export async function run(machine: Machine): Promise<readonly Figure[]> {
  const numbers = await measure();
  const folding = atLeastPerSecond(machine, 60_000);
  const rebuilding = atLeastPerSecond(machine, 50_000);
  const emptyPage = lessThanMs(machine, 1);
  const opening = lessThanMs(machine, 3_000);
  const ratio = numbers.pageEntries / numbers.scanEntries;
  return [
    {
      name: `fold messages of 1 KiB, ${MESSAGES_AN_EVENT} an event, a CPU second`,
      value: rate(numbers.foldedMessages, 'messages'),
      target: folding.target,
      met: folding.met(numbers.foldedMessages),
    },
    {
      name: 'rebuild from the bytes of the log, a CPU second',
      value: rate(numbers.rebuiltEntries, 'entries'),
      target: rebuilding.target,
      met: rebuilding.met(numbers.rebuiltEntries),
    },
    {
      name: 'catch up in pages of 1,000',
      value: rate(numbers.pageEntries, 'entries'),
      against: { what: `a raw range scan of the same rows (${rate(numbers.scanEntries, 'entries')})`, ratio },
      target: '≥ 0.3 of it',
      met: ratio >= 0.3,
    },
    {
      name: `a page of nothing new, device in ${GROUPS} groups, CPU`,
      value: `${round(numbers.nothingNewMs, 3)} ms`,
      target: emptyPage.target,
      met: emptyPage.met(numbers.nothingNewMs),
    },
    {
      name: `open tables of ${LARGE_LOG_ENTRIES.toLocaleString('en')} entries`,
      value: `${round(numbers.reopenMs, 0)} ms`,
      target: opening.target,
      met: opening.met(numbers.reopenMs),
    },
  ];
}

/** Folds, reads and opens in temporary folders; some 1.5 GB of disk for a while. */
export async function measure(): Promise<ProjectionNumbers> {
  const folder = await mkdtemp(join(tmpdir(), 'mlsd-bench-projections-'));
  try {
    const folding = await measureFold(join(folder, 'fold'));
    const groups = await measureManyGroups(join(folder, 'groups'));
    const large = await measureReopen(join(folder, 'large'));
    return { ...folding, ...groups, ...large };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureFold(dir: string) {
  const script = createScript();
  const alice = testDevice('alice');
  const groups = Array.from({ length: 10 }, (_, i) => bytesOf(`group ${i}`, 16));
  const head: LogEvent[] = [
    script.started(),
    script.register(alice),
    ...groups.map((group) => script.createGroup(alice, group)),
  ];
  const events = Array.from({ length: FOLDED_EVENTS }, (_, i) =>
    messages(script, alice, groups[i % groups.length]!, MESSAGE_BYTES),
  );
  const log = createBenchLog([...head, ...events].map(encodeEvent));
  const projections = await openBench(dir, log);
  await projections.ready;
  const all = FOLDED_EVENTS * MESSAGES_AN_EVENT;

  const decoded = Array.from({ length: FOLDED_EVENTS }, (_, i) =>
    messages(script, alice, groups[i % groups.length]!, MESSAGE_BYTES),
  );
  const foldMs = await cpuMs(() =>
    projections.read.waitForSequence(log.appendDecoded(decoded), AbortSignal.timeout(120_000)),
  );

  const pages = best(SCANS, () => readEverything(projections.read, alice));
  await projections.close();
  const scanEntries = await scanRaw(dir, groups.length);

  const whole = createBenchLog([...head, ...events].map(encodeEvent));
  const rebuildMs = await cpuMs(async () => {
    const rebuilt = await openBench(dir, whole, true);
    await rebuilt.ready;
    await rebuilt.close();
  });
  return {
    foldedMessages: perSecond(all, foldMs),
    rebuiltEntries: perSecond(all, rebuildMs),
    pageEntries: pages,
    scanEntries,
  };
}

async function measureManyGroups(dir: string) {
  const script = createScript();
  const alice = testDevice('alice');
  const groups = Array.from({ length: GROUPS }, (_, i) => bytesOf(`group ${i}`, 16));
  const events = [script.started(), script.register(alice), ...groups.map((group) => script.createGroup(alice, group))];
  const projections = await openBench(dir, createBenchLog(events.map(encodeEvent)));
  await projections.ready;
  const first = projections.read.syncPage(alice.device, 'start', { maxEntries: 2_000, maxBytes: 1 << 24 });
  if (first.kind !== 'page') throw new Error(first.reason);
  const totalMs = await cpuMs(async () => {
    for (let i = 0; i < EMPTY_PAGES; i += 1) projections.read.syncPage(alice.device, first.page.cursor, PAGE);
  });
  await projections.close();
  return { nothingNewMs: totalMs / EMPTY_PAGES };
}

async function measureReopen(dir: string) {
  const script = createScript();
  const alice = testDevice('alice');
  const groups = Array.from({ length: GROUPS }, (_, i) => bytesOf(`group ${i}`, 16));
  const log = createBenchLog(
    [script.started(), script.register(alice), ...groups.map((group) => script.createGroup(alice, group))].map(
      encodeEvent,
    ),
  );
  const projections = await openBench(dir, log);
  for (let done = 0, i = 0; done < LARGE_LOG_ENTRIES; ) {
    const part = Array.from({ length: 100 }, () => messages(script, alice, groups[i++ % GROUPS]!, SMALL_MESSAGE_BYTES));
    done += part.length * MESSAGES_AN_EVENT;
    await projections.read.waitForSequence(log.appendDecoded(part), AbortSignal.timeout(120_000));
  }
  await projections.close();
  const started = performance.now();
  const reopened = await openBench(dir, log);
  await reopened.ready;
  const reopenMs = performance.now() - started;
  await reopened.close();
  return { reopenMs };
}

function messages(script: Script, by: TestDevice, group: Uint8Array, bytes: number): MessagesSent {
  const payload = new Uint8Array(bytes).fill(group[0]!);
  const batch = script.batch(by, group, 0, []);
  const sent = Array.from({ length: MESSAGES_AN_EVENT }, () => [script.clientId(), 0, payload] as const);
  return script.send({ ...batch, messages: sent });
}

function readEverything(read: ReadModel, by: TestDevice): number {
  const started = performance.now();
  let entries = 0;
  let cursor = 'start';
  for (;;) {
    const result = read.syncPage(by.device, cursor, PAGE);
    if (result.kind !== 'page') throw new Error(result.reason);
    entries += result.page.framed.length;
    cursor = result.page.cursor;
    if (result.page.upToDate) return perSecond(entries, performance.now() - started);
  }
}

/** The same rows as the library gives them, group by group, every value copied. */
async function scanRaw(dir: string, groups: number): Promise<number> {
  const db = open<Uint8Array, Uint8Array>({ path: dir, encoding: 'binary', keyEncoding: 'binary' });
  const scanned = best(SCANS, () => {
    const started = performance.now();
    let entries = 0;
    for (let group = 1; group <= groups; group += 1) {
      for (const { value } of db.getRange({ start: entryKey(group, 0), end: entryKey(group + 1, 0) })) {
        if (value.length > 0) entries += 1;
      }
    }
    return perSecond(entries, performance.now() - started);
  });
  await db.close();
  return scanned;
}

/** CPU time of this process, all its threads: what one core would take, whoever else is on the machine. */
async function cpuMs(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function best(times: number, sample: () => number): number {
  return Math.max(...Array.from({ length: times }, sample));
}

function openBench(dir: string, log: ProjectionLog, fresh = false): Promise<Projections> {
  return openProjections({
    dir,
    log,
    fresh,
    cursorKey: bytesOf('key'),
    handshakes: fakeHandshakes,
  });
}

interface BenchLog extends ProjectionLog {
  appendDecoded(events: readonly LogEvent[]): number;
}

/** A log in memory: what was encoded is decoded as it is read, as from a server; what is appended later is not. */
function createBenchLog(encoded: readonly Uint8Array[]): BenchLog {
  const log: (Uint8Array | LogEvent)[] = [...encoded];
  let wake: () => void = () => {};
  return {
    appendDecoded(events) {
      log.push(...events);
      wake();
      return log.length;
    },
    async read({ checkpoint, signal }) {
      return { tail: log.length, [Symbol.asyncIterator]: () => batches(checkpoint?.sequence ?? 0, signal) };
    },
  };

  async function* batches(from: number, signal: AbortSignal | undefined): AsyncGenerator<readonly LogEntry[]> {
    signal?.addEventListener('abort', () => wake());
    for (let at = from; signal?.aborted !== true; ) {
      const part = log.slice(at, at + BATCH_EVENTS);
      if (part.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else yield part.map((item, i) => entryOf(item, at + i + 1));
      at += part.length;
    }
  }
}

const SIZED = new Uint8Array(MESSAGES_AN_EVENT * MESSAGE_BYTES);

function entryOf(item: Uint8Array | LogEvent, sequence: number): LogEntry {
  return item instanceof Uint8Array
    ? { sequence, event: decodeEvent(item), bytes: item }
    : { sequence, event: item, bytes: SIZED };
}
