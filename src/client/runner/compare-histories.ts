import type { GroupId } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import { compareHead } from '../engine/apply-entry.ts';
import { askAgain, parkAtEnd } from '../engine/placing.ts';
import { type Group, type Step, step } from '../engine/types.ts';
import { type ServerApi, TransportError } from '../transport/server-api.ts';
import type { ChatState } from './chat-state.ts';
import type { Serial } from './serial.ts';

/**
 * The server's log was replaced, or went back. Before anything of it is read, each group is compared with it: where the
 * log does not hold what this device has read, the group is parked, so that two histories are never mixed. One that was out of
 * service before is so from the log's end on: the way back in leads there. What the server took and nothing was read of is asked
 * for again, and not before the comparison: the server takes a text by its epoch's number, which another history has too. Doing it
 * again changes nothing, so a client that dies in between starts over.
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
  for (const { id, phase, position } of [...state.groups.values()]) {
    const compared = await compare(api, { id, phase, position });
    await serial.run(async () => {
      const group = state.groups.get(id);
      if (group === undefined) return;
      const isSame = group.phase === phase && group.position === position;
      const batch = state.begin();
      batch.take(isSame ? compared(group, now()) : goOn(group));
      await batch.commit();
    });
  }
}

function goOn(group: Group): Step {
  return step(askAgain(group));
}

/** What the server's log says about a group, as the step that follows from it. */
async function compare(
  api: Pick<ServerApi, 'headAt' | 'endOf'>,
  { id, phase, position }: Pick<Group, 'id' | 'phase' | 'position'>,
): Promise<(group: Group, time: number) => Step> {
  if (phase !== 'member' && position === 0) return goOn;
  const head = await headOf(api, id, position);
  // what is no longer there cannot be compared: the stream names the gap, and the group is joined again over it
  if (head === 'expired') return goOn;
  // a group that is out of service has nothing to be compared with what is there
  if (phase !== 'member' && head !== 'none') return goOn;
  // let in behind what was read, and never there: that invitation, which is still to be read, leads in
  if (head === 'later') return (group, time) => parkAtEnd(group, position, time);
  if (head !== 'none') return (group, time) => compareHead(askAgain(group), position, head, time);
  const end = (await api.endOf(id)) ?? 0;
  if (end < position) return (group, time) => parkAtEnd(group, end, time);
  // of a group that is out of service the way back in comes behind what was read
  if (phase !== 'member') return goOn;
  // it has grown since, and can be compared now
  throw new TransportError('unreachable', 'the log is just being replaced');
}

/** Asked before the end of the group, which whoever was taken out of it meanwhile is not told. */
async function headOf(
  api: Pick<ServerApi, 'headAt'>,
  id: GroupId,
  position: number,
): Promise<Uint8Array | 'later' | 'none' | 'expired'> {
  try {
    return (await api.headAt(id, position)) ?? 'none';
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'cursor-expired') return 'expired';
    throw error;
  }
}
