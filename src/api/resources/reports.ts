import { requestEventId } from '../../log/request-event-id.ts';
import type { DeviceView, GroupView, ReadModel } from '../../projections/read-model.ts';
import { concatBytes, equalBytes, toBase64Url, toUtf8 } from '../../wire/bytes.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import { decodeEntry } from '../../wire/entry.ts';
import type { ClientId, GroupId, Position } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import { acceptedSchema, type ReportRequest, reportRequest } from '../../wire/schemas/groups.ts';
import { answer, type Call, defineRoute } from '../route.ts';
import { sha256 } from '../sha256.ts';
import { accepted } from '../writes/accepted.ts';
import { appendRequest } from '../writes/append-request.ts';
import { ownGroup } from '../writes/membership.ts';
import { groupParams } from './params.ts';

const postReport = defineRoute({
  method: 'post',
  path: '/v1/groups/:group/reports',
  operationId: 'postReport',
  summary:
    'A commit that this device, a member of the epoch it ended, cannot process. One a device and epoch; all members see it.',
  auth: 'device',
  params: groupParams,
  body: reportRequest,
  answers: { 201: { about: 'The report is in the log.', schema: acceptedSchema } },
  problems: ['not-found', 'forbidden', 'idempotency-conflict', 'storage-full'],
  handle: report,
});

export const reportRoutes = [postReport];

async function report(call: Call<{ group: GroupId }, undefined, ReportRequest, DeviceView>) {
  const { deps, shared, params, body, caller, now } = call;
  const requestId = reportId(caller, params.group, body.epoch);
  const eventId = requestEventId(caller.id, requestId);
  const result = await appendRequest(deps, shared.gate, {
    eventId,
    digest: sha256(encodeCbor(body)),
    judge: (view) => {
      const { group } = ownGroup(view, params.group, caller);
      return { group, committer: committerOf(view, group, body) };
    },
    decide: (_view, { group, committer }) => {
      const wait = shared.reportLimits.take(caller.id, now);
      if (wait > 0) throw new ProblemError('rate-limited', 'too many reports', { retryAfterSeconds: wait });
      return {
        kind: 'append',
        lane: { kind: 'group-proposal', group: group.bytes },
        event: {
          v: 1,
          type: 'commit-reported',
          id: eventId,
          time: now,
          account: caller.account,
          device: caller.id,
          requestId,
          requestDigest: sha256(encodeCbor(body)),
          group: group.bytes,
          ...body,
          committer,
        },
      };
    },
  });
  return answer(201, await accepted(deps, result));
}

/** Follows from what is reported: a device has one report for an epoch, however often it asks, and no key to choose. */
function reportId({ id }: DeviceView, group: GroupId, epoch: number): ClientId {
  return toBase64Url(sha256(concatBytes(toUtf8(`mlsd report v1\0${id}\0${group}\0${epoch}`)))) as ClientId;
}

/** Who sent the reported commit. @throws ProblemError `not-found` unless just this commit stands there */
function committerOf(readModel: ReadModel, group: GroupView, { position, epoch, commit }: ReportRequest) {
  const stored = readModel.entryAt(group.id, position as Position);
  const entry = stored === undefined ? undefined : decodeEntry(stored.bytes);
  if (entry?.kind !== 'commit' || entry.epoch !== epoch || !equalBytes(sha256(entry.payload), commit)) {
    throw new ProblemError('not-found', 'there is no such commit at this position');
  }
  const account = readModel.ownerOf(entry.sender); // who committed garbage and was revoked since is reported, too
  if (account === undefined) throw new Error('a commit in the log is of no account');
  return { account, device: entry.sender };
}
