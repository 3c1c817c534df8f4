/** A binary heap: the least item is at hand, whatever comes and goes. */
export interface Heap<Item> {
  push(item: Item): void;
  first(): Item | undefined;
  /** Takes the first item out. */
  pop(): Item | undefined;
  /** The first item has changed, and goes to where it belongs now. */
  sinkFirst(): void;
}

/** @param isBefore a strict order; of items that are equal in it any may come first */
export function createHeap<Item>(isBefore: (a: Item, b: Item) => boolean): Heap<Item> {
  const heap: Item[] = [];
  const sinkFirst = (): void => {
    const moving = heap[0];
    if (moving === undefined) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, moving)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = moving;
  };
  return {
    push(item) {
      let at = heap.length;
      heap.push(item);
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!isBefore(item, heap[parent]!)) break;
        heap[at] = heap[parent]!;
        at = parent;
      }
      heap[at] = item;
    },
    first: () => heap[0],
    pop() {
      const first = heap[0];
      const last = heap.pop();
      if (heap.length > 0 && last !== undefined) {
        heap[0] = last;
        sinkFirst();
      }
      return first;
    },
    sinkFirst,
  };
}
