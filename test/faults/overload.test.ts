import { expect, it } from 'vitest';
import { startServerProcess } from '../support/server.ts';
import { createLedger } from './ledger.ts';
import { makeSenders, quantile, startLoad } from './load.ts';
import { memoryMib } from './memory.ts';
import type { Sent } from './overload-load.ts';
import { openRawConnection } from './raw-http.ts';

const SENDERS = 8;
const WARM_UP = 600;
const CALM = 1_200;
const CALM_IN_FLIGHT = 16;
/** Of what the server does in calm. */
const TIMES = 10;
const SECONDS = 5;
const CONNECTIONS = 400;
/** Bounds of a machine that has nothing else to do; where calm itself is slow, they are multiples of its own. */
const ACCEPTED_P99 = { ms: 250, ofCalm: 25 };
const REFUSED_P99 = { ms: 100, ofCalm: 15 };
const RECOVERY_MS = 5_000;
/** Garbage between two collections included. */
const GROWTH_MAX_MIB = 160;

const times = (sent: readonly Sent[], status: number): number[] =>
  sent.flatMap((one) => (one.status === status ? [one.ms] : []));

it(`D13: at ${TIMES} times the load it can take the server says so at once, stays in memory, and answers in time what it accepts`, async () => {
  await using server = await startServerProcess();
  await using load = startLoad();
  const url = server.url();
  const { pid } = server.process();
  const { senders, devices } = await makeSenders(server.url, SENDERS);
  await load.play({ url, senders, requests: WARM_UP, inFlight: CALM_IN_FLIGHT });
  const calm = await load.play({ url, senders, requests: CALM, inFlight: CALM_IN_FLIGHT });
  const calmP99 = quantile(times(calm, 201), 0.99);
  const calmPerSecond = (CALM / Math.max(...calm.map(({ at, ms }) => at + ms))) * 1000;
  const before = memoryMib(pid);

  const perSecond = Math.ceil(TIMES * calmPerSecond);
  const storm = await load.play({ url, senders, requests: perSecond * SECONDS, inFlight: CONNECTIONS, perSecond });
  const growth = memoryMib(pid) - before;
  const after = await load.play({ url, senders, requests: WARM_UP, inFlight: CALM_IN_FLIGHT });

  const accepted = times(storm, 201);
  const refused = storm.filter(({ status }) => status === 503);
  const lasted = Math.max(...storm.map(({ at, ms }) => at + ms)) / 1000;
  const within = ({ ms, ofCalm }: typeof ACCEPTED_P99): number => Math.max(ms, ofCalm * calmP99);
  const figures = JSON.stringify({
    calm: { perSecond: calmPerSecond, p99: calmP99 },
    storm: { perSecond: storm.length / lasted, acceptedPerSecond: accepted.length / lasted, refused: refused.length },
    acceptedMs: [quantile(accepted, 0.5), quantile(accepted, 0.99)],
    refusedMs: [quantile(times(storm, 503), 0.5), quantile(times(storm, 503), 0.99)],
    growth,
  });
  console.log(`overload: ${figures}`);
  expect(storm.filter(({ status }) => status !== 201 && status !== 503)).toEqual([]);
  expect(refused.length, figures).toBeGreaterThan(accepted.length);
  expect(refused.every(({ retryAfter }) => retryAfter)).toBe(true);
  expect(quantile(accepted, 0.99), figures).toBeLessThan(within(ACCEPTED_P99));
  expect(quantile(times(storm, 503), 0.99), figures).toBeLessThan(within(REFUSED_P99));
  expect(growth, figures).toBeLessThan(GROWTH_MAX_MIB);
  const late = after.filter(({ at, status }) => at > RECOVERY_MS && status !== 201);
  expect(late).toEqual([]);
  expect(times(after, 201).length).toBeGreaterThan(0);

  const { device, group } = devices[0]!;
  const ledger = createLedger();
  const stored = new Set(
    (await device.syncAll(1_000)).flatMap((entry) => (entry.kind === 'message' ? [entry.id] : [])),
  );
  const mine = [...calm, ...storm, ...after].filter(({ sender, status }) => sender === 0 && status === 201);
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
