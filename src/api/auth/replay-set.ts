/**
 * Signatures that were taken, for as long as their clock window is open. Two sets, swapped every `periodMs`: a
 * signature is remembered for one to two periods, without a timer or a list of times.
 */
export interface ReplaySet {
  has(signature: Uint8Array, now: number): boolean;
  /** `false` when it was there already; checking and adding are one synchronous step. */
  add(signature: Uint8Array, now: number): boolean;
}

/** A signature's first six bytes, as an integer: they are part of R, which nobody can vary without the key. */
const KEY_BYTES = 6;

/** @param periodMs twice the clock window or more: from 60 s ahead of us to 60 s behind. */
export function createReplaySet(periodMs: number, now: number): ReplaySet {
  let current = new Set<number>();
  let previous = new Set<number>();
  let swappedAt = now;

  function turn(at: number): void {
    const elapsed = at - swappedAt;
    if (elapsed < periodMs) return;
    previous = elapsed < 2 * periodMs ? current : new Set();
    current = new Set();
    swappedAt = at;
  }

  function isKnown(key: number): boolean {
    return current.has(key) || previous.has(key);
  }

  return {
    has(signature, at) {
      turn(at);
      return isKnown(keyOf(signature));
    },
    add(signature, at) {
      turn(at);
      const key = keyOf(signature);
      if (isKnown(key)) return false;
      current.add(key);
      return true;
    },
  };
}

function keyOf(signature: Uint8Array): number {
  let key = 0;
  for (let i = 0; i < KEY_BYTES; i += 1) key = key * 256 + (signature[i] ?? 0);
  return key;
}
