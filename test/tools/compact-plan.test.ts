import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { beforeOpenProposals } from '../../src/tools/compact/plan.ts';

const KINDS = ['message', 'proposal', 'commit'] as const;
const numbered = (kinds: readonly string[]) => kinds.map((kind, i) => ({ position: i + 1, kind }));

describe('a log that was compacted never begins between a proposal and the commit that covers it', () => {
  test('proposals whose commit stays do stay', () => {
    const entries = numbered(['group-created', 'proposal', 'commit', 'message', 'proposal', 'proposal', 'message']);
    expect(beforeOpenProposals(entries, 8)).toBe(5);
    expect(beforeOpenProposals(entries.slice(0, 3), 4)).toBe(4);
    expect(beforeOpenProposals([], 1)).toBe(1);
  });

  test('whatever the log holds: before its beginning every proposal has its commit, and no more stays than that needs', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...KINDS), { maxLength: 30 }), (kinds) => {
        const logStart = beforeOpenProposals(numbered(kinds), kinds.length + 1);
        const gone = kinds.slice(0, logStart - 1);
        expect(gone.lastIndexOf('proposal')).toBeLessThanOrEqual(gone.lastIndexOf('commit'));
        const stays = kinds.slice(logStart - 1);
        expect(stays.length === 0 || (stays[0] === 'proposal' && !stays.includes('commit'))).toBe(true);
      }),
    );
  });
});
