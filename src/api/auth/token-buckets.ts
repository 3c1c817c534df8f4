import { LRUCache } from 'lru-cache';

export interface TokenBuckets {
  /** Takes `cost` tokens from the bucket of `key`: 0 when they were there, else the seconds until they will be. */
  take(key: string, now: number, cost?: number): number;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** More callers than this at once, and the one that was seen least recently starts with a full bucket again. */
const BUCKETS_MAX = 20_000;

/** One token bucket a key: `perSecond` tokens flow in, `burst` of them fit. Time is handed in, ms. */
export function createTokenBuckets(rate: { readonly perSecond: number; readonly burst: number }): TokenBuckets {
  const buckets = new LRUCache<string, Bucket>({ max: BUCKETS_MAX });
  return {
    take(key, now, cost = 1) {
      let bucket = buckets.get(key);
      if (bucket === undefined) {
        bucket = { tokens: rate.burst, at: now };
        buckets.set(key, bucket);
      }
      const flowed = (Math.max(0, now - bucket.at) / 1000) * rate.perSecond;
      bucket.tokens = Math.min(rate.burst, bucket.tokens + flowed);
      bucket.at = now;
      if (bucket.tokens < cost) return Math.max(1, Math.ceil((cost - bucket.tokens) / rate.perSecond));
      bucket.tokens -= cost;
      return 0;
    },
  };
}
