import { requestEventId } from '../../log/request-event-id.ts';
import { inspectMessage } from '../../mls/framing.ts';
import { isAdmin } from '../../mls/roles.ts';
import type { DeviceView, GroupView, ReadModel } from '../../projections/read-model.ts';
import { type AccountId, groupIdOf } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import { type ClaimRequest, type ClaimResult, claimRequest, claimResponse } from '../../wire/schemas/key-packages.ts';
import { answer, type Call, defineRoute } from '../route.ts';
import { appendRequest } from '../writes/append-request.ts';
import { memberOf, ownGroup } from '../writes/membership.ts';

const claimKeyPackages = defineRoute({
  method: 'post',
  path: '/v1/key-packages/claims',
  operationId: 'claimKeyPackages',
  summary: 'Claim one key package a device of the accounts, for adding them to a group of the caller.',
  auth: 'device',
  idempotent: true,
  body: claimRequest,
  answers: {
    200: {
      about: 'One result a device. A device without package and problem is a member of the group already.',
      schema: claimResponse,
    },
  },
  problems: ['not-found', 'forbidden', 'idempotency-conflict', 'storage-full'],
  handle: claim,
});

export const claimRoutes = [claimKeyPackages];

/** Accounts of one request that are claimed from at once. */
const PARALLEL_CLAIMS = 16;

type ClaimCall = Call<undefined, undefined, ClaimRequest, DeviceView>;

async function claim(call: ClaimCall) {
  const { deps, body, caller } = call;
  const { group } = ownGroup(deps.readModel, groupIdOf(body.group), caller);
  const isOwn = body.accounts.every((account) => account === caller.account);
  // the roles of an opaque group are hearsay: by them a member could keep its administrators from inviting
  const mayInvite = group.opaque || group.roles.invite === 'members' || isAdmin(group.roles, caller.account);
  if (!mayInvite && !isOwn) {
    throw new ProblemError('forbidden', 'only an administrator may add members to this group');
  }
  const accounts = [...new Set(body.accounts)];
  if (accounts.length > deps.limits.claimAccountsPerRequest) {
    throw new ProblemError(
      'invalid-request',
      `a request claims from at most ${deps.limits.claimAccountsPerRequest} accounts`,
    );
  }
  chargeFor(call, accounts);
  const results: ClaimResult[] = [];
  for (let first = 0; first < accounts.length; first += PARALLEL_CLAIMS) {
    const some = accounts.slice(first, first + PARALLEL_CLAIMS);
    results.push(...(await Promise.all(some.map((account) => claimFrom(call, group, account)))).flat());
  }
  return answer(200, { results });
}

/**
 * Each account that is named costs one claim, but for those that this very request has claimed from before. Who has any left may
 * go into debt: a whole request is as large as it may be, and the next one waits until it is paid.
 */
function chargeFor({ deps, shared, caller, now, requestId }: ClaimCall, accounts: readonly AccountId[]): void {
  const { requesters } = shared.claimLimits;
  const isNew = (owner: AccountId): boolean =>
    deps.readModel.request(requestEventId(caller.id, requestId, owner)) === undefined;
  const cost = accounts.filter(isNew).length;
  // a repeat gets its first answer, whatever that has cost
  if (cost === 0 && accounts.length > 0) return;
  const wait = requesters.take(caller.id, now);
  if (wait > 0) {
    throw new ProblemError('rate-limited', 'this device claims too often', { retryAfterSeconds: wait });
  }
  if (cost > 1) requesters.charge(caller.id, now, cost - 1);
}

/** One account, one event on its lane: with comparison, so that no package is handed out twice (D8). */
async function claimFrom(call: ClaimCall, group: GroupView, owner: AccountId): Promise<ClaimResult[]> {
  const { deps, shared, caller, now, requestId, requestDigest } = call;
  const { readModel } = deps;
  const eventId = requestEventId(caller.id, requestId, owner);
  if (readModel.account(owner) === undefined) return [{ account: owner, problem: 'not-found' }];
  if (readModel.request(eventId) === undefined && shared.claimLimits.targets.take(owner, now) > 0) {
    return [{ account: owner, problem: 'rate-limited' }];
  }
  let refs: readonly Uint8Array[] = [];
  const result = await appendRequest(deps, shared.gate, {
    eventId,
    digest: requestDigest,
    judge: (view) => wanted(view, group, owner, now).flatMap(({ ref }) => (ref === undefined ? [] : [ref])),
    decide: (view, free) => {
      refs = free;
      if (refs.length === 0) return { kind: 'answer', answer: 'nothing-left' };
      return {
        kind: 'append',
        lane: { kind: 'account', account: owner },
        expected: view.account(owner)?.laneSequence ?? 0,
        event: {
          v: 1,
          type: 'key-packages-claimed',
          id: eventId,
          time: now,
          account: caller.account,
          device: caller.id,
          requestId,
          requestDigest,
          owner,
          group: group.bytes,
          refs,
        },
      };
    },
  });
  if (result.kind === 'written' && result.repeated && result.outcome.result.kind === 'done') {
    refs = result.outcome.result.refs ?? [];
  }
  return resultsOf(readModel, group, owner, refs);
}

function wanted(view: ReadModel, group: GroupView, owner: AccountId, now: number) {
  return view.claimCandidates(owner, now).filter(({ device }) => memberOf(group, device) === undefined);
}

function resultsOf(
  readModel: ReadModel,
  group: GroupView,
  account: AccountId,
  refs: readonly Uint8Array[],
): ClaimResult[] {
  const taken = new Map(
    refs.flatMap((ref) => {
      const claimed = readModel.claimOf(ref, group.id);
      return claimed?.group === group.id ? [[claimed.device, claimed] as const] : [];
    }),
  );
  return (readModel.account(account)?.devices ?? []).map(({ id: device }): ClaimResult => {
    const claimed = taken.get(device);
    if (claimed !== undefined) {
      return { account, device, keyPackage: claimed.keyPackage, lastResort: isLastResortPackage(claimed.keyPackage) };
    }
    return memberOf(group, device) === undefined ? { account, device, problem: 'exhausted' } : { account, device };
  });
}

function isLastResortPackage(keyPackage: Uint8Array): boolean {
  const inspected = inspectMessage(keyPackage);
  return inspected.kind === 'key-package' && inspected.lastResort;
}
