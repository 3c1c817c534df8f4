import type { GroupId } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import { compareHead } from '../engine/apply-entry.ts';
import { parkAtEnd } from '../engine/placing.ts';
import type { ServerApi } from '../transport/server-api.ts';
import type { ChatState } from './chat-state.ts';
import type { Serial } from './serial.ts';

/**
 * The server's log was replaced, or went back. Before anything of it is read, each group is compared with it: where the
 * log does not hold what this device has read, the group is parked, so that two histories are never mixed. Asking again
 * changes nothing, so a client that dies in between starts over.
 *
 * @throws ProblemError and TransportError when the server cannot be asked
 */
export async function compareHistories(world: {
  readonly api: ServerApi;
  readonly state: ChatState;
  readonly serial: Serial;
  readonly now: () => number;
}): Promise<void> {
  const { api, state, serial, now } = world;
  for (const { id, phase, position } of [...state.groups.values()]) {
    if (phase !== 'member') continue;
    const end = await api.endOf(id);
    const compared = end !== undefined && end >= position ? await headOf(api, id, position) : 'none';
    // what is no longer there cannot be compared: the stream names the gap, and the group is joined again over it
    if (compared === 'expired') continue;
    const head = compared === 'none' ? undefined : compared;
    await serial.run(async () => {
      const group = state.groups.get(id);
      if (group === undefined || group.position !== position) return;
      const batch = state.begin();
      batch.take(head === undefined ? parkAtEnd(group, end ?? 0, now()) : compareHead(group, position, head, now()));
      await batch.commit();
    });
  }
}

async function headOf(api: ServerApi, id: GroupId, position: number): Promise<Uint8Array | 'none' | 'expired'> {
  try {
    return (await api.headAt(id, position)) ?? 'none';
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'cursor-expired') return 'expired';
    throw error;
  }
}
