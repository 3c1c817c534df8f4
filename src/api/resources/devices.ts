import { z } from 'zod';
import { type LaterStatement, parseLaterStatement } from '../../wire/account-chain.ts';
import type { DeviceId } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import { addDeviceRequest, changeRequest, changeResponse, registerResponse } from '../../wire/schemas/accounts.ts';
import { accountIdSchema, deviceIdSchema } from '../../wire/schemas/common.ts';
import { answer, defineRoute } from '../route.ts';
import { changeAccount } from '../writes/change-account.ts';
import { publishResult } from '../writes/publish.ts';
import { toAccount, written } from './accounts.ts';

const renameAccount = defineRoute({
  method: 'patch',
  path: '/v1/accounts/me',
  operationId: 'renameAccount',
  summary: 'Change the user name, by a statement of the calling device. The old name becomes free.',
  auth: 'device',
  proof: 'device-key',
  idempotent: true,
  body: changeRequest,
  answers: { 200: { about: 'The account now.', schema: changeResponse } },
  problems: ['name-taken', 'account-conflict', 'idempotency-conflict', 'storage-full'],
  handle: async (call) => {
    const { deps, body, caller } = call;
    await changeAccount(call, { account: caller.account, signed: body, statement: statementOf(body, 'rename') });
    return answer(200, { account: toAccount(written(deps.readModel, caller.account)) });
  },
});

const addDevice = defineRoute({
  method: 'post',
  path: '/v1/accounts/me/devices',
  operationId: 'addDevice',
  summary: 'Add a device to the account of the calling device: signed for by a valid device, agreed to by the new one.',
  auth: 'device',
  proof: 'device-key',
  idempotent: true,
  body: addDeviceRequest,
  answers: { 201: { about: 'The account now.', schema: registerResponse } },
  problems: ['already-exists', 'account-conflict', 'idempotency-conflict', 'storage-full'],
  handle: async (call) => {
    const { deps, body, caller } = call;
    const { account } = caller;
    const { keyPackages } = body;
    const statement = statementOf(body, 'add-device');
    const { device, packages, result } = await changeAccount(call, { account, signed: body, statement, keyPackages });
    return answer(201, {
      account: toAccount(written(deps.readModel, account)),
      keyPackages: publishResult(deps.readModel, device ?? caller.id, packages, result),
    });
  },
});

const recoverAccount = defineRoute({
  method: 'post',
  path: '/v1/accounts/:id/recoveries',
  operationId: 'recoverAccount',
  summary: 'Add the calling device, which nobody knows yet, to an account: signed for by the account’s recovery key.',
  auth: 'recovery',
  idempotent: true,
  params: z.strictObject({ id: accountIdSchema }),
  body: addDeviceRequest,
  answers: { 201: { about: 'The account now.', schema: registerResponse } },
  problems: ['not-found', 'already-exists', 'account-conflict', 'idempotency-conflict', 'storage-full'],
  handle: async (call) => {
    const { deps, params, body, caller } = call;
    const { statement } = caller;
    if (statement.by !== 'recovery') throw new ProblemError('forbidden', 'only the recovery key can do this');
    const { keyPackages } = body;
    const change = { account: params.id, signed: body, statement, keyPackages };
    const { packages, result } = await changeAccount({ ...call, caller: { id: caller.device } }, change);
    return answer(201, {
      account: toAccount(written(deps.readModel, params.id)),
      keyPackages: publishResult(deps.readModel, caller.device, packages, result),
    });
  },
});

const revokeDevice = defineRoute({
  method: 'delete',
  path: '/v1/accounts/me/devices/:id',
  operationId: 'revokeDevice',
  summary:
    'Revoke a device of the calling device’s account. Its key packages are withdrawn, its requests refused, its streams ended.',
  auth: 'device',
  proof: 'device-key',
  idempotent: true,
  params: z.strictObject({ id: deviceIdSchema }),
  body: changeRequest,
  answers: { 200: { about: 'The account now.', schema: changeResponse } },
  problems: ['account-conflict', 'idempotency-conflict', 'storage-full'],
  handle: async (call) => {
    const { deps, params, body, caller } = call;
    const statement = statementOf(body, 'revoke-device');
    checkNamed(statement.device, params.id);
    await changeAccount(call, { account: caller.account, signed: body, statement });
    return answer(200, { account: toAccount(written(deps.readModel, caller.account)) });
  },
});

export const deviceRoutes = [renameAccount, addDevice, recoverAccount, revokeDevice];

function statementOf<Type extends LaterStatement['type']>(
  { statement: bytes }: { readonly statement: Uint8Array },
  type: Type,
): LaterStatement & { readonly type: Type } {
  const parsed = parseLaterStatement(bytes);
  if (!parsed.ok) throw new ProblemError('invalid-request', parsed.reason);
  if (parsed.statement.type !== type) throw new ProblemError('invalid-request', `this is not a statement to ${type}`);
  return parsed.statement as LaterStatement & { readonly type: Type };
}

function checkNamed(stated: DeviceId, named: DeviceId): void {
  if (stated !== named) throw new ProblemError('invalid-request', 'the statement is about another device');
}
