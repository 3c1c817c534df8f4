import type { Logger } from 'pino';
import type { BlobStore } from '../log/blobs.ts';
import type { OfferStore } from '../log/device-offers.ts';
import type { Log } from '../log/open-log.ts';
import type { Suite } from '../mls/suite.ts';
import type { ReadModel } from '../projections/read-model.ts';
import type { Limits } from '../wire/limits.ts';
import type { SignatureChecks } from './auth/signature-checks.ts';
import type { Tickets } from './auth/tickets.ts';
import type { ReceiptSigner } from './receipts.ts';

/** Limits of this server's own operation. Published like the others: a client may want to know why it is cut. */
export interface OperationLimits {
  /** Requests a second that one network address may make, signed or not, and how many at once. */
  readonly addressPerSecond: number;
  readonly addressBurst: number;
  /** Appends under way at once; more are answered `not-ready`. */
  readonly appendsInFlight: number;
  /** How long the headers of a request may take to arrive, from the connection or their first byte on, ms. */
  readonly headersTimeoutMs: number;
  /** How long a body may take to arrive, ms. */
  readonly bodyTimeoutMs: number;
  /** How long a stream's reader may leave its socket full, ms. */
  readonly drainTimeoutMs: number;
  /** Between two signs of life on a stream, ms. */
  readonly heartbeatMs: number;
}

export const DEFAULT_OPERATION_LIMITS: OperationLimits = {
  addressPerSecond: 2_000,
  addressBurst: 4_000,
  appendsInFlight: 2_048,
  headersTimeoutMs: 15_000,
  bodyTimeoutMs: 20_000,
  drainTimeoutMs: 20_000,
  heartbeatMs: 20_000,
};

/** All that the API stands on; handed in, so that a test can stand it on anything. */
export interface ApiDeps {
  readonly domain: string;
  /** Of this program. */
  readonly version: string;
  readonly limits: Limits;
  readonly operation: OperationLimits;
  readonly readModel: ReadModel;
  readonly log: Pick<Log, 'appendDecided' | 'submitMessages' | 'describe'>;
  /** Attachments. Left out: none are taken. */
  readonly blobs?: BlobStore;
  /** Offers of new devices. Left out: none are kept. */
  readonly offers?: OfferStore;
  readonly suite: Suite;
  readonly signer: ReceiptSigner;
  /** Checks those of requests and statements. */
  readonly signatures: Pick<SignatureChecks, 'check'>;
  readonly tickets: Tickets;
  readonly logger: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Requests signed before this second (since 1970) are not taken: their signatures may have been used before the boot. */
  readonly bootSecond: number;
  /** Whether a TLS proxy stands in front: its `X-Forwarded-For` is believed, and `https` is the scheme. */
  readonly behindTlsProxy: boolean;
  /** Whether more may be stored; while it says no, writes get `storage-full` and reads go on. Left out: always. */
  readonly hasRoom?: () => boolean;
  /** Aborted when the server closes: streams and long polls end, new requests are turned away. */
  readonly closing: AbortSignal;
}
