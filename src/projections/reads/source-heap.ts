/** Entries of one window or of the inbox, in order; `sequence` and `index` are those of the one that is next. */
export interface Source {
  sequence: number;
  index: number;
  /** The next entry, framed; good until anything else is read. */
  framed(): Uint8Array;
  /** Goes on to the entry after it; false when there is none. */
  advance(): boolean;
}

/** The source with the earliest entry first. */
export interface SourceHeap {
  push(source: Source): void;
  first(): Source | undefined;
  /** Advances the first source and finds the new first one. */
  advanceFirst(): void;
}

export function createSourceHeap(): SourceHeap {
  const heap: Source[] = [];
  const isBefore = (a: Source, b: Source): boolean =>
    a.sequence < b.sequence || (a.sequence === b.sequence && a.index < b.index);

  const sink = (): void => {
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
    push(source) {
      let at = heap.length;
      heap.push(source);
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!isBefore(source, heap[parent]!)) break;
        heap[at] = heap[parent]!;
        at = parent;
      }
      heap[at] = source;
    },
    first: () => heap[0],
    advanceFirst() {
      if (heap[0]?.advance() === false) {
        const last = heap.pop();
        if (heap.length > 0 && last !== undefined) heap[0] = last;
      }
      sink();
    },
  };
}
