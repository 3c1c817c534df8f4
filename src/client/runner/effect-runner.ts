import type { GroupId, Sha256 } from '../../wire/ids.ts';
import { type Effect, effectsOf } from '../engine/effects.ts';
import type { Group } from '../engine/types.ts';
import { Aborted } from './retry.ts';
import { withAny } from './with-any.ts';

/** Performs one effect. Resolves when its result is in the store; never leaves the group as it was without waiting. */
export type PerformEffect = (group: GroupId, effect: Effect, signal: AbortSignal) => Promise<void>;

export interface EffectRunner {
  /** Starts what the group's value asks for and stops what it no longer does. */
  reconcile(id: GroupId): void;
  /** Resolves when nothing runs any more, after the signal given to {@link createEffectRunner} fired. */
  stopped(): Promise<void>;
}

interface Running {
  readonly key: string;
  readonly controller: AbortController;
  readonly done: Promise<void>;
}

/** At most one effect of a kind runs for a group: commits and batches of messages go out one after the other. */
export function createEffectRunner(options: {
  readonly groups: ReadonlyMap<GroupId, Group>;
  readonly sha256: Sha256;
  readonly perform: PerformEffect;
  readonly signal: AbortSignal;
  readonly onFailure: (error: unknown) => void;
}): EffectRunner {
  const { groups, sha256, perform, signal, onFailure } = options;
  const running = new Map<string, Running>();

  const slotOf = (id: GroupId, effect: Effect): string => `${id}/${effect.kind}`;

  const start = (id: GroupId, effect: Effect): void => {
    const slot = slotOf(id, effect);
    const controller = new AbortController();
    const stopping = [signal, controller.signal];
    const done = withAny(stopping, (either) => perform(id, effect, either))
      .catch((error: unknown) => {
        if (!(error instanceof Aborted) && !stopping.some(({ aborted }) => aborted)) onFailure(error);
      })
      .finally(() => {
        running.delete(slot);
        reconcile(id);
      });
    running.set(slot, { key: effect.key, controller, done });
  };

  const reconcile = (id: GroupId): void => {
    if (signal.aborted) return;
    const group = groups.get(id);
    const wanted = new Map(
      group === undefined ? [] : effectsOf(group, sha256).map((effect) => [slotOf(id, effect), effect]),
    );
    for (const [slot, { key, controller }] of running) {
      if (!slot.startsWith(`${id}/`)) continue;
      const effect = wanted.get(slot);
      // messages under way are answered first: their batch grows by what is typed meanwhile, and must not go twice
      if (effect?.kind === 'post-messages' || effect?.key === key) continue;
      controller.abort();
    }
    for (const [slot, effect] of wanted) if (!running.has(slot)) start(id, effect);
  };

  return {
    reconcile,
    stopped: async () => {
      while (running.size > 0) await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}
