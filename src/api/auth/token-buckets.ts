import { LRUCache } from 'lru-cache';

/** Times are handed in, ms; waits are seconds, 0 when there is nothing to wait for. */
export interface TokenBuckets {
  /** Takes `cost` tokens from the bucket of `key`: 0 when they were there, else the seconds until they will be. */
  take(key: string, now: number, cost?: number): number;
  /** The same without taking anything. */
  wait(key: string, now: number, cost?: number): number;
  /** Takes them in any case, also into debt: for what is known to cost only after it was spent. */
  charge(key: string, now: number, cost?: number): void;
  /** Gives back what {@link TokenBuckets.take} took. */
  refund(key: string, now: number, cost?: number): void;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** More callers than this at once, and the one that was seen least recently starts with a full bucket again. */
const BUCKETS_MAX = 20_000;

/** One token bucket a key: `perSecond` tokens flow in, `burst` of them fit. */
export function createTokenBuckets(rate: { readonly perSecond: number; readonly burst: number }): TokenBuckets {
  const buckets = new LRUCache<string, Bucket>({ max: BUCKETS_MAX });

  function filled(key: string, now: number): Bucket {
    let bucket = buckets.get(key);
    if (bucket === undefined) {
      bucket = { tokens: rate.burst, at: now };
      buckets.set(key, bucket);
    }
    const flowed = (Math.max(0, now - bucket.at) / 1000) * rate.perSecond;
    bucket.tokens = Math.min(rate.burst, bucket.tokens + flowed);
    bucket.at = now;
    return bucket;
  }

  function secondsUntil(cost: number, { tokens }: Bucket): number {
    return tokens >= cost ? 0 : Math.max(1, Math.ceil((cost - tokens) / rate.perSecond));
  }

  return {
    take(key, now, cost = 1) {
      const bucket = filled(key, now);
      const wait = secondsUntil(cost, bucket);
      if (wait === 0) bucket.tokens -= cost;
      return wait;
    },
    wait: (key, now, cost = 1) => secondsUntil(cost, filled(key, now)),
    charge(key, now, cost = 1) {
      filled(key, now).tokens -= cost;
    },
    refund(key, now, cost = 1) {
      const bucket = filled(key, now);
      bucket.tokens = Math.min(rate.burst, bucket.tokens + cost);
    },
  };
}
