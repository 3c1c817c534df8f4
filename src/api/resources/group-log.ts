import { z } from 'zod';
import type { DeviceView, GroupLogResult } from '../../projections/read-model.ts';
import { concatBytes, toBase64Url } from '../../wire/bytes.ts';
import { CBOR_ARRAY, cborHead, encodeCbor } from '../../wire/cbor.ts';
import { decodeEntry } from '../../wire/entry.ts';
import type { GroupId } from '../../wire/ids.ts';
import { toJsonValue } from '../../wire/json.ts';
import { ProblemError } from '../../wire/problems.ts';
import { groupLogPageSchema } from '../../wire/schemas/sync.ts';
import type { ApiDeps } from '../deps.ts';
import { MEDIA_TYPES, representationFor } from '../http/negotiate.ts';
import { type Answer, defineRoute } from '../route.ts';
import { unframe } from '../writes/epoch-conflict.ts';
import { foldNewest } from '../writes/judged-on-newest.ts';
import { mayJoin, noSuchGroup } from '../writes/membership.ts';
import { countQuery, groupParams } from './params.ts';

const getGroupLog = defineRoute({
  method: 'get',
  path: '/v1/groups/:group/log',
  operationId: 'getGroupLog',
  summary: 'One group’s entries after a position, dense, as far as the calling device may see them.',
  auth: 'device',
  params: groupParams,
  query: z.strictObject({
    after: countQuery({
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
      about: 'Position to go on after; 0 for the beginning.',
    }).optional(),
    limit: countQuery({
      min: 1,
      max: 100_000,
      about: 'Most entries wanted; the server’s own maximum wins.',
    }).optional(),
    newest: z
      .literal('true')
      .optional()
      .meta({ description: 'For who has read more of it elsewhere: this node folds first what the log holds.' }),
  }),
  answers: { 200: { about: 'A page. In JSON its entries are objects.', schema: groupLogPageSchema } },
  problems: ['not-found', 'cursor-expired'],
  handle: async ({ deps, params, query, caller, accept }) => {
    if (query.newest !== undefined) await foldNewest(deps);
    const { pageMaxEntries, pageMaxBytes } = deps.limits;
    const limits = { maxEntries: Math.min(query.limit ?? pageMaxEntries, pageMaxEntries), maxBytes: pageMaxBytes };
    const result = deps.readModel.groupLogPage(params.group, caller.id, query.after ?? 0, limits);
    if (result.kind === 'expired') throw cursorExpired(deps, params.group, caller, result);
    if (result.kind !== 'page') throw noSuchGroup();
    return representationFor(accept) === 'cbor' ? cborPage(result) : jsonPage(result);
  },
});

export const groupLogRoutes = [getGroupLog];

/** With the GroupInfo to join again by, for whom `GET …/group-info` has it too. */
function cursorExpired(
  { readModel }: Pick<ApiDeps, 'readModel'>,
  id: GroupId,
  caller: DeviceView,
  { logStart, firstEpoch, head }: Extract<GroupLogResult, { readonly kind: 'expired' }>,
): ProblemError {
  const group = readModel.group(id);
  const served = group !== undefined && mayJoin(group, caller) ? readModel.groupInfo(id) : undefined;
  return new ProblemError('cursor-expired', `entries before position ${logStart} are no longer kept`, {
    members: {
      logStart,
      firstEpoch,
      head: toBase64Url(head),
      ...(served === undefined ? {} : { currentEpoch: served.epoch, groupInfo: toBase64Url(served.groupInfo) }),
    },
  });
}

type LogPage = Extract<GroupLogResult, { readonly kind: 'page' }>;

const MAP_OF_FIVE = Uint8Array.of(0xa5);
const KEY_LOG_START = encodeCbor('logStart');
const KEY_HEAD = encodeCbor('head');
const KEY_ENTRIES = encodeCbor('entries');
const KEY_POSITION = encodeCbor('position');
const KEY_UP_TO_DATE = encodeCbor('upToDate');

/** Deterministic CBOR around entries that are framed already: a page is a concatenation, not a re-encoding. */
function cborPage({ framed, position, upToDate, head, logStart }: LogPage): Answer {
  const body = concatBytes(
    MAP_OF_FIVE,
    KEY_HEAD,
    encodeCbor(head),
    KEY_ENTRIES,
    cborHead(CBOR_ARRAY, framed.length),
    ...framed,
    KEY_LOG_START,
    encodeCbor(logStart),
    KEY_POSITION,
    encodeCbor(position),
    KEY_UP_TO_DATE,
    encodeCbor(upToDate),
  );
  return { kind: 'bytes', status: 200, type: MEDIA_TYPES.cbor, body };
}

function jsonPage({ framed, position, upToDate, head, logStart }: LogPage): Answer {
  const entries = framed.map((entry) => toJsonValue(decodeEntry(unframe(entry))));
  const body = JSON.stringify({ entries, position, upToDate, head: toJsonValue(head), logStart });
  return { kind: 'bytes', status: 200, type: MEDIA_TYPES.json, body };
}
