import { type GroupId, groupIdOf, newClientId } from '../../wire/ids.ts';
import type { Done } from '../chat-client.ts';
import { addIntention } from '../engine/intentions.ts';
import type { EngineEnv, IntentionOutcome } from '../engine/types.ts';
import { emptyGroup } from '../engine/welcome.ts';
import type { ServerApi } from '../transport/server-api.ts';
import type { ChatState } from './chat-state.ts';
import type { Serial } from './serial.ts';
import type { Waiters } from './waiters.ts';

/** The longest that joining one group is waited for; it goes on behind it. */
const JOIN_TIMEOUT_MS = 60_000;

export interface JoinedGroup {
  readonly name: string;
  readonly outcome: Done;
}

/**
 * A new device of an account joins, by external commits, the groups that the account's other devices are members of. Groups
 * that this device knows already are left alone: those it left as well.
 *
 * @throws ProblemError and TransportError when the server cannot be asked
 */
export async function joinOwnGroups(world: {
  readonly env: Pick<EngineEnv, 'now' | 'randomBytes'>;
  readonly api: Pick<ServerApi, 'accountGroups'>;
  readonly state: ChatState;
  readonly serial: Serial;
  readonly outcomes: Waiters<IntentionOutcome>;
}): Promise<readonly JoinedGroup[]> {
  const { env, api, state, serial, outcomes } = world;
  const { groups } = await api.accountGroups();
  const join = async (id: GroupId, bytes: Uint8Array, name: string): Promise<Done | undefined> => {
    const intention = newClientId(env.now(), env.randomBytes);
    const told = outcomes.wait(intention, JOIN_TIMEOUT_MS);
    told.catch(() => {}); // looked at below, unless storing it fails first
    const begun = await serial.run(async () => {
      const batch = state.begin();
      if (batch.group(id) !== undefined) return false;
      batch.take(addIntention(emptyGroup(bytes, name), intention, { kind: 'rejoin' }));
      await batch.commit();
      return true;
    });
    if (!begun) return undefined;
    const outcome = await told.catch((error: unknown): IntentionOutcome => {
      const reason = error instanceof Error ? error.message : String(error);
      return { kind: 'refused', reason, settled: [] };
    });
    if (outcome.kind === 'done') return { kind: 'done' };
    await serial.run(async () => {
      // as if it had never been tried: an invitation, or the next start, may lead there
      const batch = state.begin();
      if (batch.group(id)?.phase !== 'joining' || batch.group(id)?.intentions.length !== 0) return;
      batch.remove(id);
      await batch.commit();
    });
    return { kind: 'refused', reason: outcome.reason };
  };
  const joined = await Promise.all(
    groups.map(async ({ group, name }): Promise<readonly JoinedGroup[]> => {
      const id = groupIdOf(group);
      const shown = name ?? id.slice(0, 8);
      const outcome = await join(id, group, shown);
      return outcome === undefined ? [] : [{ name: shown, outcome }];
    }),
  );
  return joined.flat();
}
