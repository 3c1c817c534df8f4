import { seeded } from '../support/seeded.ts';

/** Everything in a history that could have gone otherwise. */
export interface Chance {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform in [from, to). */
  between(from: number, to: number): number;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
  hits(probability: number): boolean;
  pick<Item>(items: readonly Item[]): Item;
  bytes(length: number): Uint8Array;
  /** A source of its own: what is drawn there changes nothing here. */
  fork(): Chance;
}

export function createChance(seed: number): Chance {
  const source = seeded(seed);
  const { next, below, pick } = source;
  return {
    next,
    below,
    pick,
    between: (from, to) => from + next() * (to - from),
    hits: (probability) => next() < probability,
    bytes: (length) => Uint8Array.from({ length }, () => below(256)),
    fork: () => createChance(below(0x1_0000_0000)),
  };
}
