/** How many may be under way at once: as many as are done in time, found by trying. */
export interface AdaptiveLimit {
  readonly current: number;
  /** One of `underWay` was done, after this many milliseconds; `now` in milliseconds of any clock. */
  sample(ms: number, underWay: number, now: number): void;
}

/** Between a cut and the next one at least the target has to pass: those under way then are no news. */
const CUT = 0.8;
/** A limit doubles within this many that were in time, and only while it is at least half used: calm proves nothing. */
const DOUBLES_WITHIN = 200;
const USED_SHARE = 0.5;

/**
 * Additive increase, multiplicative decrease, as in TCP: above `targetMs` the limit is cut by a fifth, below it grows.
 *
 * @param bounds it begins with `start`, is never below `floor`, whatever the times, and never above `max`
 */
export function createAdaptiveLimit(bounds: {
  readonly floor: number;
  readonly start: number;
  readonly max: number;
  readonly targetMs: number;
}): AdaptiveLimit {
  const { floor, start, max, targetMs } = bounds;
  let current = Math.min(max, start);
  let cutAt = Number.NEGATIVE_INFINITY;
  return {
    get current() {
      return Math.floor(current);
    },
    sample(ms, underWay, now) {
      if (ms <= targetMs) {
        if (underWay < USED_SHARE * current) return;
        current = Math.min(max, current + current / DOUBLES_WITHIN);
      } else if (now - cutAt > targetMs) {
        cutAt = now;
        current = Math.max(floor, current * CUT);
      }
    },
  };
}
