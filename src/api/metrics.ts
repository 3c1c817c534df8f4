import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ReadModel } from '../projections/read-model.ts';
import type { Admission } from './http/admission.ts';
import type { StreamRegistry } from './sync/stream-registry.ts';
import type { Gate } from './writes/gate.ts';

export interface Metrics {
  request(method: string, route: string, status: number, problem: string | undefined, seconds: number): void;
  /** Prometheus text format. */
  render(): Promise<{ readonly type: string; readonly text: string }>;
}

const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60];

/** Counts by route pattern and problem code: no name, no id is ever a label. */
export function createMetrics(sources: {
  readonly readModel: Pick<ReadModel, 'checkpoint' | 'readiness' | 'restarts'>;
  readonly streams: StreamRegistry;
  readonly gate: Gate;
  readonly admission: Pick<Admission, 'inside' | 'limit' | 'readsLimit' | 'turnedAway' | 'awaited'>;
}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: 'mlsd_requests_total',
    help: 'Requests by route, status and problem code.',
    labelNames: ['method', 'route', 'status', 'problem'] as const,
    registers,
  });
  const latency = new Histogram({
    name: 'mlsd_request_seconds',
    help: 'Time from the headers of a request to its answer; of a stream, to its beginning.',
    labelNames: ['route'] as const,
    buckets: LATENCY_BUCKETS_SECONDS,
    registers,
  });
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  gauge('mlsd_ready', '1 when the server can serve.', () => (sources.readModel.readiness().ready ? 1 : 0));
  gauge(
    'mlsd_checkpoint_sequence',
    'Log sequence this node has folded.',
    () => sources.readModel.checkpoint().sequence,
  );
  new Counter({
    name: 'mlsd_projection_restarts_total',
    help: 'How often folding started again by itself: resumed after a failed write, rebuilt after damage to the tables.',
    labelNames: ['how'] as const,
    registers,
    collect() {
      this.reset();
      const { resumed, rebuilt } = sources.readModel.restarts();
      this.inc({ how: 'resumed' }, resumed);
      this.inc({ how: 'rebuilt' }, rebuilt);
    },
  });
  gauge('mlsd_streams_open', 'Live streams and waiting long polls open.', () => sources.streams.open);
  gauge(
    'mlsd_admission_limit',
    'Writes that may be under way at once, until they are in the log.',
    () => sources.admission.limit,
  );
  gauge(
    'mlsd_admission_reads_limit',
    'Reads that may be on their way to being authenticated at once.',
    () => sources.admission.readsLimit,
  );
  gauge('mlsd_admission_inside', 'Requests at the door.', () => sources.admission.inside);
  gauge('mlsd_bodies_awaited', 'Requests whose bodies are being read.', () => sources.admission.awaited);
  new Counter({
    name: 'mlsd_turned_away_total',
    help: 'Requests refused before they were looked at, because too many were under way.',
    registers,
    collect() {
      this.reset();
      this.inc(sources.admission.turnedAway);
    },
  });
  gauge('mlsd_appends_in_flight', 'Appends under way.', () => sources.gate.inFlight);
  return {
    request(method, route, status, problem, seconds) {
      requests.inc({ method, route, status: String(status), problem: problem ?? 'none' });
      latency.observe({ route }, seconds);
    },
    render: async () => ({ type: registry.contentType, text: await registry.metrics() }),
  };
}
