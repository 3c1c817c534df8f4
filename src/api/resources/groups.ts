import { z } from 'zod';
import { requestEventId } from '../../log/request-event-id.ts';
import { nameLane } from '../../log/subjects.ts';
import type { PublicGroup } from '../../mls/public-group/group.ts';
import { isAdmin } from '../../mls/roles.ts';
import type { DeviceView, GroupView, ReadModel } from '../../projections/read-model.ts';
import { type GroupId, groupIdOf } from '../../wire/ids.ts';
import { checkName } from '../../wire/names.ts';
import { ProblemError } from '../../wire/problems.ts';
import { epochSchema, nameSchema } from '../../wire/schemas/common.ts';
import {
  acceptedSchema,
  type CreateGroupRequest,
  createGroupRequest,
  type GroupDetail,
  type GroupLookupResponse,
  type GroupSummary,
  groupDetailSchema,
  groupInfoResponse,
  groupListResponse,
  groupLookupResponse,
  treeResponse,
} from '../../wire/schemas/groups.ts';
import { answer, type Call, defineRoute } from '../route.ts';
import { accepted } from '../writes/accepted.ts';
import { appendRequest } from '../writes/append-request.ts';
import { checkCreation } from '../writes/check-creation.ts';
import { checkOpaqueCreation } from '../writes/check-opaque.ts';
import { mayJoin, memberOf, noSuchGroup, ownGroup } from '../writes/membership.ts';
import { invalidCommit } from '../writes/refusal.ts';
import { groupParams } from './params.ts';

const createGroup = defineRoute({
  method: 'post',
  path: '/v1/groups',
  operationId: 'createGroup',
  summary: 'Create a group: its id, perhaps a name, and the GroupInfo of epoch 0, with the caller as sole member.',
  auth: 'device',
  idempotent: true,
  body: createGroupRequest,
  answers: { 201: { about: 'The group is there.', schema: acceptedSchema } },
  problems: ['name-taken', 'already-exists', 'invalid-commit', 'idempotency-conflict', 'storage-full'],
  handle: create,
});

const listGroups = defineRoute({
  method: 'get',
  path: '/v1/groups',
  operationId: 'listGroups',
  summary: 'The groups of the calling device; with `name`: whether a group of that name exists and whom to ask.',
  auth: 'device',
  query: z.strictObject({
    name: nameSchema.optional(),
    of: z.literal('account').optional().meta({ description: 'Also the groups of the account’s other devices.' }),
  }),
  answers: { 200: { about: 'Groups.', schema: z.union([groupListResponse, groupLookupResponse]) } },
  problems: [],
  handle: ({ deps, query, caller }) =>
    answer(
      200,
      query.name === undefined
        ? {
            groups: (query.of === undefined ? deps.readModel.groupsOf(caller.id) : accountGroups(deps, caller)).map(
              toSummary,
            ),
          }
        : lookUp(deps.readModel, query.name, caller),
    ),
});

const getGroup = defineRoute({
  method: 'get',
  path: '/v1/groups/:group',
  operationId: 'getGroup',
  summary: 'A group of the calling device: epoch, head, roster with roles.',
  auth: 'device',
  params: groupParams,
  answers: { 200: { about: 'The group.', schema: groupDetailSchema } },
  problems: ['not-found'],
  handle: ({ deps, params, caller }) => answer(200, detail(deps.readModel, params.group, caller)),
});

const getGroupInfo = defineRoute({
  method: 'get',
  path: '/v1/groups/:group/group-info',
  operationId: 'getGroupInfo',
  summary:
    'GroupInfo and ratchet tree of the current epoch: for the devices of members, and for anybody where joining is open.',
  auth: 'device',
  params: groupParams,
  answers: { 200: { about: 'GroupInfo of the accepted epoch.', schema: groupInfoResponse } },
  problems: ['not-found'],
  handle: ({ deps, params, caller }) => {
    const group = deps.readModel.group(params.group);
    const info = deps.readModel.groupInfo(params.group);
    if (group === undefined || info === undefined) throw noSuchGroup();
    if (!mayJoin(group, caller)) throw noSuchGroup();
    if (info.epoch !== group.epoch) throw new Error('group and GroupInfo are of different epochs');
    const { epoch, groupInfo, ratchetTree } = info;
    const handshakes = group.opaque ? 'private' : 'public';
    return answer(200, { epoch, handshakes, groupInfo, ratchetTree, position: group.position, head: group.head });
  },
});

const getTree = defineRoute({
  method: 'get',
  path: '/v1/groups/:group/tree',
  operationId: 'getTree',
  summary: 'The ratchet tree of an epoch that a Welcome of the caller, or the current GroupInfo, belongs to.',
  auth: 'device',
  params: groupParams,
  query: z.strictObject({
    epoch: z
      .preprocess(
        (value) => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value),
        epochSchema,
      )
      .meta({ type: 'integer', minimum: 0, description: 'MLS epoch.' }),
  }),
  answers: { 200: { about: 'The tree.', schema: treeResponse } },
  problems: ['not-found'],
  handle: ({ deps, params, query, caller }) => {
    const ratchetTree = deps.readModel.tree(params.group, query.epoch, caller.id);
    if (ratchetTree === undefined) throw new ProblemError('not-found', 'there is no such tree for this device');
    return answer(200, { epoch: query.epoch, ratchetTree });
  },
});

