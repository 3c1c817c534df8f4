import { createTokenBuckets, type TokenBuckets } from '../auth/token-buckets.ts';

/** Reports that one device may make in a row, and an hour: a commit that cannot be processed is a rare thing. */
const REPORTS_BURST = 16;
const REPORTS_PER_HOUR = 60;

/** By device id. */
export function createReportLimits(): TokenBuckets {
  return createTokenBuckets({ perSecond: REPORTS_PER_HOUR / 3600, burst: REPORTS_BURST });
}
