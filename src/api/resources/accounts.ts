import { z } from 'zod';
import { requestEventId } from '../../log/request-event-id.ts';
import { nameLane } from '../../log/subjects.ts';
import type { AccountView, ReadModel } from '../../projections/read-model.ts';
import { type AccountId, accountIdOf } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import {
  type Account,
  accountSchema,
  type RegisterRequest,
  type RegisterResponse,
  registerRequest,
  registerResponse,
} from '../../wire/schemas/accounts.ts';
import { nameSchema } from '../../wire/schemas/common.ts';
import { notReady } from '../http/problem.ts';
import { answer, type Call, defineRoute, type Registrant } from '../route.ts';
import { sha256 } from '../sha256.ts';
import { appendRequest } from '../writes/append-request.ts';
import { foldNewest } from '../writes/judged-on-newest.ts';
import { publishResult, sortPackages } from '../writes/publish.ts';
import { accountParams } from './params.ts';

const registerAccount = defineRoute({
  method: 'post',
  path: '/v1/accounts',
  operationId: 'registerAccount',
  summary: 'Register: user name, first device, first key packages. Signed by the device key in the statement.',
  auth: 'registration',
  idempotent: true,
  body: registerRequest,
  answers: { 201: { about: 'The account.', schema: registerResponse } },
  problems: ['name-taken', 'already-exists', 'idempotency-conflict', 'storage-full'],
  handle: register,
});

const lookUpAccount = defineRoute({
  method: 'get',
  path: '/v1/accounts',
  operationId: 'lookUpAccount',
  summary: 'Look up an account by its name.',
  auth: 'device',
  query: z.strictObject({ name: nameSchema }),
  answers: { 200: { about: 'The account.', schema: accountSchema } },
  problems: ['not-found'],
  handle: ({ deps, query }) => answer(200, toAccount(found(deps.readModel.accountByName(query.name)))),
});

const getAccount = defineRoute({
  method: 'get',
  path: '/v1/accounts/:id',
  operationId: 'getAccount',
  summary: 'An account by its id: for anybody who knows the id, because a device that is to join it has no other way.',
  auth: 'public',
  params: accountParams,
  query: z.strictObject({
    newest: z
      .literal('true')
      .optional()
      .meta({ description: 'For who has seen more of it elsewhere: this node folds first what the log holds.' }),
  }),
  answers: { 200: { about: 'The account.', schema: accountSchema } },
  problems: ['not-found', 'not-ready'],
  handle: async ({ deps, params, query }) => {
    if (!deps.readModel.readiness().ready) throw notReady('the server is not ready; /readyz says why');
    if (query.newest !== undefined) await foldNewest(deps);
    return answer(200, toAccount(found(deps.readModel.account(params.id))));
  },
});

export const accountRoutes = [registerAccount, lookUpAccount, getAccount];

async function register(call: Call<undefined, undefined, RegisterRequest, Registrant>) {
  const { deps, body, caller, requestId, requestDigest } = call;
  const { statement, device } = caller;
  const account = accountIdOf(body.statement, sha256);
  if (statement.domain !== deps.domain) {
    throw new ProblemError('invalid-request', 'the statement is for another domain than this server’s');
  }
  const packages = await sortPackages(call, body.keyPackages, {
    owner: { account, device, signatureKeys: statement.device.signatureKeys },
    stock: { available: 0, lastResort: false },
  });
  const lane = nameLane('account', statement.name);
  const eventId = requestEventId(device, requestId);
  const result = await appendRequest(deps, call.shared.gate, {
    eventId,
    digest: requestDigest,
    judge: (view) => {
      // revoked or not: a key that belonged to an account belongs to no other one for ever
      if (view.ownerOf(device) !== undefined) {
        throw new ProblemError('already-exists', 'this device belongs to an account already');
      }
      const { sequence, taken } = view.nameLane('user', statement.name);
      if (taken) throw new ProblemError('name-taken', 'somebody else holds this user name');
      return sequence;
    },
    decide: (_view, sequence) => {
      return {
        kind: 'append',
        lane,
        expected: sequence,
        event: {
          v: 1,
          type: 'account-registered',
          id: eventId,
          time: call.now,
          account,
          device,
          requestId,
          requestDigest,
          name: statement.name,
          statement: body.statement,
          signature: body.signature,
          keyPackages: packages.stored,
        },
      };
    },
  });
  const response: RegisterResponse = {
    account: toAccount(written(deps.readModel, account)),
    keyPackages: publishResult(deps.readModel, device, packages, result),
  };
  return answer(201, response);
}

/** As it is served: everything but the history is for people who do not want to fold it. */
export function toAccount({ id, name, devices, registeredAt, statements }: AccountView): Account {
  return {
    id,
    name,
    registeredAt,
    devices: devices.map((device) => ({
      id: device.id,
      key: device.key,
      label: device.label,
      signatureKeys: [...device.signatureKeys],
    })),
    statements: statements.map(({ statement, signature, countersignature }) => ({
      statement,
      signature,
      ...(countersignature === undefined ? {} : { countersignature }),
    })),
  };
}

/** An account that the caller's own event has just touched. */
export function written(readModel: ReadModel, id: AccountId): AccountView {
  const account = readModel.account(id);
  if (account === undefined) throw new Error('a registered account is not in the tables');
  return account;
}

function found(account: AccountView | undefined): AccountView {
  if (account === undefined) throw new ProblemError('not-found', 'there is no such account');
  return account;
}
