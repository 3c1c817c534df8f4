import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHeap } from '../../src/projections/reads/heap.ts';

interface Item {
  at: number;
}

test('a heap has the least of what is in it at hand, whatever was put in, taken out, or has moved on', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('push'), by: fc.nat(50) }),
    fc.record({ kind: fc.constantFrom('pop', 'sink'), by: fc.nat(50) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const heap = createHeap<Item>((a, b) => a.at < b.at);
      const model: Item[] = [];
      for (const { kind, by } of steps) {
        const first = heap.first();
        if (kind === 'push') {
          const item = { at: by };
          heap.push(item);
          model.push(item);
        } else if (kind === 'pop') {
          expect(heap.pop()).toBe(first);
          if (first !== undefined) model.splice(model.indexOf(first), 1);
        } else if (first !== undefined) {
          first.at += by;
          heap.sinkFirst();
        }
        expect(heap.first()?.at).toBe(model.length === 0 ? undefined : Math.min(...model.map(({ at }) => at)));
        if (model.length > 0) expect(model).toContain(heap.first());
      }
    }),
  );
});
