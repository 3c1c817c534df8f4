import { createKeyAgreement } from '../../mls/key-agreement-node.ts';
import type { DeviceView } from '../../projections/read-model.ts';
import { ProblemError } from '../../wire/problems.ts';
import {
  type SessionRequest,
  type SessionResponse,
  sessionRequest,
  sessionResponse,
} from '../../wire/schemas/sessions.ts';
import { deriveSessionKey } from '../../wire/session.ts';
import { answer, type Call, defineRoute } from '../route.ts';

const openSession = defineRoute({
  method: 'post',
  path: '/v1/sessions',
  operationId: 'openSession',
  summary:
    'Open a session: requests signed with HMAC instead of the device key, for a while. Signed by the device key.',
  auth: 'device',
  proof: 'device-key',
  body: sessionRequest,
  answers: { 201: { about: 'The session.', schema: sessionResponse } },
  problems: ['forbidden'],
  handle: open,
});

export const sessionRoutes = [openSession];

/** Nothing is kept: the ticket holds the session, and every node of the domain opens it. */
function open({ deps, body, caller, now }: Call<undefined, undefined, SessionRequest, DeviceView>) {
  const own = createKeyAgreement();
  const shared = own.agree(body.key);
  const key = shared === undefined ? undefined : deriveSessionKey(shared, body.key, own.publicKey);
  if (key === undefined) throw new ProblemError('invalid-request', 'this X25519 key gives no secret (RFC 7748 §6.1)');
  const expiresAt = now + deps.limits.sessionTtlMs;
  const response: SessionResponse = {
    key: own.publicKey,
    ticket: deps.tickets.seal({ device: caller.id, account: caller.account, key, expiresAt }),
    expiresAt,
  };
  return answer(201, response);
}
