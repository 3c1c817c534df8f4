/** What a server takes and gives, published in `/.well-known/mlsd`. Sizes in bytes, times in milliseconds. */
export interface Limits {
  readonly requestMaxBytes: number;
  readonly commitMaxBytes: number;
  readonly messagesPerRequest: number;
  readonly pageMaxEntries: number;
  readonly pageMaxBytes: number;
  readonly groupMaxMembers: number;
  readonly keyPackagesPerDevice: number;
  readonly keyPackagesPerRequest: number;
  readonly keyPackageMaxLifetimeMs: number;
  readonly claimAccountsPerRequest: number;
  /** Claims that one device may make, and that may be made on one account by all. */
  readonly claimsPerMinute: number;
  /** How many epochs before the current one an application message may be from. */
  readonly pastEpochs: number;
  /** Live streams and waiting long polls of one device, and of one network address. */
  readonly streamsPerDevice: number;
  readonly streamsPerAddress: number;
  readonly waitMaxMs: number;
  readonly clockWindowMs: number;
  /** How long a session is good for. */
  readonly sessionTtlMs: number;
  readonly requestsPerSecond: number;
  readonly requestsBurst: number;
  /** Renames, added and revoked devices of one account. */
  readonly accountChangesPerHour: number;
  /** Registrations that one network address may try. */
  readonly registrationsPerMinute: number;
  /** Ed25519 signatures of one network address that may turn out wrong, a second and at once; after that none is checked. */
  readonly failuresPerSecond: number;
  readonly failuresBurst: number;
  /** An encrypted attachment, as it is stored. */
  readonly attachmentMaxBytes: number;
  /** What one device may have stored at a time, by number and by bytes. */
  readonly attachmentsPerDevice: number;
  readonly attachmentBytesPerDevice: number;
  /** How long an attachment is kept. */
  readonly attachmentRetentionMs: number;
  /** Attachments that one device may store or fetch. */
  readonly attachmentsPerMinute: number;
  /** Offers of new devices that one network address may leave here. */
  readonly deviceOffersPerMinute: number;
  /** Offers that wait for one account at a time. */
  readonly deviceOffersPerAccount: number;
  /** How long such an offer is kept. */
  readonly deviceOfferTtlMs: number;
}

const MIB = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;

export const DEFAULT_LIMITS: Limits = {
  requestMaxBytes: MIB,
  commitMaxBytes: 8 * MIB,
  messagesPerRequest: 100,
  pageMaxEntries: 1000,
  pageMaxBytes: 4 * MIB,
  groupMaxMembers: 2000,
  keyPackagesPerDevice: 100,
  keyPackagesPerRequest: 100,
  keyPackageMaxLifetimeMs: 90 * DAY_MS,
  claimAccountsPerRequest: 100,
  claimsPerMinute: 60,
  pastEpochs: 5,
  streamsPerDevice: 4,
  streamsPerAddress: 1000,
  waitMaxMs: 60_000,
  clockWindowMs: 60_000,
  sessionTtlMs: 15 * 60 * 1000,
  requestsPerSecond: 200,
  requestsBurst: 400,
  accountChangesPerHour: 60,
  registrationsPerMinute: 600,
  failuresPerSecond: 20,
  failuresBurst: 200,
  attachmentMaxBytes: 8 * MIB,
  attachmentsPerDevice: 1000,
  attachmentBytesPerDevice: 256 * MIB,
  attachmentRetentionMs: 30 * DAY_MS,
  attachmentsPerMinute: 60,
  deviceOffersPerMinute: 10,
  deviceOffersPerAccount: 1_000,
  deviceOfferTtlMs: 15 * 60 * 1000,
};
