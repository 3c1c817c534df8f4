import { equalBytes } from '../../wire/bytes.ts';
import type { GroupId } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import { compareHead } from '../engine/apply-entry.ts';
import { askAgain, parkAtEnd } from '../engine/placing.ts';
import { keptHead } from '../engine/recent-heads.ts';
import { type Group, type Step, step } from '../engine/types.ts';
import { type ServerApi, TransportError } from '../transport/server-api.ts';
import type { ChatState } from './chat-state.ts';
import type { Serial } from './serial.ts';

/**
 * The server's log was replaced, or went back. Before anything of it is read, each group is compared with it: where the
 * log does not hold what this device has read, the group is parked, so that two histories are never mixed. One that was out of
 * service before is so from the log's end on: the way back in leads there. What took this device out may be lost as well: where the server has it as a
 * member again, it is told how to join. What the server took and nothing was read of is asked
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
  for (const before of [...state.groups.values()]) {
    const { id, phase, position } = before;
    const compared = await compare(api, before);
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
  before: Group,
): Promise<(group: Group, time: number) => Step> {
  const { id, phase, position, head: own } = before;
  if (phase !== 'member' && position === 0) return goOn;
  const head = await headOf(api, id, position);
  // what is no longer there cannot be compared: the stream names the gap, and the group is joined again over it
  if (head === 'expired') return goOn;
  if (phase === 'removed' && head instanceof Uint8Array && own !== undefined && !equalBytes(head, own)) {
    const end = await api.endOf(id);
    if (end === undefined) return goOn;
    const common = await lastCommon(api, before, end);
    return (group, time) => parkAtEnd(group, common, time);
  }
  // a group that is out of service has nothing to be compared with what is there
  if (phase !== 'member' && head !== 'none') return goOn;
  // let in behind what was read, and never there: that invitation, which is still to be read, leads in
  if (head === 'later') return (group, time) => parkAtEnd(group, position, time);
  if (head !== 'none') {
    const isSame = own === undefined || equalBytes(own, head);
    const common = isSame ? position : await lastCommon(api, before, position);
    return (group, time) => {
      const compared = compareHead(askAgain(group), position, head, time);
      return isSame ? compared : { ...compared, group: { ...compared.group, position: common } };
    };
  }
  const end = (await api.endOf(id)) ?? 0;
  if (end < position) {
    const common = await lastCommon(api, before, end);
    return (group, time) => parkAtEnd(group, common, time);
  }
  // of a group that is out of service the way back in comes behind what was read
  if (phase !== 'member') return goOn;
  // it has grown since, and can be compared now
  throw new TransportError('unreachable', 'the log is just being replaced');
}

/**
 * The last position up to `end` where the log holds what was read here, found by halves among the heads that are kept; `end` where they do not
 * reach so far. From there on the other history is looked through for own texts: one that was on its way when the log went back may stand in it.
 */
async function lastCommon(api: Pick<ServerApi, 'headAt'>, group: Group, end: number): Promise<number> {
  const isCommon = async (position: number): Promise<boolean> => {
    const [own, there] = [keptHead(group, position), await headOf(api, group.id, position)];
    return own !== undefined && there instanceof Uint8Array && equalBytes(own, there);
  };
  if (end === 0 || (await isCommon(end))) return end;
  let common = group.heads?.[0]?.first ?? end;
  if (common >= end || !(await isCommon(common))) return end;
  for (let differs = end; differs - common > 1; ) {
    const middle = Math.floor((common + differs) / 2);
    if (await isCommon(middle)) common = middle;
    else differs = middle;
  }
  return common;
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
