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
  /** How many epochs before the current one an application message may be from. */
  readonly pastEpochs: number;
  readonly streamsPerDevice: number;
  readonly waitMaxMs: number;
  readonly clockWindowMs: number;
  readonly requestsPerSecond: number;
  readonly requestsBurst: number;
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
  pastEpochs: 5,
  streamsPerDevice: 4,
  waitMaxMs: 60_000,
  clockWindowMs: 60_000,
  requestsPerSecond: 200,
  requestsBurst: 400,
};
