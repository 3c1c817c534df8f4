import { createTokenBuckets, type TokenBuckets } from '../auth/token-buckets.ts';

/** Claims a minute that one device may make, and that may be made on one account by all. */
export const CLAIMS_PER_MINUTE = 60;

export interface ClaimLimits {
  readonly requesters: TokenBuckets;
  readonly targets: TokenBuckets;
}

export function createClaimLimits(): ClaimLimits {
  const rate = { perSecond: CLAIMS_PER_MINUTE / 60, burst: CLAIMS_PER_MINUTE };
  return { requesters: createTokenBuckets(rate), targets: createTokenBuckets(rate) };
}
