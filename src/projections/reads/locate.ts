import { entryKey, moveEntryKey } from '../fold/keys.ts';
import { compareOrder, type Order, readOrder } from '../order.ts';
import type { Tables } from '../store/tables.ts';

/**
 * The first position of a group, between `from` and `to`, whose entry comes after `order`; `to` itself has to. Readers are
 * mostly a little behind, so the search goes back from the end in growing steps before it halves: a few reads for
 * those, twice the logarithm for one at the start.
 */
export function firstPositionAfter(tables: Tables, group: number, from: number, to: number, order: Order): number {
  const key = entryKey(group, to);
  const isAfter = (position: number): boolean => {
    moveEntryKey(key, position);
    return compareOrder(readOrder(tables.peekEntryAt(key)), order) > 0;
  };
  let after = to;
  let step = 1;
  let low = from;
  while (after > from) {
    const probe = Math.max(from, after - step);
    if (isAfter(probe)) {
      after = probe;
      step *= 2;
    } else {
      low = probe + 1;
      break;
    }
  }
  while (low < after) {
    const middle = Math.floor((low + after) / 2);
    if (isAfter(middle)) after = middle;
    else low = middle + 1;
  }
  return after;
}
