import { startServerProcess } from '../support/server.ts';
import { makeSenders, memoryMib, quantile, startLoad } from './load.ts';

export interface SoakSummary {
  readonly seconds: number;
  readonly acknowledged: number;
  readonly refused: number;
  /** Acknowledged messages that their sender did not find exactly once afterwards. */
  readonly differences: number;
  /** Least of the server's own memory, MiB, in the second and in the last quarter of the time: what collections leave. */
  readonly memoryMib: readonly [second: number, last: number];
  readonly p99Ms: number;
}

const SENDERS = 16;
const IN_FLIGHT = 16;
const REQUESTS_A_PHASE = 2_000;
const PAGE_ENTRIES = 1_000;

/** Steady load on one server for a time; afterwards everything acknowledged is looked for. */
export async function soak(seconds: number, onPhase?: (text: string) => void): Promise<SoakSummary> {
  await using server = await startServerProcess();
  await using load = startLoad();
  const { senders, devices } = await makeSenders(server.url, SENDERS);
  const memory: number[] = [];
  const p99s: number[] = [];
  const acknowledged = devices.map(() => new Set<string>());
  let refused = 0;
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    const order = { url: server.url(), senders, requests: REQUESTS_A_PHASE, inFlight: IN_FLIGHT };
    const sent = await load.play(order);
    for (const { sender, status, id } of sent) {
      if (status === 201) acknowledged[sender]!.add(id);
      else refused += 1;
    }
    p99s.push(
      quantile(
        sent.map(({ ms }) => ms),
        0.99,
      ),
    );
    memory.push(memoryMib(server.process().pid));
    const total = acknowledged.reduce((sum, { size }) => sum + size, 0);
    onPhase?.(`${total} acknowledged, ${refused} refused, ${memory.at(-1)!.toFixed(0)} MiB`);
  }
  let differences = 0;
  for (const [i, { device }] of devices.entries()) {
    const found = new Map<string, number>();
    for (const entry of await device.syncAll(PAGE_ENTRIES)) {
      if (entry.kind === 'message') found.set(entry.id, (found.get(entry.id) ?? 0) + 1);
    }
    for (const id of acknowledged[i]!) if (found.get(id) !== 1) differences += 1;
  }
  const quarter = (number: number): number =>
    Math.min(...memory.slice(Math.floor((memory.length * number) / 4), Math.ceil((memory.length * (number + 1)) / 4)));
  return {
    seconds,
    acknowledged: acknowledged.reduce((sum, { size }) => sum + size, 0),
    refused,
    differences,
    memoryMib: [quarter(1), quarter(3)],
    p99Ms: quantile(p99s, 0.5),
  };
}
