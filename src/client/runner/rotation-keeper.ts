import { membersOf } from '../../mls/session/state.ts';
import type { GroupId } from '../../wire/ids.ts';
import type { Done } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import { type RotationPolicy, renewalDue } from '../engine/rotation.ts';
import type { Group } from '../engine/types.ts';
import type { ChatState } from './chat-state.ts';
import { pause } from './retry.ts';
import type { SyncLoop } from './sync-loop.ts';

/** How often it is looked whether keys are due. */
const LOOK_MS = 60_000;
/** Members of a group whose keys are due at once spread their commits over this for each of them, up to a bound. */
const SPREAD_PER_MEMBER_MS = 2_000;
const SPREAD_MAX_MS = 30 * 60_000;
/** Between two renewals of one client, in whatever groups. */
const SPACING_MS = 5_000;
/** A renewal that was refused is tried again after this. */
const REFUSED_MS = 60 * 60_000;

/**
 * Renews this device's keys in all its groups when the policy says so: one group after the other, and never all members
 * of a group at once. Only while everything is read, so that nobody commits into the past.
 */
export function createRotationKeeper(world: {
  readonly state: Pick<ChatState, 'groups'>;
  readonly sync: Pick<SyncLoop, 'whenUpToDate'>;
  readonly policy: RotationPolicy;
  readonly rotate: (id: GroupId) => Promise<Done>;
  readonly now: () => number;
  readonly random: () => number;
}): { run(signal: AbortSignal): Promise<void> } {
  const { state, sync, policy, rotate, now, random } = world;
  /** Not before: drawn once for each time that keys are due. */
  const turns = new Map<GroupId, { readonly due: number; readonly at: number }>();

  const turnOf = (group: Group): number | undefined => {
    const due = renewalDue(group, policy);
    if (due === undefined || due > now()) return undefined;
    const known = turns.get(group.id);
    if (known?.due === due) return known.at;
    const members = group.mls === undefined ? 0 : membersOf(group.mls).length;
    if (members < 2) return undefined; // there is nobody to agree on new keys with
    const spread = Math.min(SPREAD_MAX_MS, members * SPREAD_PER_MEMBER_MS);
    // who was away that long comes back at a time of their own, and perhaps not for long
    const overdue = now() - due > SPREAD_MAX_MS;
    const at = overdue ? now() : now() + random() * spread;
    turns.set(group.id, { due, at });
    return at;
  };
  const next = (): { readonly group: Group; readonly at: number } | undefined => {
    let first: { readonly group: Group; readonly at: number } | undefined;
    for (const group of state.groups.values()) {
      const at = turnOf(group);
      if (at !== undefined && (first === undefined || at < first.at)) first = { group, at };
    }
    return first;
  };
  const renew = async ({ id }: Group, signal: AbortSignal): Promise<void> => {
    try {
      const outcome = await rotate(id);
      if (outcome.kind === 'done') turns.delete(id);
      else postpone(id);
    } catch (error) {
      if (signal.aborted) return;
      // a group that went away meanwhile, say: no reason for the others to stop
      if (!(error instanceof ClientError) || error.code === 'storage') throw error;
      postpone(id);
    }
  };
  const postpone = (id: GroupId): void => {
    const turn = turns.get(id);
    if (turn !== undefined) turns.set(id, { ...turn, at: now() + REFUSED_MS });
  };

  return {
    run: async (signal) => {
      while (!signal.aborted) {
        await sync.whenUpToDate(signal);
        if (signal.aborted) return;
        const turn = next();
        const wait = turn === undefined ? LOOK_MS : turn.at - now();
        if (turn === undefined || wait > 0) {
          await pause(Math.min(LOOK_MS, wait), signal);
          continue;
        }
        await renew(turn.group, signal);
        await pause(SPACING_MS, signal);
      }
    },
  };
}