export const groupRoutes = [createGroup, listGroups, getGroup, getGroupInfo, getTree];

async function create(call: CreateCall) {
  const { deps, body, caller, now, requestId, requestDigest } = call;
  const id = groupIdOf(body.group);
  const named = body.name === undefined ? undefined : checkName(body.name);
  if (named?.ok === false) throw new ProblemError('invalid-request', named.reason);
  const eventId = requestEventId(caller.id, requestId);
  const name = named?.name;
  let founded: PublicGroup | undefined;
  const result = await appendRequest(deps, call.shared.gate, {
    eventId,
    digest: requestDigest,
    judge: (view) => {
      if (view.group(id) !== undefined) throw new ProblemError('already-exists', 'a group with this id exists');
      const lane = name === undefined ? undefined : view.nameLane('group', name);
      if (lane?.taken === true) throw new ProblemError('name-taken', 'a group of this name exists');
      return lane;
    },
    decide: async (view, lane) => {
      const first = await firstEvent(call, view, (group) => {
        founded = group;
      });
      return {
        kind: 'append',
        lane: name === undefined ? { kind: 'group-commit', group: body.group } : nameLane('group', name),
        expected: lane?.sequence ?? 0,
        event: {
          v: 1,
          id: eventId,
          time: now,
          account: caller.account,
          device: caller.id,
          requestId,
          requestDigest,
          group: body.group,
          ...(name === undefined ? {} : { name }),
          ...first,
        },
      };
    },
  });
  const answered = await accepted(deps, result);
  const isPlacedNow = result.kind === 'written' && !result.repeated;
  if (isPlacedNow && founded !== undefined && body.groupInfo !== undefined) {
    call.shared.publicGroups.keep(founded, body.groupInfo);
  }
  return answer(201, answered);
}

/** Those of revoked devices too: whoever recovers an account joins them before their leaves are removed. */
function accountGroups({ readModel }: { readonly readModel: ReadModel }, caller: DeviceView): readonly GroupView[] {
  const devices = readModel.account(caller.account)?.chain.devices ?? [];
  const groups = devices.flatMap(({ id }) => readModel.groupsOf(id));
  return [...new Map(groups.map((group) => [group.id, group])).values()];
}

type CreateCall = Call<undefined, undefined, CreateGroupRequest, DeviceView>;

/** What the first event of a group holds, once it is checked: of an opaque one less is known. */
async function firstEvent(
  { deps, body, caller, now }: CreateCall,
  readModel: ReadModel,
  found: (group: PublicGroup) => void,
) {
  const { group, groupInfo } = body;
  if (body.handshakes === 'private') {
    checkOpaqueCreation(body);
    return { type: 'opaque-group-created', ...(groupInfo === undefined ? {} : { groupInfo }) } as const;
  }
  if (groupInfo === undefined) throw invalidCommit('bad-group-info');
  found(await checkCreation({ group, groupInfo }, { deps, readModel, caller, now }));
  return { type: 'group-created', groupInfo } as const;
}

/** One group or none; named as a list so that it reads like the list of one's own. */
function lookUp(readModel: ReadModel, name: string, caller: DeviceView): GroupLookupResponse {
  const group = readModel.groupByName(name.replace(/^#/, ''));
  if (group?.name === undefined) return { groups: [] };
  const administrators = group.roles.admins.flatMap((id) => {
    const account = readModel.account(id as DeviceView['account']);
    return account === undefined ? [] : [{ account: account.id, name: account.name }];
  });
  const member = memberOf(group, caller.id) !== undefined;
  return { groups: [{ group: group.bytes, name: group.name, join: group.roles.join, member, administrators }] };
}

function toSummary(group: GroupView): GroupSummary {
  const { bytes, name, epoch, position, head, opaque } = group;
  const handshakes = opaque ? 'private' : 'public';
  return { group: bytes, ...(name === undefined ? {} : { name }), epoch, position, head, handshakes };
}

function detail(readModel: ReadModel, id: GroupId, caller: DeviceView): GroupDetail {
  const group = memberGroup(readModel, id, caller);
  const { logStart, firstEpoch } = group;
  return {
    ...toSummary(group),
    logStart,
    ...(firstEpoch === undefined ? {} : { firstEpoch }),
    join: group.roles.join,
    invite: group.roles.invite,
    members: group.roster.flatMap((member) => {
      if (member === undefined) return [];
      const { leaf, account, device } = member;
      const name = readModel.account(account)?.name ?? '';
      const place = group.opaque ? {} : { leaf };
      return [{ ...place, account, device, name, role: isAdmin(group.roles, account) ? 'admin' : 'member' }];
    }),
  };
}

/** Former members too get `not-found`: what the group is now is none of their business (D11). */
function memberGroup(readModel: ReadModel, id: GroupId, caller: DeviceView): GroupView {
  try {
    return ownGroup(readModel, id, caller).group;
  } catch (error) {
    throw error instanceof ProblemError ? noSuchGroup() : error;
  }
}
