import { createHeap } from './heap.ts';

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
  const heap = createHeap<Source>(
    (a, b) => a.sequence < b.sequence || (a.sequence === b.sequence && a.index < b.index),
  );
  return {
    push: heap.push,
    first: heap.first,
    advanceFirst() {
      if (heap.first()?.advance() === false) heap.pop();
      else heap.sinkFirst();
    },
  };
}
