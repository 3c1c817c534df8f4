import type { GroupId, Position } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import { prepareRejoin } from '../engine/commits.ts';
import { refuseIntention } from '../engine/intentions.ts';
import { endedMeanwhile, reportAnswered, tryRecovery } from '../engine/recovery.ts';
import { step } from '../engine/types.ts';
import { commitDelayMs } from './commit-delay.ts';
import type { EffectOf, EffectTools } from './effect-world.ts';
import { reasonOf } from './failures.ts';
import { Aborted, backoffMs, pause } from './retry.ts';

/** Each rejoin that was refused quadruples the wait before the next. */
const RECOVERY_BACKOFF_STEPS = 2;

/** The way back into a group that this device cannot read any more. */
export function createWayBackEffects(tools: EffectTools) {
  const { env, api, state, accounts, caughtUp, random, update, answered } = tools;

  const rejoin = async (id: GroupId, effect: EffectOf<'rejoin'>, signal: AbortSignal): Promise<void> => {
    await pause(commitDelayMs(effect, random), signal);
    const served = await answered(() => api.groupInfo(id), signal).catch((error: unknown) => {
      if (!(error instanceof ProblemError)) throw error;
      return error;
    });
    const isUnserved = served instanceof ProblemError && served.code === 'not-found';
    if (
      isUnserved &&
      state.groups.get(id)?.recovery !== undefined &&
      // a member of a group that has no GroupInfo is told the same; the group itself is hidden from nobody who is in it
      (await answered(() => api.endOf(id), signal)) === undefined
    ) {
      // taken out in what could not be read; whatever was left to show has to have come by then
      await caughtUp(signal, id);
      await update(id, (group) => endedMeanwhile(env, group));
    }
    for (;;) {
      const needs = await update(id, (group) => {
        if (!(served instanceof ProblemError)) return prepareRejoin(env, group, served);
        const [intention] = group.intentions;
        return intention?.kind === 'rejoin' ? refuseIntention(group, intention.id, reasonOf(served)) : step(group);
      });
      if (needs?.kind !== 'needs-accounts') return;
      await answered(() => accounts.fetch(needs.accounts), signal);
    }
  };

  const report = async (id: GroupId, signal: AbortSignal): Promise<void> => {
    const recovery = state.groups.get(id)?.recovery;
    if (recovery === undefined) return;
    const { epoch, position, commit, code } = recovery;
    const body = { epoch, position: position as Position, commit, reason: 'cannot-process', code } as const;
    await answered(() => api.postReport(id, body), signal).catch((error: unknown) => {
      // one that is not taken is no reason to stay out: the way back goes on
      if (!(error instanceof ProblemError)) throw error;
    });
    await update(id, (group) => reportAnswered(group, position));
  };

  const recover = async (id: GroupId, attempts: number, signal: AbortSignal): Promise<void> => {
    // whoever was invited anew meanwhile is back already
    await caughtUp(signal, id);
    if (attempts > 0) await pause(backoffMs(attempts * RECOVERY_BACKOFF_STEPS, random), signal);
    if (signal.aborted) throw new Aborted();
    await update(id, (group) => tryRecovery(env, group));
  };

  return { rejoin, report, recover };
}
