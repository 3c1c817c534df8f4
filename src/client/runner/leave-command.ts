import type { GroupId } from '../../wire/ids.ts';
import type { Done } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import { isLeftAlone, startLeaving } from '../engine/leave.ts';
import { isLastAdministrator, LAST_ADMINISTRATOR } from '../engine/roles.ts';
import type { EngineEnv, Signal } from '../engine/types.ts';
import type { ChatState } from './chat-state.ts';
import { accountsOf, notAMember } from './group-views.ts';
import { groupIn } from './send-command.ts';
import type { Serial } from './serial.ts';
import type { Waiters } from './waiters.ts';

const LEAVE_TIMEOUT_MS = 30_000;

export type LeaveSignal = Extract<Signal, { kind: 'leave' }>;

/**
 * Asks to be removed; done when the server has the proposal, which another member then commits. Where nobody is left by then who could,
 * the group ends here by itself.
 */
export async function leaveGroup(
  world: {
    readonly env: EngineEnv;
    readonly state: ChatState;
    readonly serial: Serial;
    readonly leaves: Waiters<LeaveSignal>;
  },
  id: GroupId,
): Promise<Done> {
  const { env, state, serial, leaves } = world;
  const group = groupIn(state.groups.get(id));
  const no = notAMember(group);
  if (no !== undefined) return { kind: 'refused', reason: no };
  if (accountsOf(group).size === 1 || isLeftAlone(group)) {
    return {
      kind: 'refused',
      reason: 'you are its only member, and nobody is left who could let you out; /mute keeps it quiet',
    };
  }
  if (group.mls !== undefined && isLastAdministrator(group.mls, env.me.account)) {
    return { kind: 'refused', reason: LAST_ADMINISTRATOR };
  }
  const told = leaves.wait(id, LEAVE_TIMEOUT_MS);
  told.catch(() => {}); // looked at below, unless storing it fails first
  await serial.run(async () => {
    const batch = state.begin();
    batch.take(startLeaving(env, groupIn(batch.group(id))));
    await batch.commit();
  });
  try {
    return (await told).outcome;
  } catch (error) {
    if (error instanceof ClientError && error.code === 'timeout') return { kind: 'refused', reason: error.message };
    throw error;
  }
}
