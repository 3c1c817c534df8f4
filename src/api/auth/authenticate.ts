import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { toUtf8 } from '../../wire/bytes.ts';
import { type ParsedSignature, parseSignature, signatureBaseText } from '../../wire/http-signature.ts';
import { type DeviceId, isShortId } from '../../wire/ids.ts';
import { type AuthReason, ProblemError } from '../../wire/problems.ts';
import type { ApiDeps } from '../deps.ts';
import { createReplaySet } from './replay-set.ts';
import type { Session } from './tickets.ts';

/** A signature that has the one form this protocol takes and a fresh time; nothing about it is proved yet. */
export interface OpenedSignature {
  readonly parsed: ParsedSignature;
  /** Whose key signed, as it says. */
  readonly device: DeviceId;
  /** Of a request that a session signed: ours and not expired. */
  readonly session: Session | undefined;
}

export interface Authenticator {
  /**
   * First steps, cheap: form, clock, ticket.
   *
   * @param proof `device-key`: a session does not do
   * @throws ProblemError `unauthenticated`; `forbidden` with reason `device-key-required`
   */
  open(request: IncomingMessage, proof: 'device-key' | undefined): OpenedSignature;
  /**
   * Last steps, once the device is known and the body read: digest, replay, signature, replay again.
   *
   * @param key of the device, 32 bytes of Ed25519; not looked at when a session signed
   * @returns SHA-256 of the body, `undefined` without one
   * @throws ProblemError `unauthenticated`
   */
  prove(
    opened: OpenedSignature,
    key: Uint8Array,
    request: IncomingMessage,
    body: Uint8Array | undefined,
  ): Promise<Uint8Array | undefined>;
}

const CREATED_UNIT_MS = 1000;

export function unauthenticated(reason: AuthReason, detail: string): ProblemError {
  return new ProblemError('unauthenticated', detail, { members: { reason } });
}

/** HTTP Message Signatures (RFC 9421) in the profile of `wire/http-signature`, cheap checks first. */
export function createAuthenticator(
  deps: Pick<ApiDeps, 'limits' | 'now' | 'bootSecond' | 'behindTlsProxy' | 'tickets' | 'signatures'>,
): Authenticator {
  const { clockWindowMs } = deps.limits;
  const replays = createReplaySet(2 * clockWindowMs, deps.now());

  return {
    open(request, proof) {
      const parsed = parseHeaders(request);
      const { alg, keyid, created } = parsed.parameters;
      checkClock(created);
      if (alg === 'ed25519') {
        if (!isShortId(keyid)) throw unauthenticated('unknown-key', 'no device has a key id like this');
        return { parsed, device: keyid as DeviceId, session: undefined };
      }
      if (proof === 'device-key') {
        throw new ProblemError('forbidden', 'this has to be signed by the device key (ed25519), not by a session', {
          members: { reason: 'device-key-required' },
        });
      }
      const session = deps.tickets.open(keyid);
      if (session === undefined || session.expiresAt <= deps.now()) {
        throw unauthenticated('session-expired', 'this session has ended, or was never opened here; open another one');
      }
      return { parsed, device: session.device, session };
    },

    async prove({ parsed, session }, key, request, body) {
      const digest = checkDigest(request, parsed, body);
      checkKey(request, parsed);
      if (replays.has(parsed.signature, deps.now())) throw replayed();
      const base = baseOf(request, parsed);
      const isGenuine =
        session === undefined
          ? await deps.signatures.check({ key, data: toUtf8(base), signature: parsed.signature })
          : timingSafeEqual(createHmac('sha256', session.key).update(base).digest(), parsed.signature);
      if (!isGenuine) throw unauthenticated('bad-signature', 'the signature is not of this request under this key');
      if (!replays.add(parsed.signature, deps.now())) throw replayed();
      return digest;
    },
  };

  function checkClock(created: number): void {
    const distance = Math.abs(created * CREATED_UNIT_MS - deps.now());
    if (distance > clockWindowMs)
      throw unauthenticated('stale', `the signature's time is ${distance} ms away from ours`);
    if (created < deps.bootSecond) throw unauthenticated('stale', 'the signature is older than this run of the server');
  }

  /** The signature base; path and query as they were sent, in the form RFC 9421 §2.2.6 and §2.2.7 has them. */
  function baseOf(request: IncomingMessage, { params, coversBody, coversKey }: ParsedSignature): string {
    const { url = '', method = '' } = request;
    const mark = url.indexOf('?');
    return signatureBaseText(
      {
        method,
        authority: authorityOf(request, deps.behindTlsProxy),
        path: mark < 0 ? url : url.slice(0, mark),
        query: mark < 0 ? '?' : url.slice(mark),
        ...(coversBody ? { contentDigest: request.headers['content-digest'] as string } : {}),
        ...(coversKey ? { idempotencyKey: request.headers['idempotency-key'] as string } : {}),
      },
      params,
    );
  }
}

function parseHeaders(request: IncomingMessage): ParsedSignature {
  const { 'signature-input': input, signature } = request.headers;
  if (input === undefined && signature === undefined) {
    throw unauthenticated('missing', 'this request needs a signature (RFC 9421)');
  }
  const parsed =
    typeof input === 'string' && typeof signature === 'string' ? parseSignature(input, signature) : undefined;
  if (parsed === undefined) throw unauthenticated('malformed', 'the signature is not in the form this server takes');
  return parsed;
}

/** Body and digest come together or not at all, and the signature covers the digest (RFC 9530, one sha-256). */
function checkDigest(
  request: IncomingMessage,
  parsed: ParsedSignature,
  body: Uint8Array | undefined,
): Uint8Array | undefined {
  const header = request.headers['content-digest'];
  if (body === undefined && !parsed.coversBody) return undefined;
  if (body === undefined || !parsed.coversBody || typeof header !== 'string') {
    throw unauthenticated('malformed', 'a request with a body, and only such a one, signs its Content-Digest');
  }
  const digest = hash('sha256', body, 'buffer');
  if (header !== `sha-256=:${digest.toString('base64')}:`) {
    throw unauthenticated('bad-digest', 'Content-Digest is not one sha-256 of this body');
  }
  return digest;
}

/** A key comes with a signature that covers it: another node would take the request again under another one. */
function checkKey(request: IncomingMessage, { coversKey }: ParsedSignature): void {
  if (coversKey === (request.headers['idempotency-key'] !== undefined)) return;
  throw unauthenticated('malformed', 'a request with an Idempotency-Key, and only such a one, signs it');
}

/** `Host` as the signer wrote it: lower case, without the scheme's own port (RFC 9421 §2.2.3). */
function authorityOf(request: IncomingMessage, behindTlsProxy: boolean): string {
  const host = (request.headers.host ?? '').toLowerCase();
  const port = behindTlsProxy ? ':443' : ':80';
  return host.endsWith(port) ? host.slice(0, -port.length) : host;
}

function replayed(): ProblemError {
  return unauthenticated('replayed', 'this signature was taken before');
}
