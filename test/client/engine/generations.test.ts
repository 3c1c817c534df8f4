import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBinding, encodeBinding, isBoundTo } from '../../../src/client/engine/binding.ts';
import { countGeneration } from '../../../src/client/engine/generations.ts';

const start: ReadonlyMap<string, number> = new Map();
/** What is missed in all, when these generations of one sender come in this order. */
function missed(came: readonly { generation: number; voided?: readonly number[] }[]): number {
  let generations = start;
  let sum = 0;
  for (const { generation, voided = [] } of came) {
    const counted = countGeneration({ generations }, { leaf: 1, epoch: 4, generation }, voided);
    sum += counted.missed;
    generations = counted.generations;
  }
  return sum;
}

describe('generations of a sender', () => {
  it('D20: one that is withheld is missed when the next one comes, once', () => {
    expect(missed([{ generation: 0 }, { generation: 2 }, { generation: 3 }])).toBe(1);
    expect(missed([{ generation: 3 }])).toBe(3);
  });

  it('D20: what its sender has given up is not missed, what was withheld beside it is', () => {
    expect(missed([{ generation: 0 }, { generation: 2, voided: [1] }, { generation: 3, voided: [1] }])).toBe(0);
    expect(missed([{ generation: 0 }, { generation: 3, voided: [1] }])).toBe(1);
  });

  it('D20: for any mixture of messages that came, were withheld and were given up, just the withheld ones are missed', () => {
    const fate = fc.constantFrom('came', 'withheld', 'given-up');
    fc.assert(
      fc.property(fc.array(fate, { maxLength: 60 }), (fates) => {
        const voided: number[] = [];
        const came: { generation: number; voided: number[] }[] = [];
        for (const [generation, what] of fates.entries()) {
          if (what === 'given-up') voided.push(generation);
          if (what === 'came') came.push({ generation, voided: [...voided] });
        }
        const last = came.at(-1)?.generation ?? 0;
        const withheld = fates.slice(0, last).filter((what) => what === 'withheld').length;
        expect(missed(came)).toBe(came.length === 0 ? 0 : withheld);
      }),
    );
  });

  it('are named in data that is bound to the message like its id, and read from no other shape', () => {
    expect(decodeBinding(encodeBinding('x'.repeat(22), [3, 4])).voided).toEqual([3, 4]);
    expect(isBoundTo(decodeBinding(encodeBinding('x'.repeat(22), [3, 4])), 'x'.repeat(22))).toBe(true);
    expect(decodeBinding(encodeBinding('x'.repeat(22))).voided).toEqual([]);
    expect(decodeBinding(new Uint8Array(0)).voided).toEqual([]);
    expect(decodeBinding(Uint8Array.of(0xff, 1, 2)).voided).toEqual([]);
  });
});
