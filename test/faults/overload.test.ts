import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type ServerProcess, startServerProcess } from '../support/server.ts';
import { createLedger } from './ledger.ts';
import { type LoadProcess, makeSenders, quantile, startLoad } from './load.ts';
import { memoryMib } from './memory.ts';
import type { Sender, Sent } from './overload-load.ts';
import { openRawConnection } from './raw-http.ts';

const SENDERS = 8;
const WARM_UP = 600;
const CALM = 1_200;
const CALM_IN_FLIGHT = 16;
/** Many at once, but no overload: each waits for its answer before it asks again, or asks just once. */
const CALLERS = 64;
const BURST = 100;
/** Of what the server does in calm. */
const TIMES = 10;
const SECONDS = 5;
const CONNECTIONS = 400;
/**
 * Bounds of a machine of full speed that has nothing else to do, by the clock of the load process, whose own delay is in it.
 * Where calm itself is slow they are multiples of calm as it was before the storm.
 */
const ACCEPTED_P99 = { ms: 250, ofCalm: 15 };
const REFUSED_P99 = { ms: 100, ofCalm: 8 };
/**
 * Where the server took most of a storm, the machine has become faster since calm was measured, and the storm was none; where
 * others used the machine, being late says nothing. Only then there is another round.
 */
const ROUNDS_MAX = 3;
/** Of the time that the server's main thread could have run. */
const OTHERS_SHARE_MAX = 0.3;
/** So soon after a storm calm is calm again: all is accepted, in the time that a storm may take at most. */
const RECOVERY_MS = 5_000;
const RECOVERED_P99 = { ms: 250, ofCalm: 8 };
/** Garbage between two collections included. */
const GROWTH_MAX_MIB = 160;

const times = (sent: readonly Sent[], status: number): number[] =>
  sent.flatMap((one) => (one.status === status ? [one.ms] : []));
const secondsOf = (sent: readonly Sent[]): number => Math.max(...sent.map(({ at, ms }) => at + ms)) / 1000;
const refusedOf = (sent: readonly Sent[]): number => sent.filter(({ status }) => status !== 201).length;

/** What the server says of itself: how long messages took from the end of their headers to their answers. */
async function readServer(
  url: string,
): Promise<{ readonly buckets: readonly (readonly [number, number])[]; loopMs: number }> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = /^mlsd_request_seconds_bucket\{le="([\d.]+)",route="\/v1\/groups\/:group\/messages"\} (\d+)$/gm;
  const buckets = [...text.matchAll(line)].map(([, le, count]) => [Number(le) * 1000, Number(count)] as const);
  const loop = /^nodejs_eventloop_lag_p99_seconds ([\d.e-]+)$/m.exec(text)?.[1];
  return { buckets, loopMs: Number(loop) * 1000 };
}

/** The least bound of a bucket, ms, that 99 % of those between two looks were under. */
function serverP99(before: Awaited<ReturnType<typeof readServer>>, after: typeof before): number {
  const added = after.buckets.map(([le, count], i) => [le, count - (before.buckets[i]?.[1] ?? 0)] as const);
  const all = added.at(-1)?.[1] ?? 0;
  return added.find(([, count]) => count >= 0.99 * all)?.[0] ?? Number.NaN;
}

/** How long its main thread has run, and how long it could have run but others did, ns; not every kernel says so. */
function readScheduling(pid: number): readonly [number, number] {
  const file = `/proc/${pid}/task/${pid}/schedstat`;
  const [ran, waited] = existsSync(file) ? readFileSync(file, 'utf8').split(' ').map(Number) : [];
  return [ran ?? Number.NaN, waited ?? Number.NaN];
}

type Round = Awaited<ReturnType<typeof playRound>>;

/** Calm, a storm of so many times as much, and calm again. */
async function playRound(server: ServerProcess, load: LoadProcess, senders: readonly Sender[]) {
  const url = server.url();
  const { pid } = server.process();
  const calm = await load.play({ url, senders, requests: CALM, inFlight: CALM_IN_FLIGHT });
  const calmPerSecond = CALM / secondsOf(calm);
  const memoryBefore = memoryMib(pid);
  const serverBefore = await readServer(url);
  const [ranBefore, waitedBefore] = readScheduling(pid);
  const perSecond = Math.ceil(TIMES * calmPerSecond);
  const storm = await load.play({ url, senders, requests: perSecond * SECONDS, inFlight: CONNECTIONS, perSecond });
  const [ran, waited] = readScheduling(pid);
  const loadOwnDelayP99Ms = load.ownDelayMs();
  const serverAfter = await readServer(url);
  const growth = memoryMib(pid) - memoryBefore;
  const calmP99 = quantile(times(calm, 201), 0.99);
  const after: Sent[] = [];
  let hasRecovered = false;
  for (const from = performance.now(); !hasRecovered && performance.now() - from < RECOVERY_MS; ) {
    const again = await load.play({ url, senders, requests: WARM_UP, inFlight: CALM_IN_FLIGHT });
    after.push(...again);
    hasRecovered = refusedOf(again) === 0 && quantile(times(again, 201), 0.99) < within(RECOVERED_P99, calmP99);
  }
  const accepted = storm.filter(({ status }) => status === 201);
  const refused = storm.filter(({ status }) => status === 503);
  const lasted = secondsOf(storm);
  const figures = {
    calm: { perSecond: calmPerSecond, p99: calmP99 },
    storm: { perSecond: storm.length / lasted, acceptedPerSecond: accepted.length / lasted, refused: refused.length },
    acceptedMs: [0.5, 0.99].map((q) => quantile(times(accepted, 201), q)),
    refusedMs: [0.5, 0.99].map((q) => quantile(times(refused, 503), q)),
    p99AfterFirstSecond: [accepted, refused].map((sent) =>
      quantile(
        sent.filter(({ at }) => at > 1_000).map(({ ms }) => ms),
        0.99,
      ),
    ),
    loadOwnDelayP99Ms,
    server: {
      p99AtMostMs: serverP99(serverBefore, serverAfter),
      loopDelayP99Ms: serverAfter.loopMs,
      waitedForProcessor: (waited - waitedBefore) / (waited - waitedBefore + ran - ranBefore),
    },
    growth,
    afterP99: quantile(times(after, 201), 0.99),
  };
  return { calm, storm, after, accepted, refused, calmP99, hasRecovered, figures };
}

