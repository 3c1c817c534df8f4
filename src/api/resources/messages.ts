import type { SentMessage } from '../../log/events.ts';
import type { DeviceView, GroupView, ReadModel } from '../../projections/read-model.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { GroupId, Position } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import {
  type MessagesRequest,
  type MessagesResponse,
  messagesRequest,
  messagesResponse,
} from '../../wire/schemas/groups.ts';
import { answer, type Call, defineRoute } from '../route.ts';
import { receiptFor } from '../writes/accepted.ts';
import { checkBehindFolded, wentBack } from '../writes/behind-folded.ts';
import { epochConflict } from '../writes/epoch-conflict.ts';
import { memberOf, ownGroup } from '../writes/membership.ts';
import { mayBeRepeated, placementsOf } from '../writes/placements.ts';
import { readPrivateHeader } from '../writes/private-header.ts';
import { readMessagesBody } from './messages-body.ts';
import { groupParams } from './params.ts';

const postMessages = defineRoute({
  method: 'post',
  path: '/v1/groups/:group/messages',
  operationId: 'postMessages',
  summary: 'Application messages. Each has an id of its own; the same id with the same bytes gets its first position.',
  auth: 'device',
  params: groupParams,
  body: messagesRequest,
  readBody: readMessagesBody,
  answers: { 201: { about: 'A position or a problem for each message.', schema: messagesResponse } },
  problems: ['not-found', 'forbidden', 'epoch-conflict', 'storage-full'],
  handle: send,
});

export const messageRoutes = [postMessages];

type SendCall = Call<{ group: GroupId }, undefined, MessagesRequest, DeviceView>;
type Sent = MessagesRequest['messages'][number];
type Result = MessagesResponse['results'][number];

async function send(call: SendCall) {
  const { deps, shared, params, body, caller, now } = call;
  if (body.messages.length > deps.limits.messagesPerRequest) {
    throw new ProblemError('invalid-request', `a request has at most ${deps.limits.messagesPerRequest} messages`);
  }
  // what was placed is said to be placed, also to who has been taken out since, and asks because the answer was lost (D16)
  const isRepeated = mayBeRepeated(deps.readModel, params.group, caller.id, body.messages);
  const group = isRepeated
    ? groupOf(deps.readModel, params.group)
    : ownGroup(deps.readModel, params.group, caller).group;
  const isMember = memberOf(group, caller.id) !== undefined;
  const epochs = body.messages.map((sent) => epochOf(sent, group));
  const isNew = ({ id }: Sent): boolean =>
    !isRepeated || deps.readModel.messagePosition(group.id, caller.id, id) === undefined;
  const fresh = body.messages.flatMap((sent, index): SentMessage[] => {
    const epoch = epochs[index]!;
    const isTaken = epoch <= group.epoch && epoch >= group.epoch - deps.limits.pastEpochs;
    return isMember && isTaken && isNew(sent) ? [[sent.id, epoch, sent.message]] : [];
  });
  if (fresh.length > 0) {
    const { account, id: device } = caller;
    const batch = { group: group.bytes, account, device, time: now, messages: fresh };
    const place = await shared.gate.pass(async () => {
      const { sequence: folded } = deps.readModel.checkpoint();
      const { sequence, index } = await deps.log.submitMessages(batch);
      checkBehindFolded(sequence, folded);
      await shared.arrivals.of(sequence);
      const placed = deps.readModel.placedBatch(sequence, index);
      if (placed !== undefined && placed.id !== fresh[0]![0]) throw wentBack();
      return placed;
    });
    if (place !== undefined && fresh.length === body.messages.length) return respondPlaced(call, place);
  }
  return respond(call, epochs);
}

/** All of the request was placed as it came: nothing is left to be looked up. */
function respondPlaced(call: SendCall, { first, head, epoch }: NonNullable<ReturnType<ReadModel['placedBatch']>>) {
  const { messages } = call.body;
  const results = messages.map(({ id }, i): Result => ({ id, position: (first + i) as Position }));
  return answerWith(call, results, epoch, { position: (first + messages.length - 1) as Position, head });
}

/** @throws ProblemError `invalid-request` for anything but application data of this group */
function epochOf({ id, message }: Sent, group: GroupView): number {
  const header = readPrivateHeader(message);
  if (header?.isApplication !== true) {
    throw new ProblemError('invalid-request', `message ${id} is not a PrivateMessage with application data`);
  }
  if (!equalBytes(header.groupId, group.bytes)) {
    throw new ProblemError('invalid-request', `message ${id} is for another group`);
  }
  return header.epoch;
}

/** From where the fold has placed each message, or why it did not. */
async function respond(call: SendCall, epochs: readonly number[]) {
  const { params, body, caller } = call;
  const { readModel } = call.deps;
  const group = groupOf(readModel, params.group);
  const isMember = group.roster.some((member) => member?.device === caller.id);
  const placements = placementsOf(readModel, group.id, caller.id, body.messages);
  const results = body.messages.map(({ id }, i): Result => {
    const placement = placements[i]!;
    if (placement.kind === 'placed') return { id, position: placement.position };
    if (placement.kind === 'conflict') return { id, problem: 'idempotency-conflict' };
    return { id, problem: isMember ? 'epoch-conflict' : 'forbidden' };
  });
  const last = Math.max(...results.map(({ position }) => position ?? 0));
  if (last === 0) throw onlyProblem(readModel, group, caller, results, Math.min(...epochs));
  const { logStart, headBeforeStart } = group;
  if (last < logStart && headBeforeStart !== undefined) {
    // the head after the message is not kept any more: what is promised is the end of all that is gone, the message among it
    const end = { position: (logStart - 1) as Position, head: headBeforeStart };
    return answerWith(call, results, group.epoch, end, { logStart });
  }
  const head = readModel.entryAt(group.id, last as Position)?.head;
  if (head === undefined) throw new Error('a placed message has no head');
  return answerWith(call, results, group.epoch, { position: last as Position, head });
}

async function answerWith(
  { deps, params, now }: SendCall,
  results: Result[],
  epoch: number,
  promised: { readonly position: Position; readonly head: Uint8Array },
  gone: { readonly logStart?: Position } = {},
) {
  const receipt = await receiptFor(deps, { group: params.group, ...promised, time: now });
  return answer(201, { results, epoch, time: now, receipt, ...gone } satisfies MessagesResponse);
}

function groupOf(readModel: ReadModel, id: GroupId): GroupView {
  const group = readModel.group(id);
  if (group === undefined) throw new Error('a group went away');
  return group;
}

/** When nothing was taken, the request as a whole has a problem: the worst of its messages. */
function onlyProblem(
  readModel: ReadModel,
  group: GroupView,
  caller: DeviceView,
  results: readonly Result[],
  epoch: number,
): ProblemError {
  const problems = new Set(results.map(({ problem }) => problem));
  if (problems.has('forbidden')) {
    return new ProblemError('forbidden', 'this device is no longer a member of the group', {
      members: { reason: 'not-a-member' },
    });
  }
  if (problems.has('epoch-conflict')) return epochConflict(readModel, group, caller, epoch);
  return new ProblemError('idempotency-conflict', 'the ids of these messages were used for other bytes');
}
