import { requestEventId } from '../../log/request-event-id.ts';
import type { PublicGroup } from '../../mls/public-group/group.ts';
import type { DeviceView, ReadModel } from '../../projections/read-model.ts';
import type { GroupId } from '../../wire/ids.ts';
import { acceptedSchema, type CommitRequest, commitRequest } from '../../wire/schemas/groups.ts';
import { answer, type Call, defineRoute } from '../route.ts';
import { accepted } from '../writes/accepted.ts';
import { appendRequest } from '../writes/append-request.ts';
import { type CommitCheck, checkCommit } from '../writes/check-commit.ts';
import { checkOpaqueCommit, type DeclaredChange } from '../writes/check-opaque.ts';
import { expectOwnEpoch } from '../writes/epoch-conflict.ts';
import { mayJoin, ownGroup } from '../writes/membership.ts';
import { groupParams } from './params.ts';

const postCommit = defineRoute({
  method: 'post',
  path: '/v1/groups/:group/commits',
  operationId: 'postCommit',
  summary: 'A commit with its Welcome (when it adds) and the GroupInfo of the new epoch.',
  auth: 'device',
  idempotent: true,
  maxBytes: (limits) => limits.commitMaxBytes,
  params: groupParams,
  body: commitRequest,
  answers: { 201: { about: 'The commit is in the log; the group is in `epoch` now.', schema: acceptedSchema } },
  problems: ['not-found', 'forbidden', 'epoch-conflict', 'invalid-commit', 'idempotency-conflict', 'storage-full'],
  handle: commit,
});

export const commitRoutes = [postCommit];

async function commit(call: Call<{ group: GroupId }, undefined, CommitRequest, DeviceView>) {
  const { deps, params, body, caller, now, requestId, requestDigest } = call;
  const eventId = requestEventId(caller.id, requestId);
  let next: PublicGroup | undefined;
  const result = await appendRequest(deps, call.shared.gate, {
    eventId,
    digest: requestDigest,
    judge: (view) => {
      const group = groupToCommitTo(view, params.group, caller);
      expectOwnEpoch(view, group, caller, 'commit', body.commit);
      return group;
    },
    decide: async (view, group) => {
      const check = group.opaque
        ? checkOpaqueCommit(body, { deps, readModel: view, group, caller, now })
        : await checkCommit(body, {
            deps,
            readModel: view,
            publicGroups: call.shared.publicGroups,
            group,
            caller,
            now,
          });
      next = check.kind === 'valid' ? check.group : undefined;
      return {
        kind: 'append',
        lane: { kind: 'group-commit', group: group.bytes },
        expected: group.commitLaneSequence,
        event: {
          v: 1,
          id: eventId,
          time: now,
          account: caller.account,
          device: caller.id,
          requestId,
          requestDigest,
          group: group.bytes,
          epoch: group.epoch,
          commit: body.commit,
          ...(body.welcome === undefined ? {} : { welcome: body.welcome }),
          ...acceptedAs(check, body.groupInfo),
        },
      };
    },
  });
  const answered = await accepted(deps, result);
  const isPlacedNow = result.kind === 'written' && !result.repeated;
  if (isPlacedNow && next !== undefined && body.groupInfo !== undefined) {
    call.shared.publicGroups.keep(next, body.groupInfo);
  }
  return answer(201, answered);
}

/** What tells the event of an opaque group from that of another. */
function acceptedAs(check: CommitCheck | DeclaredChange, groupInfo: Uint8Array | undefined) {
  if (check.kind === 'declared') {
    const { added, removed } = check;
    return {
      type: 'opaque-commit-accepted',
      added,
      removed,
      ...(groupInfo === undefined ? {} : { groupInfo }),
    } as const;
  }
  if (groupInfo === undefined) throw new Error('a commit was verified without a GroupInfo');
  return { type: 'commit-accepted', groupInfo } as const;
}

/**
 * A member's group, or one that anybody may join: into a closed group an external commit leads only a device of an account
 * that is a member now (D18): to its own leaf, or beside the account's other devices.
 *
 * @throws ProblemError `not-found`, `forbidden`
 */
function groupToCommitTo(view: ReadModel, id: GroupId, caller: DeviceView) {
  const group = view.group(id);
  if (group !== undefined && mayJoin(group, caller)) return group;
  return ownGroup(view, id, caller).group;
}
