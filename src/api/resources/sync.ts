import { z } from 'zod';
import type { DeviceView, FramedPage, ReadModel } from '../../projections/read-model.ts';
import { concatBytes } from '../../wire/bytes.ts';
import { START_CURSOR } from '../../wire/ids.ts';
import { encodePageParts } from '../../wire/page.ts';
import { ProblemError } from '../../wire/problems.ts';
import { pageSchema } from '../../wire/schemas/sync.ts';
import { unauthenticated } from '../auth/authenticate.ts';
import type { ApiDeps } from '../deps.ts';
import { MEDIA_TYPES, representationFor, type StreamRepresentation, streamFor } from '../http/negotiate.ts';
import { notReady } from '../http/problem.ts';
import { type Answer, type Call, defineRoute } from '../route.ts';
import { runLiveStream } from '../sync/live-stream.ts';
import { waitForPage } from '../sync/long-poll.ts';
import { pageToJson } from '../sync/page-json.ts';
import { openResponseSink } from '../sync/response-sink.ts';
import { streamFormat } from '../sync/stream-format.ts';
import { withDeadline } from '../writes/deadline.ts';
import { countQuery } from './params.ts';

/** How long a read waits for this node to fold what the caller’s cursor stands on, ms. */
const CATCH_UP_WAIT_MS = 2_000;
/** How long a caller that has its streams open already is asked to wait, s. */
const STREAMS_RETRY_SECONDS = 5;

const syncQuery = z.strictObject({
  cursor: z.string().min(1).max(64).optional().meta({ description: '`start`, or a cursor that a page returned.' }),
  limit: countQuery({ min: 1, max: 100_000, about: 'Most entries wanted; the server’s own maximum wins.' }).optional(),
  wait: countQuery({
    min: 0,
    max: 3_600,
    about: 'Seconds to wait for something new; the server’s own maximum wins.',
  }).optional(),
});

const getSync = defineRoute({
  method: 'get',
  path: '/v1/sync',
  operationId: 'sync',
  summary: 'Everything for this device after the cursor, in log order: as a page, a long poll, or a live stream.',
  auth: 'device',
  query: syncQuery,
  answers: {
    200: {
      about: 'A page, or a stream of pages, `caught-up`, `heartbeat`, `closing`.',
      schema: pageSchema,
      otherTypes: [MEDIA_TYPES['cbor-seq'], MEDIA_TYPES['event-stream']],
    },
  },
  problems: ['cursor-invalid'],
  handle: sync,
});

export const syncRoutes = [getSync];

type SyncCall = Call<undefined, z.infer<typeof syncQuery>, undefined, DeviceView>;

async function sync(call: SyncCall): Promise<Answer> {
  const { deps, query, caller, accept } = call;
  const cursor = query.cursor ?? START_CURSOR;
  await reach(deps, cursor);
  const stream = streamFor(accept);
  if (stream !== undefined) return openStream(call, cursor, stream);
  const { pageMaxEntries, pageMaxBytes, waitMaxMs } = deps.limits;
  const limits = { maxEntries: Math.min(query.limit ?? pageMaxEntries, pageMaxEntries), maxBytes: pageMaxBytes };
  const read = (): FramedPage => pageAfter(deps.readModel, caller, cursor, limits);
  const waitMs = Math.min((query.wait ?? 0) * 1000, waitMaxMs);
  const page = read();
  if (page.framed.length > 0 || page.gaps !== undefined || waitMs === 0) return pageAnswer(page, accept);
  return pageAnswer(await longPoll(call, read, waitMs), accept);
}

/** Until something comes, the time is over, or the caller may not read any more: its session ended, or it was revoked. */
async function longPoll(call: SyncCall, read: () => FramedPage, waitMs: number): Promise<FramedPage> {
  const { deps, caller, request, sessionEndsAt = Number.POSITIVE_INFINITY } = call;
  const place = takePlace(call);
  try {
    return await waitForPage({
      read: () => {
        if (deps.readModel.device(caller.id) === undefined) {
          throw unauthenticated('revoked', 'this device was revoked');
        }
        return read();
      },
      watch: (wake) => deps.readModel.watch(caller.id, wake),
      waitMs: Math.min(waitMs, Math.max(0, sessionEndsAt - deps.now())),
      closing: deps.closing,
      request,
    });
  } finally {
    place.leave();
  }
}

function takePlace({ deps, shared, caller, address }: SyncCall): { leave(): void } {
  const place = shared.streams.enter(caller.id, address);
  if (place !== undefined) return place;
  const { streamsPerDevice, streamsPerAddress } = deps.limits;
  throw new ProblemError(
    'rate-limited',
    `a device has at most ${streamsPerDevice} streams and long polls open, an address ${streamsPerAddress}`,
    { retryAfterSeconds: STREAMS_RETRY_SECONDS },
  );
}

/** Read-your-writes: a cursor from another node may be ahead of this one; wait for it, a little. */
async function reach({ readModel }: Pick<ApiDeps, 'readModel'>, cursor: string): Promise<void> {
  const sequence = readModel.sequenceOfCursor(cursor);
  if (sequence === undefined || sequence <= readModel.checkpoint().sequence) return;
  try {
    await withDeadline(CATCH_UP_WAIT_MS, (signal) => readModel.waitForSequence(sequence, signal));
  } catch (cause) {
    throw notReady('this node has not come as far as the cursor', cause);
  }
}

function pageAfter(
  readModel: ReadModel,
  caller: DeviceView,
  cursor: string,
  limits: { readonly maxEntries: number; readonly maxBytes: number },
): FramedPage {
  const result = readModel.syncPage(caller.id, cursor, limits);
  if (result.kind === 'cursor-invalid') {
    throw new ProblemError('cursor-invalid', result.reason);
  }
  return result.page;
}

function pageAnswer(page: FramedPage, accept: string | undefined): Answer {
  if (representationFor(accept) === 'cbor') {
    const body = concatBytes(...encodePageParts(page, page.framed));
    return { kind: 'bytes', status: 200, type: MEDIA_TYPES.cbor, body };
  }
  return { kind: 'bytes', status: 200, type: MEDIA_TYPES.json, body: JSON.stringify(pageToJson(page)) };
}

function openStream(call: SyncCall, cursor: string, representation: StreamRepresentation): Answer {
  const { deps, query, caller, response, sessionEndsAt } = call;
  pageAfter(deps.readModel, caller, cursor, { maxEntries: 1, maxBytes: 1 }); // a bad cursor is a problem, not a stream
  const place = takePlace(call);
  const format = streamFormat(representation);
  return {
    kind: 'stream',
    run: async () => {
      const sink = openResponseSink(response, { 'content-type': format.type, 'cache-control': 'no-store' });
      try {
        await runLiveStream({
          readModel: deps.readModel,
          device: caller.id,
          cursor,
          format,
          sink,
          maxEntries: Math.min(query.limit ?? deps.limits.pageMaxEntries, deps.limits.pageMaxEntries),
          heartbeatMs: deps.operation.heartbeatMs,
          drainTimeoutMs: deps.operation.drainTimeoutMs,
          closing: deps.closing,
          endsInMs: sessionEndsAt === undefined ? undefined : sessionEndsAt - deps.now(),
        });
      } finally {
        place.leave();
        sink.end();
      }
    },
  };
}
