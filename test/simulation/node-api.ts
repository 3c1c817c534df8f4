import { pino } from 'pino';
import { createTickets, TICKET_KEY_BYTES } from '../../src/api/auth/tickets.ts';
import { type ApiDeps, DEFAULT_OPERATION_LIMITS } from '../../src/api/deps.ts';
import type { ReceiptSigner } from '../../src/api/receipts.ts';
import type { Shared } from '../../src/api/route.ts';
import { createStreamRegistry } from '../../src/api/sync/stream-registry.ts';
import { WRITE_TIMEOUT_MS } from '../../src/api/writes/append-request.ts';
import { createArrivals } from '../../src/api/writes/arrivals.ts';
import { createGate } from '../../src/api/writes/gate.ts';
import { createPublicGroups } from '../../src/api/writes/public-groups.ts';
import { appendEvent } from '../../src/log/append.ts';
import { appendDecided } from '../../src/log/append-decided.ts';
import { createGroupCommit } from '../../src/log/group-commit.ts';
import type { LogDescription } from '../../src/log/open-log.ts';
import type { Suite } from '../../src/mls/suite.ts';
import type { ReadModel } from '../../src/projections/read-model.ts';
import { DEFAULT_LIMITS } from '../../src/wire/limits.ts';
import type { LogLink } from './log-model.ts';

export const DOMAIN = 'sim.example';
const LIMITS = {
  ...DEFAULT_LIMITS,
  streamsPerDevice: 1_000,
  streamsPerAddress: 1_000,
  requestsPerSecond: 1_000_000,
  requestsBurst: 1_000_000,
};
/** How often somebody may do something is tested elsewhere. */
const UNLIMITED = { take: () => 0, wait: () => 0, charge: () => {}, refund: () => {} };
const TICKETS = createTickets(new Uint8Array(TICKET_KEY_BYTES), DOMAIN);
const LOGGER = pino({ enabled: false });

/** What the handlers of one server process stand on: the real append path over a simulated connection. */
export function createNodeApi(parts: {
  readonly link: LogLink;
  readonly readModel: ReadModel;
  readonly suite: Suite;
  readonly signer: ReceiptSigner;
  readonly now: () => number;
  readonly closing: AbortSignal;
}): { readonly deps: ApiDeps; readonly shared: Shared } {
  const { link, readModel, suite, signer, now, closing } = parts;
  const { connection, publisher } = link;
  const groupCommit = createGroupCommit({
    append: (request) => appendEvent(connection, publisher, request),
    shard: 0,
    payloadMaxBytes: connection.maxPayloadBytes,
    nowMs: now,
  });
  const deps: ApiDeps = {
    domain: DOMAIN,
    version: '0.0.0-simulated',
    limits: LIMITS,
    operation: DEFAULT_OPERATION_LIMITS,
    readModel,
    log: {
      appendDecided: (decide) =>
        appendDecided((request, signal) => appendEvent(connection, publisher, request, signal), decide),
      submitMessages: (batch) => groupCommit.submit(batch),
      describe: async () => description(await link.lastSequence()),
    },
    suite,
    signer,
    signatures: { check: () => Promise.reject(new Error('nobody signs requests here')) },
    tickets: TICKETS,
    logger: LOGGER,
    now,
    bootSecond: 0,
    behindTlsProxy: false,
    closing,
  };
  const shared: Shared = {
    gate: createGate(DEFAULT_OPERATION_LIMITS.appendsInFlight),
    arrivals: createArrivals(readModel, WRITE_TIMEOUT_MS),
    streams: createStreamRegistry(LIMITS),
    claimLimits: { requesters: UNLIMITED, targets: UNLIMITED },
    accountChanges: UNLIMITED,
    reportLimits: UNLIMITED,
    attachmentLimits: UNLIMITED,
    publicGroups: createPublicGroups(),
    renderMetrics: () => Promise.reject(new Error('nobody asks for it here')),
    openapi: '',
  };
  return { deps, shared };
}

function description(lastSequence: number): LogDescription {
  return {
    stream: 'MLS',
    domain: DOMAIN,
    incarnation: '',
    embedded: false,
    serverVersion: 'simulated',
    durability: 'every-write',
    durabilityText: 'simulated',
    replicas: 1,
    lastSequence,
  };
}
