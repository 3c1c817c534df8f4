import { requestEventId } from '../../log/request-event-id.ts';
import type { KnownProposal } from '../../mls/handshake.ts';
import type { DeviceView, GroupView, MemberView } from '../../projections/read-model.ts';
import type { GroupId } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import { acceptedSchema, type ProposalRequest, proposalRequest } from '../../wire/schemas/groups.ts';
import { answer, type Call, defineRoute } from '../route.ts';
import { accepted } from '../writes/accepted.ts';
import { appendRequest } from '../writes/append-request.ts';
import { checkProposal } from '../writes/check-commit.ts';
import { expectOwnEpoch } from '../writes/epoch-conflict.ts';
import { ownGroup } from '../writes/membership.ts';
import { invalidCommit } from '../writes/refusal.ts';
import { groupParams } from './params.ts';

/** Proposals of one device that may wait in one epoch (D13). */
const PENDING_PROPOSALS_MAX = 8;
/** Of all devices: half of what a group can hold, because many may pass this check before any of them is in the log. */
const GROUP_PROPOSALS_MAX = 128;
const RETRY_AFTER_COMMIT_SECONDS = 5;

const postProposal = defineRoute({
  method: 'post',
  path: '/v1/groups/:group/proposals',
  operationId: 'postProposal',
  summary: 'A standalone proposal: to leave the group, or to update the own leaf. It waits for somebody’s commit.',
  auth: 'device',
  idempotent: true,
  params: groupParams,
  body: proposalRequest,
  answers: { 201: { about: 'The proposal is in the log.', schema: acceptedSchema } },
  problems: ['not-found', 'forbidden', 'epoch-conflict', 'invalid-commit', 'idempotency-conflict', 'storage-full'],
  handle: propose,
});

export const proposalRoutes = [postProposal];

async function propose(call: Call<{ group: GroupId }, undefined, ProposalRequest, DeviceView>) {
  const { deps, params, body, caller, now, requestId, requestDigest } = call;
  const eventId = requestEventId(caller.id, requestId);
  const result = await appendRequest(deps, call.shared.gate, {
    eventId,
    digest: requestDigest,
    judge: (view) => {
      const own = ownGroup(view, params.group, caller);
      checkRoom(own.group, own.member);
      expectOwnEpoch(view, own.group, caller, 'proposal', body.proposal);
      return own;
    },
    decide: async (view, { group, member }) => {
      if (!group.opaque) {
        const { publicGroups } = call.shared;
        const context = { deps, readModel: view, publicGroups, group, caller, now };
        const { proposal } = await checkProposal(body.proposal, context);
        checkKind(proposal.proposal, member);
      }
      return {
        kind: 'append',
        lane: { kind: 'group-proposal', group: group.bytes },
        event: {
          v: 1,
          type: 'proposal-received',
          id: eventId,
          time: now,
          account: caller.account,
          device: caller.id,
          requestId,
          requestDigest,
          group: group.bytes,
          epoch: group.epoch,
          proposal: body.proposal,
        },
      };
    },
  });
  return answer(201, await accepted(deps, result));
}

/** @throws ProblemError `rate-limited` */
function checkRoom({ proposals }: GroupView, { leaf }: MemberView): void {
  const waiting = [...proposals.values()].filter(({ senderLeaf }) => senderLeaf === leaf);
  if (waiting.length >= PENDING_PROPOSALS_MAX || proposals.size >= GROUP_PROPOSALS_MAX) {
    throw new ProblemError('rate-limited', 'too many proposals wait for a commit', {
      retryAfterSeconds: RETRY_AFTER_COMMIT_SECONDS,
    });
  }
}

/** Alone, a member proposes only what concerns its own leaf; what concerns others is committed by an administrator. */
function checkKind(proposal: KnownProposal['proposal'], member: MemberView): void {
  switch (proposal.kind) {
    case 'remove':
      if (proposal.leaf !== member.leaf) throw invalidCommit('forbidden');
      return;
    case 'update':
      return;
    case 'add':
    case 'extensions':
    case 'unsupported':
      throw invalidCommit('unsupported-proposal');
    default:
      proposal satisfies never;
  }
}
