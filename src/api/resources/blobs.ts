import { z } from 'zod';
import type { BlobStore } from '../../log/blobs.ts';
import type { DeviceView } from '../../projections/read-model.ts';
import { toBase64Url } from '../../wire/bytes.ts';
import type { GroupId } from '../../wire/ids.ts';
import type { Limits } from '../../wire/limits.ts';
import { ProblemError } from '../../wire/problems.ts';
import { BLOB_HASH, type BlobBody, blobBody, storedBlobSchema } from '../../wire/schemas/blobs.ts';
import type { ApiDeps } from '../deps.ts';
import { notReady } from '../http/problem.ts';
import { answer, type Call, defineRoute, type Shared } from '../route.ts';
import { sha256 } from '../sha256.ts';
import { ownGroup } from '../writes/membership.ts';
import { groupParams } from './params.ts';

const blobParams = groupParams.extend({
  hash: z
    .string()
    .regex(new RegExp(BLOB_HASH))
    .meta({ type: 'string', pattern: BLOB_HASH, description: 'base64url of SHA-256 of the blob.' }),
});

/** base64url in JSON is a third longer; and some room for what is around it. */
const bodyMaxBytes = ({ attachmentMaxBytes }: Limits): number => Math.ceil((attachmentMaxBytes * 4) / 3) + 1024;
/** Less than the whole request has: 8 MiB at 1.4 Mbit/s. */
const BODY_TIMEOUT_MS = 50_000;

const putBlob = defineRoute({
  method: 'put',
  path: '/v1/groups/:group/blobs/:hash',
  operationId: 'putBlob',
  summary:
    'Stores an encrypted attachment for the members of a group, for a while. Again with the same bytes: for as long anew.',
  auth: 'device',
  params: blobParams,
  body: blobBody,
  maxBytes: bodyMaxBytes,
  bodyTimeoutMs: BODY_TIMEOUT_MS,
  answers: { 201: { about: 'It is stored.', schema: storedBlobSchema } },
  problems: ['not-found', 'forbidden', 'hash-mismatch', 'storage-full'],
  handle: put,
});

const getBlob = defineRoute({
  method: 'get',
  path: '/v1/groups/:group/blobs/:hash',
  operationId: 'getBlob',
  summary: 'An encrypted attachment of a group that the calling device is a member of now.',
  auth: 'device',
  params: blobParams,
  answers: { 200: { about: 'The blob.', schema: blobBody } },
  problems: ['not-found', 'forbidden'],
  handle: get,
});

export const blobRoutes = [putBlob, getBlob];

interface BlobParams {
  readonly group: GroupId;
  readonly hash: string;
}

async function put(call: Call<BlobParams, undefined, BlobBody, DeviceView>) {
  const { deps, shared, params, body, caller, now } = call;
  const { blob } = body;
  ownGroup(deps.readModel, params.group, caller);
  const blobs = storeOf(deps);
  const { attachmentMaxBytes, attachmentRetentionMs } = deps.limits;
  if (blob.length > attachmentMaxBytes) {
    throw new ProblemError('payload-too-large', `an attachment here has at most ${attachmentMaxBytes} bytes`);
  }
  if (toBase64Url(sha256(blob)) !== params.hash) {
    throw new ProblemError('hash-mismatch', 'the path names another SHA-256 than that of the blob');
  }
  slowDown(shared, caller, now);
  await shared.gate.pass(async () => {
    await checkQuota(blobs, deps.limits, caller, { ...params, size: blob.length });
    await blobs.put(caller.id, params, blob);
  });
  return answer(201, { size: blob.length, expires: now + attachmentRetentionMs });
}

async function get({ deps, shared, params, caller, now }: Call<BlobParams, undefined, undefined, DeviceView>) {
  ownGroup(deps.readModel, params.group, caller);
  slowDown(shared, caller, now);
  const blob = await storeOf(deps).get(params.group, params.hash);
  if (blob === undefined) throw new ProblemError('not-found', 'there is no such blob in this group, or no longer');
  return answer(200, { blob });
}

/** A blob that is put again counts once. What is on its way at the same moment may go over by itself. */
async function checkQuota(
  blobs: BlobStore,
  { attachmentsPerDevice, attachmentBytesPerDevice }: Limits,
  { id }: DeviceView,
  { group, hash, size }: BlobParams & { readonly size: number },
): Promise<void> {
  const others = (await blobs.heldBy(id)).filter((held) => held.group !== group || held.hash !== hash);
  const bytes = others.reduce((sum, held) => sum + held.size, size);
  if (others.length < attachmentsPerDevice && bytes <= attachmentBytesPerDevice) return;
  throw new ProblemError('forbidden', 'this device has stored as many attachments as it may; older ones expire', {
    members: { reason: 'attachment-quota' },
  });
}

function slowDown({ attachmentLimits }: Shared, { id }: DeviceView, now: number): void {
  const wait = attachmentLimits.take(id, now);
  if (wait > 0) throw new ProblemError('rate-limited', 'too many attachments', { retryAfterSeconds: wait });
}

function storeOf({ blobs }: ApiDeps): BlobStore {
  if (blobs === undefined) throw notReady('this node takes no attachments');
  return blobs;
}
