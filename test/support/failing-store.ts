import type { ClientStore, Write } from '../../src/client/store/client-store.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';

/** What a process that dies at a write looks like to its store. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

/**
 * A memory store that dies at a commit: before it is applied, or just after it, when its caller never hears that it
 * was. From then on nothing reaches `rows` any more.
 */
export function createFailingStore(
  rows: Map<string, Uint8Array>,
  fault: { readonly at: number; readonly applied: boolean },
): ClientStore & { readonly commits: () => number; readonly crashed: () => boolean } {
  const inner = createMemoryStore(rows);
  let commits = 0;
  let dead = false;
  return {
    ...inner,
    commit: async (writes: readonly Write[]) => {
      if (dead) throw new Crash('dead');
      commits += 1;
      if (commits !== fault.at) return inner.commit(writes);
      dead = true;
      if (fault.applied) await inner.commit(writes);
      throw new Crash(`died at commit ${commits}`);
    },
    durable: async () => {
      if (dead) throw new Crash('dead');
    },
    commits: () => commits,
    crashed: () => dead,
  };
}
