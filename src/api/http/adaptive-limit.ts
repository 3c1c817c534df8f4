/**
 * How many may be under way at once: as many as are done in time. By Little's law that is what is done in a second, times the
 * seconds it may take, and both are measured while it goes on.
 *
 * Times are milliseconds of any clock that does not go back.
 */
export interface AdaptiveLimit {
  readonly current: number;
  /** One more is under way. */
  enter(now: number): void;
  /** One less; whether it was done is not said. */
  leave(now: number): void;
  /** One was done. Said once of each, before it leaves. */
  done(now: number): void;
  /** One was turned away: what is under way is all that there may be. */
  refused(): void;
}

/** Between two judgements at least so much time, and so many done: a group commit answers its messages all at once. */
const WINDOW_MS = 250;
const WINDOW_MIN = 20;
/** While fewer than this share are under way, nothing is learned about how many could be. */
const USED_SHARE = 0.5;
/** By one judgement the limit becomes at most this many times what it was. */
const GROWTH_MAX = 2;

/**
 * @param bounds it begins with `start`, and is that much again as soon as it is calm; it is never below `floor`, whatever the
 *   times, and never above `max`
 */
export function createAdaptiveLimit(bounds: {
  readonly floor: number;
  readonly start: number;
  readonly max: number;
  readonly targetMs: number;
}): AdaptiveLimit {
  const { floor, start, max, targetMs } = bounds;
  let current = start;
  let underWay = 0;
  let at = 0;
  /** Of the window: when it began, who was there for how long (requests × ms), how many were done and turned away. */
  let from = 0;
  let spent = 0;
  let finished = 0;
  let turnedAway = 0;

  const advance = (now: number): void => {
    spent += underWay * (now - at);
    at = now;
  };
  const begin = (now: number): void => {
    from = now;
    spent = 0;
    finished = 0;
    turnedAway = 0;
  };
  const judge = (elapsed: number): void => {
    const mean = spent / elapsed;
    const tookMs = spent / finished;
    const inTime = (finished / elapsed) * targetMs;
    if (tookMs > targetMs) {
      // few that are slow are no overload: turning others away would not make them faster
      current = mean >= USED_SHARE * floor ? Math.max(floor, Math.min(current, inTime)) : Math.max(current, start);
    } else if (turnedAway > 0 || mean >= USED_SHARE * current) {
      current = Math.min(max, GROWTH_MAX * current, Math.max(current, inTime));
    } else current = Math.max(current, start);
  };
  return {
    get current() {
      return Math.floor(current);
    },
    enter(now) {
      if (underWay === 0 && now - at >= WINDOW_MS) {
        current = Math.max(current, start);
        begin(now);
      }
      advance(now);
      underWay += 1;
    },
    leave(now) {
      advance(now);
      underWay -= 1;
    },
    done(now) {
      advance(now);
      finished += 1;
      const elapsed = now - from;
      if (elapsed < WINDOW_MS || finished < WINDOW_MIN) return;
      judge(elapsed);
      begin(now);
    },
    refused() {
      turnedAway += 1;
    },
  };
}
