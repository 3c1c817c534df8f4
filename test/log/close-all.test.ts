import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Close, closeAll, closedAfter } from '../../src/log/close-all.ts';
import { LogError } from '../../src/log/errors.ts';

describe('closing what was opened', () => {
  it('closes all of it once, the last first, whatever of it fails, and tells every failure', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 8 }), async (fails) => {
        const closed: number[] = [];
        const opened: Close[] = fails.map((isFailing, i) => async () => {
          closed.push(i);
          if (isFailing) throw new LogError('server-failed', `${i}`);
        });
        const thrown: unknown = await closeAll(opened).catch((error: unknown) => error);
        expect(closed).toEqual(fails.map((_, i) => i).reverse());
        const expected = closed.filter((i) => fails[i]).map(String);
        const told = thrown instanceof AggregateError ? (thrown.errors as Error[]) : [thrown as Error | undefined];
        expect(told.flatMap((error) => (error === undefined ? [] : [error.message]))).toEqual(expected);
        if (expected.length === 1) expect(thrown).toMatchObject({ code: 'server-failed' });
        await closeAll(opened);
        expect(closed).toHaveLength(fails.length);
      }),
    );
  });

  it('after a failure says that one, and beside it what could not be closed then', async () => {
    const failure = new LogError('rolled-back', 'the log went back');
    const stuck = new LogError('server-failed', 'stuck');
    expect(await closedAfter(failure, [async () => undefined])).toBe(failure);
    const both = await closedAfter(failure, [() => Promise.reject(stuck)]);
    expect(both).toBe(failure);
    expect(both).toMatchObject({ code: 'rolled-back', suppressed: [stuck] });
  });
});
