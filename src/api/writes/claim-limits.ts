import { createTokenBuckets, type TokenBuckets } from '../auth/token-buckets.ts';

/** Claims that one device may make, and that may be made on one account by all. */
export interface ClaimLimits {
  readonly requesters: TokenBuckets;
  readonly targets: TokenBuckets;
}

export function createClaimLimits(perMinute: number): ClaimLimits {
  const rate = { perSecond: perMinute / 60, burst: perMinute };
  return { requesters: createTokenBuckets(rate), targets: createTokenBuckets(rate) };
}
