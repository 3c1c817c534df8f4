import { createHmac } from 'node:crypto';
import { createKeyAgreement } from '../../src/mls/key-agreement-node.ts';
import { deriveSessionKey } from '../../src/wire/session.ts';
import { createSignedClient, okValue, type SignedClient } from './signed-client.ts';

/** A session as a client has it, and requests signed by it. */
export interface SessionClient extends SignedClient {
  readonly ticket: string;
  readonly expiresAt: number;
  readonly macKey: Uint8Array;
}

/** Opens a session for the device of `by`; the requests of what is returned are signed by it alone. */
export async function openSession(baseUrl: string | (() => string), by: SignedClient): Promise<SessionClient> {
  const own = createKeyAgreement();
  const { key, ticket, expiresAt } = okValue(
    await by.request('POST', '/v1/sessions', { body: { key: own.publicKey } }),
  ) as { key: Uint8Array; ticket: string; expiresAt: number };
  const macKey = deriveSessionKey(own.agree(key)!, own.publicKey, key)!;
  return { ...withSession(baseUrl, { ticket, macKey }, by), ticket, expiresAt, macKey };
}

/** Requests signed by a session that was opened before, maybe at another node. */
export function withSession(
  baseUrl: string | (() => string),
  { ticket, macKey }: Pick<SessionClient, 'ticket' | 'macKey'>,
  { key }: SignedClient,
): SignedClient {
  const sign = (bytes: Uint8Array) => new Uint8Array(createHmac('sha256', macKey).update(bytes).digest());
  const http = createSignedClient(baseUrl, { ...key, sign });
  const parameters = { keyid: ticket, alg: 'hmac-sha256' } as const;
  return {
    key,
    fetch: (method, target, options = {}) =>
      http.fetch(method, target, { ...options, parameters: { ...parameters, ...options.parameters } }),
    request: (method, target, options = {}) =>
      http.request(method, target, { ...options, parameters: { ...parameters, ...options.parameters } }),
  };
}