function within({ ms, ofCalm }: typeof ACCEPTED_P99, calmP99: number): number {
  return Math.max(ms, ofCalm * calmP99);
}

const isStorm = ({ accepted, refused }: Round): boolean => refused.length > accepted.length;

/** Whether it was a storm, who was answered in it was answered in time, and it was soon over. */
function isInTime(round: Round): boolean {
  const { accepted, refused, calmP99, hasRecovered } = round;
  return (
    isStorm(round) &&
    hasRecovered &&
    quantile(times(accepted, 201), 0.99) < within(ACCEPTED_P99, calmP99) &&
    quantile(times(refused, 503), 0.99) < within(REFUSED_P99, calmP99)
  );
}

/** Whether a round that was late says something about the server. */
function isTelling(round: Round): boolean {
  return isStorm(round) && round.figures.server.waitedForProcessor < OTHERS_SHARE_MAX;
}

it(`D13: at ${TIMES} times the load it can take the server says so at once, stays in memory, and answers in time what it accepts; ${CALLERS} callers and a burst of ${BURST} are no overload`, async () => {
  await using server = await startServerProcess();
  await using load = startLoad();
  const url = server.url();
  const { senders, devices } = await makeSenders(server.url, SENDERS);
  await load.play({ url, senders, requests: WARM_UP, inFlight: CALM_IN_FLIGHT });
  const burst = await load.play({ url, senders, requests: BURST, inFlight: BURST });
  const callers = await load.play({ url, senders, requests: CALM, inFlight: CALLERS });
  expect([refusedOf(burst), refusedOf(callers)]).toEqual([0, 0]);
  const rounds: Round[] = [];
  do rounds.push(await playRound(server, load, senders));
  while (!isInTime(rounds.at(-1)!) && !isTelling(rounds.at(-1)!) && rounds.length < ROUNDS_MAX);
  const figures = JSON.stringify(rounds.map((round) => round.figures));
  console.log(`overload: ${figures}`);
  expect(isInTime(rounds.at(-1)!), figures).toBe(true);
  const again = await load.play({ url, senders, requests: BURST, inFlight: BURST });
  expect(refusedOf(again)).toBe(0);
  for (const { storm, refused, after, figures } of rounds) {
    expect(storm.filter(({ status }) => status !== 201 && status !== 503)).toEqual([]);
    expect(refused.every(({ retryAfter }) => retryAfter)).toBe(true);
    expect(figures.growth).toBeLessThan(GROWTH_MAX_MIB);
    expect(after.filter(({ status }) => status !== 201 && status !== 503)).toEqual([]);
    expect(times(after, 201).length).toBeGreaterThan(0);
  }

  const { device, group } = devices[0]!;
  const ledger = createLedger();
  const stored = new Set(
    (await device.syncAll(1_000)).flatMap((entry) => (entry.kind === 'message' ? [entry.id] : [])),
  );
  const sent = [
    ...burst,
    ...callers,
    ...again,
    ...rounds.flatMap((round) => [...round.calm, ...round.storm, ...round.after]),
  ];
  const mine = sent.filter(({ sender, status }) => sender === 0 && status === 201);
  expect(mine.filter(({ id }) => !stored.has(id))).toEqual([]);
  expect(await ledger.differences(group, [device])).toEqual([]);
});

const STORM = 1_000;
const HEALTH = Buffer.from('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');

it(`D13: of ${STORM} connections that come at once every one is answered, and who was connected before is heard all the time`, async () => {
  await using server = await startServerProcess();
  const port = Number(new URL(server.url()).port);
  const known = openRawConnection(port);
  const newcomers = Array.from({ length: STORM }, () => openRawConnection(port));
  let waiting = STORM;
  const answers = newcomers.map(async (connection) => {
    const answer = await connection.send(HEALTH);
    waiting -= 1;
    return answer?.status;
  });
  while (waiting > 0) expect((await known.send(HEALTH))?.status).toBe(200);
  expect((await Promise.all(answers)).filter((status) => status !== 200)).toEqual([]);
  for (const connection of [known, ...newcomers]) connection.close();
});
