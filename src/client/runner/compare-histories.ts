import type { GroupId } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import { compareHead } from '../engine/apply-entry.ts';
import { askAgain, parkAtEnd } from '../engine/placing.ts';
import { step } from '../engine/types.ts';
import { type ServerApi, TransportError } from '../transport/server-api.ts';
import type { ChatState } from './chat-state.ts';
import type { Serial } from './serial.ts';

/**
 * The server's log was replaced, or went back. Before anything of it is read, each group is compared with it: where the
 * log does not hold what this device has read, the group is parked, so that two histories are never mixed. One that was out of
 * service before is so from the log's end on: the way back in leads there. What the server took and nothing was read of is asked
 * for again. Doing it again changes nothing, so a client that dies in between starts over.
 *
 * @throws ProblemError and TransportError when the server cannot be asked
 */
export async function compareHistories(world: {
  readonly api: Pick<ServerApi, 'headAt' | 'endOf'>;
  readonly state: ChatState;
  readonly serial: Serial;
  readonly now: () => number;
}): Promise<void> {
  const { api, state, serial, now } = world;
  await serial.run(async () => {
    const batch = state.begin();
    for (const group of state.groups.values()) batch.take(step(askAgain(group)));
    await batch.commit();
  });
  for (const { id, phase, position } of [...state.groups.values()]) {
    if (phase !== 'member' && position === 0) continue;
    const head = await headOf(api, id, position);
    // a group that is out of service has nothing to be compared with what is there
    if (phase !== 'member' && head !== 'none') continue;
    // what is no longer there cannot be compared: the stream names the gap, and the group is joined again over it
    if (head === 'expired') continue;
    const end = head === 'none' ? ((await api.endOf(id)) ?? 0) : 0;
    if (end >= position && head === 'none') {
      // of a group that is out of service the way back in comes behind what was read
      if (phase !== 'member') continue;
      // it has grown since, and can be compared now
      throw new TransportError('unreachable', 'the log is just being replaced');
    }
    await serial.run(async () => {
      const group = state.groups.get(id);
      if (group === undefined || group.phase !== phase || group.position !== position) return;
      const batch = state.begin();
      batch.take(head === 'none' ? parkAtEnd(group, end, now()) : compareHead(group, position, head, now()));
      await batch.commit();
    });
  }
}

/** Asked before the end of the group, which whoever was taken out of it meanwhile is not told. */
async function headOf(
  api: Pick<ServerApi, 'headAt'>,
  id: GroupId,
  position: number,
): Promise<Uint8Array | 'none' | 'expired'> {
  try {
    return (await api.headAt(id, position)) ?? 'none';
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'cursor-expired') return 'expired';
    throw error;
  }
}
