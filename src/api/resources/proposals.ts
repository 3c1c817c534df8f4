import { requestEventId } from '../../log/request-event-id.ts';
import { type KnownProposal, summarizeProposal } from '../../mls/handshake.ts';
import { isAdmin } from '../../mls/roles.ts';
import type { DeviceView, GroupView, MemberView, ReadModel } from '../../projections/read-model.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { GroupId } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import { acceptedSchema, type ProposalRequest, proposalRequest } from '../../wire/schemas/groups.ts';
import { answer, type Call, defineRoute } from '../route.ts';
import { sha256 } from '../sha256.ts';
import { accepted } from '../writes/accepted.ts';
import { appendRequest } from '../writes/append-request.ts';
import { identityOf } from '../writes/check-members.ts';
import { epochConflict } from '../writes/epoch-conflict.ts';
import { ownGroup } from '../writes/membership.ts';
import { invalidCommit } from '../writes/refusal.ts';
import { groupParams } from './params.ts';

/** Proposals of one device that may wait in one epoch (D13). */
const PENDING_PROPOSALS_MAX = 8;
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
  const result = await appendRequest<never>(deps, call.shared.gate, {
    eventId,
    digest: requestDigest,
    decide: (view) => {
      const { group, member } = ownGroup(view, params.group, caller);
      const proposal = checkProposal(body.proposal, view, group, caller, member);
      checkKind(proposal, deps.domain, group, caller, member);
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
  return answer(201, accepted(deps, result));
}

/** @throws ProblemError `invalid-commit` with its reason, `epoch-conflict`, `rate-limited` */
function checkProposal(
  bytes: Uint8Array,
  view: ReadModel,
  group: GroupView,
  caller: DeviceView,
  member: MemberView,
): KnownProposal['proposal'] {
  const summary = summarizeProposal(bytes, sha256);
  if (summary.kind !== 'proposal') throw invalidCommit('malformed-proposal');
  if (!equalBytes(summary.groupId, group.bytes)) throw invalidCommit('wrong-group');
  if (summary.sender.kind !== 'member' || summary.sender.leaf !== member.leaf) throw invalidCommit('wrong-sender');
  if (summary.epoch !== group.epoch) throw epochConflict(view, group, caller, summary.epoch);
  const waiting = [...group.proposals.values()].filter(({ senderLeaf }) => senderLeaf === member.leaf);
  if (waiting.length >= PENDING_PROPOSALS_MAX) {
    throw new ProblemError('rate-limited', 'too many proposals of this device wait for a commit', {
      retryAfterSeconds: RETRY_AFTER_COMMIT_SECONDS,
    });
  }
  return summary.proposal;
}

/** Alone, a member proposes only what concerns its own leaf; what concerns others is committed by an administrator. */
function checkKind(
  proposal: KnownProposal['proposal'],
  domain: string,
  group: GroupView,
  caller: DeviceView,
  member: MemberView,
): void {
  switch (proposal.kind) {
    case 'remove':
      if (proposal.leaf !== member.leaf) throw invalidCommit('not-allowed');
      if (isLastAdmin(group, member)) throw invalidCommit('last-admin');
      return;
    case 'update':
      if (proposal.identity !== identityOf(domain, member)) throw invalidCommit('wrong-identity');
      if (!caller.signatureKeys.some((key) => equalBytes(key, proposal.signatureKey))) {
        throw invalidCommit('unknown-signature-key');
      }
      return;
    case 'add':
    case 'extensions':
    case 'unsupported':
      throw invalidCommit('unsupported-proposal');
    default:
      proposal satisfies never;
  }
}

/** Whether the group would go on without an administrator if this leaf left. */
function isLastAdmin({ roster, roles }: GroupView, { leaf }: MemberView): boolean {
  const others = roster.filter((member) => member !== undefined && member.leaf !== leaf);
  return others.length > 0 && !others.some((member) => member !== undefined && isAdmin(roles, member.account));
}
