import { requestEventId } from '../../log/request-event-id.ts';
import type { DeviceView } from '../../projections/read-model.ts';
import { ProblemError } from '../../wire/problems.ts';
import {
  type PublishRequest,
  publishRequest,
  publishResultSchema,
  stockSchema,
} from '../../wire/schemas/key-packages.ts';
import { answer, type Call, defineRoute } from '../route.ts';
import { appendRequest } from '../writes/append-request.ts';
import { publishResult, sortPackages } from '../writes/publish.ts';

const publishKeyPackages = defineRoute({
  method: 'put',
  path: '/v1/key-packages',
  operationId: 'publishKeyPackages',
  summary: 'Publish key packages of the calling device, one of them last-resort at most.',
  auth: 'device',
  idempotent: true,
  body: publishRequest,
  answers: {
    200: { about: 'What was stored, what was refused and why, and the stock now.', schema: publishResultSchema },
  },
  problems: ['idempotency-conflict', 'storage-full'],
  handle: publish,
});

const getKeyPackages = defineRoute({
  method: 'get',
  path: '/v1/key-packages',
  operationId: 'getKeyPackages',
  summary: 'The stock of the calling device.',
  auth: 'device',
  answers: { 200: { about: 'The stock.', schema: stockSchema } },
  problems: [],
  handle: ({ deps, caller }) => answer(200, deps.readModel.stock(caller.id)),
});

export const keyPackageRoutes = [publishKeyPackages, getKeyPackages];

async function publish(call: Call<undefined, undefined, PublishRequest, DeviceView>) {
  const { deps, body, caller, requestId, requestDigest } = call;
  const { account, id: device, signatureKeys } = caller;
  if (body.keyPackages.length > deps.limits.keyPackagesPerRequest) {
    throw new ProblemError(
      'invalid-request',
      `a request has at most ${deps.limits.keyPackagesPerRequest} key packages`,
    );
  }
  const eventId = requestEventId(device, requestId);
  const owner = { account, device, signatureKeys };
  let packages = await sortPackages(call, body.keyPackages, { owner, stock: deps.readModel.stock(device) });
  let judgedAt = deps.readModel.account(account)?.laneSequence;
  const result = await appendRequest(deps, call.shared.gate, {
    eventId,
    digest: requestDigest,
    judge: (view) => known(view.account(account)),
    decide: async (view, { laneSequence }) => {
      if (laneSequence !== judgedAt) {
        // another publication or a claim came first: what fits the stock has to be judged anew
        packages = await sortPackages(call, body.keyPackages, { owner, stock: view.stock(device) });
        judgedAt = laneSequence;
      }
      if (packages.stored.length === 0) return { kind: 'answer', answer: 'nothing-to-store' };
      return {
        kind: 'append',
        lane: { kind: 'account', account },
        expected: laneSequence,
        event: {
          v: 1,
          type: 'key-packages-published',
          id: eventId,
          time: call.now,
          account,
          device,
          requestId,
          requestDigest,
          keyPackages: packages.stored,
        },
      };
    },
  });
  return answer(200, publishResult(deps.readModel, device, packages, result));
}

function known<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('a device without an account');
  return value;
}
