/** A small seeded generator (mulberry32): a failing history is found again by its seed. */
export interface Random {
  /** 0 ≤ x < 1 */
  next(): number;
  /** 0 ≤ n < bound */
  below(bound: number): number;
  pick<Item>(items: readonly Item[]): Item;
  /** `count` different items, fewer when there are fewer. */
  sample<Item>(items: readonly Item[], count: number): Item[];
  bytes(length: number): Uint8Array;
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (bound: number): number => Math.floor(next() * bound);
  return {
    next,
    below,
    pick: (items) => items[below(items.length)]!,
    sample: (items, count) => {
      const rest = [...items];
      const chosen: (typeof items)[number][] = [];
      while (rest.length > 0 && chosen.length < count) chosen.push(...rest.splice(below(rest.length), 1));
      return chosen;
    },
    bytes: (length) => Uint8Array.from({ length }, () => below(256)),
  };
}
