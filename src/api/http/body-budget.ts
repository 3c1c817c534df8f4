/** Bodies that are on their way, by network address: what a sender may make this process keep for it before it is known. */
export interface BodyBudget {
  /** @returns `false`: this address has as much on its way as it may */
  take(address: string, bytes: number): boolean;
  /** Gives back what was taken, once the body is there or will not come. */
  give(address: string, bytes: number): void;
}

/** Of one address at once: 2,048 small bodies, or sixteen of the largest. */
const BYTES_PER_ADDRESS = 128 * 1024 * 1024;
/** A body counts as this much at least: a connection costs something too. */
const BYTES_MIN = 64 * 1024;

export function createBodyBudget(): BodyBudget {
  const taken = new Map<string, number>();
  return {
    take(address, bytes) {
      const sum = (taken.get(address) ?? 0) + Math.max(bytes, BYTES_MIN);
      if (sum > BYTES_PER_ADDRESS) return false;
      taken.set(address, sum);
      return true;
    },
    give(address, bytes) {
      const rest = (taken.get(address) ?? 0) - Math.max(bytes, BYTES_MIN);
      if (rest > 0) taken.set(address, rest);
      else taken.delete(address);
    },
  };
}
