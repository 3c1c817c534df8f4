/**
 * That the server one is connected to does not do what it is asked. When that has gone on for some seconds it is left for
 * another one, where others are known.
 */
export interface Suspicion {
  /** It did. */
  clear(): void;
  /** It did not, from `askedAt` (of `performance.now()`) until now. */
  grow(askedAt: number): void;
}

/** A server of a cluster may be cut off from the others and still answer pings; an election takes less than this. */
const LEAVE_AFTER_MS = 4_000;

export function createSuspicion(leave: () => void): Suspicion {
  let clearedAt = performance.now();
  let since: number | undefined;
  const clear = (): void => {
    clearedAt = performance.now();
    since = undefined;
  };
  return {
    clear,
    grow(askedAt) {
      since ??= Math.max(askedAt, clearedAt);
      if (performance.now() - since < LEAVE_AFTER_MS) return;
      clear();
      leave();
    },
  };
}
