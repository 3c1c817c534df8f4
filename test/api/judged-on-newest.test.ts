import { describe, expect, test } from 'vitest';
import type { ApiDeps } from '../../src/api/deps.ts';
import { FUTURE_EPOCH, foldNewest, judgedOnNewest } from '../../src/api/writes/judged-on-newest.ts';
import { LogError } from '../../src/log/errors.ts';
import { ProblemError } from '../../src/wire/problems.ts';

/** A node at `at` of a log that ends at `end`; it comes as far as it is asked to, or never. */
function node(at: number, end: number | 'away', folds = true) {
  const state = { at, asked: 0 };
  const deps = {
    log: {
      describe: async () => {
        state.asked += 1;
        if (end === 'away') throw new LogError('unavailable', 'away');
        return { lastSequence: end };
      },
    },
    readModel: {
      checkpoint: () => ({ incarnation: '', sequence: state.at }),
      waitForSequence: (sequence: number, signal: AbortSignal) =>
        new Promise<void>((resolve, reject) => {
          if (!folds) signal.addEventListener('abort', () => reject(signal.reason));
          else {
            state.at = sequence;
            resolve();
          }
        }),
    },
  } as unknown as Pick<ApiDeps, 'log' | 'readModel'>;
  return { deps, state };
}

const refusals = [
  new ProblemError('not-found', 'no such group'),
  new ProblemError('forbidden', 'no member'),
  new ProblemError('epoch-conflict', 'of an epoch to come', { members: { reason: FUTURE_EPOCH } }),
  new ProblemError('invalid-commit', 'leaves out what waits'),
];

describe('a node that is behind the log', () => {
  test.each(refusals)('judges again on the newest tables before it says $code', async (refusal) => {
    const { deps, state } = node(3, 5);
    const judged = await judgedOnNewest(deps, () => {
      if (state.at < 5) throw refusal;
      return 'taken';
    });
    expect(judged).toBe('taken');
  });

  test('stands by its refusal when the log holds nothing that it has not seen', async () => {
    const { deps, state } = node(5, 5);
    let judgements = 0;
    const judge = (): never => {
      judgements += 1;
      throw refusals[0];
    };
    await expect(judgedOnNewest(deps, judge)).rejects.toBe(refusals[0]);
    expect([judgements, state.asked]).toEqual([1, 1]);
  });

  test('asks nothing of the log for what does not depend on it', async () => {
    const { deps, state } = node(3, 5);
    const conflict = new ProblemError('epoch-conflict', 'of an epoch that is over');
    await expect(judgedOnNewest(deps, () => Promise.reject(conflict))).rejects.toBe(conflict);
    expect(await judgedOnNewest(deps, () => 'taken')).toBe('taken');
    expect(state.asked).toBe(0);
  });

  test('says not-ready when it does not come as far in time, and what the log says when that is away', async () => {
    const judge = (): never => {
      throw refusals[1];
    };
    await expect(judgedOnNewest(node(3, 5, false).deps, judge)).rejects.toMatchObject({ code: 'not-ready' });
    await expect(judgedOnNewest(node(3, 'away').deps, judge)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('that is asked for the newest folds all that the log holds first, or says that it cannot', async () => {
    const { deps, state } = node(3, 5);
    await foldNewest(deps);
    expect(state.at).toBe(5);
    await expect(foldNewest(node(3, 5, false).deps)).rejects.toMatchObject({ code: 'not-ready' });
    await expect(foldNewest(node(3, 'away').deps)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
