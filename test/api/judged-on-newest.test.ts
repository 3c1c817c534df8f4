import { describe, expect, test } from 'vitest';
import type { ApiDeps } from '../../src/api/deps.ts';
import { FUTURE_EPOCH, foldNewest, judgedOnNewest, WAITING_MAX } from '../../src/api/writes/judged-on-newest.ts';
import { invalidCommit } from '../../src/api/writes/refusal.ts';
import { LogError } from '../../src/log/errors.ts';
import { PUBLIC_GROUP_REFUSALS, type PublicGroupRefusal } from '../../src/mls/public-group/refusal.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { ProblemError } from '../../src/wire/problems.ts';

/** A node at `at` of a log that ends at `end`; it comes as far as it is asked to, or never. */
function node(at: number, end: number | 'away' | 'hung', folds = true) {
  const state = {
    at,
    asked: 0,
    /** Of every group, at `end`: when the log has moved it there. */
    moved: {} as {
      epoch?: number;
      position?: number;
      commitLaneSequence?: number;
      proposals?: ReadonlyMap<string, object>;
    },
  };
  const deps = {
    log: {
      describe: async () => {
        state.asked += 1;
        if (end === 'away') throw new LogError('unavailable', 'away');
        if (end === 'hung') return await new Promise<never>(() => undefined);
        return { lastSequence: end };
      },
    },
    readModel: {
      checkpoint: () => ({ incarnation: '', sequence: state.at }),
      group: () => ({
        epoch: 7,
        position: 20,
        commitLaneSequence: 2,
        proposals: new Map(),
        ...(state.at > at ? state.moved : {}),
      }),
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
  invalidCommit('uncovered-proposal'),
];

const group = 'a group' as GroupId;

/** How often a request that is always refused is judged. */
async function judgements(deps: ReturnType<typeof node>['deps'], refusal: ProblemError, about = {}): Promise<number> {
  let judged = 0;
  const judge = (): never => {
    judged += 1;
    throw refusal;
  };
  await expect(judgedOnNewest(deps, judge, about)).rejects.toBe(refusal);
  return judged;
}

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

  test('says of an invalid commit at once what no newer table can change, and asks for what it can', async () => {
    const changing: string[] = [];
    for (const reason of Object.keys(PUBLIC_GROUP_REFUSALS) as PublicGroupRefusal[]) {
      const { deps, state } = node(3, 5);
      const judged = await judgements(deps, invalidCommit(reason));
      expect([reason, judged]).toEqual([reason, state.asked + 1]);
      if (state.asked > 0) changing.push(reason);
    }
    expect(changing.sort()).toEqual([
      'forbidden',
      'unclaimed-key-package',
      'uncovered-proposal',
      'unknown-proposal',
      'unknown-sender',
      'unknown-signature-key',
    ]);
  });

  test('judges again what stands on the group alone only when that has moved, by more than messages', async () => {
    const [unknown, unclaimed] = [invalidCommit('unknown-proposal'), invalidCommit('unclaimed-key-package')];
    const again = async (refusal: ProblemError, moved: ReturnType<typeof node>['state']['moved']) => {
      const { deps, state } = node(3, 5);
      state.moved = moved;
      return await judgements(deps, refusal, { group });
    };
    expect(await again(unknown, {})).toBe(1);
    expect(await again(unknown, { position: 21 })).toBe(1);
    expect(await again(unknown, { position: 21, proposals: new Map([['one', {}]]) })).toBe(2);
    expect(await again(unknown, { position: 21, epoch: 8, commitLaneSequence: 5 })).toBe(2);
    expect(await again(unclaimed, {})).toBe(2);
  });

  test.each([
    ['does not come as far as the log', () => node(3, 5, false)],
    ['hears nothing of its log', () => node(3, 'hung')],
  ])('that %s lets only so many wait, and sends the others away with Retry-After', async (_, create) => {
    const { deps } = create();
    const judge = () => Promise.reject(refusals[0]);
    const settled: unknown[] = [];
    const asked = Array.from({ length: WAITING_MAX + 40 }, () =>
      judgedOnNewest(deps, judge).catch((error: unknown) => settled.push(error)),
    );
    await Promise.all(asked.slice(WAITING_MAX));
    expect(settled).toHaveLength(40);
    for (const error of settled) {
      expect(error).toMatchObject({ code: 'not-ready', retryAfterSeconds: expect.any(Number) });
    }
    // what does not have to wait is judged as ever, and another node has room of its own
    await expect(judgedOnNewest(deps, () => 'taken')).resolves.toBe('taken');
    await expect(judgedOnNewest(node(5, 5).deps, judge)).rejects.toBe(refusals[0]);
  });

  test('has room again for those who wait, when others have waited', async () => {
    const { deps } = node(3, 5);
    for (let round = 0; round < 3; round += 1) {
      const asked = Array.from({ length: WAITING_MAX }, () => judgedOnNewest(deps, () => Promise.reject(refusals[0])));
      for (const { reason } of (await Promise.allSettled(asked)) as PromiseRejectedResult[])
        expect(reason).toBe(refusals[0]);
    }
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
