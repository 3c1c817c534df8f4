import type { IncomingMessage } from 'node:http';
import { equalBytes } from '../../wire/bytes.ts';
import { type ParsedSignature, parseContentDigest, parseSignature, signatureBase } from '../../wire/http-signature.ts';
import { type AuthReason, ProblemError } from '../../wire/problems.ts';
import type { ApiDeps } from '../deps.ts';
import { sha256 } from '../sha256.ts';
import { createDeviceKeys, verifyEd25519 } from './device-keys.ts';
import { createReplaySet } from './replay-set.ts';

/** A signature that has the one form this protocol takes and a fresh time; nothing about it is proved yet. */
export interface OpenedSignature {
  readonly parsed: ParsedSignature;
  readonly keyid: string;
}

export interface Authenticator {
  /** First steps, cheap: form, then clock. @throws ProblemError `unauthenticated` */
  open(request: IncomingMessage): OpenedSignature;
  /**
   * Last steps, once the key is known and the body read: digest, replay, signature, replay again.
   *
   * @param key 32 bytes of Ed25519
   * @throws ProblemError `unauthenticated`
   */
  prove(
    opened: OpenedSignature,
    key: Uint8Array,
    request: IncomingMessage,
    body: Uint8Array | undefined,
  ): Promise<void>;
}

const CREATED_UNIT_MS = 1000;

export function unauthenticated(reason: AuthReason, detail: string): ProblemError {
  return new ProblemError('unauthenticated', detail, { members: { reason } });
}

/** HTTP Message Signatures (RFC 9421) in the profile of `wire/http-signature`, cheap checks first. */
export function createAuthenticator(
  deps: Pick<ApiDeps, 'limits' | 'now' | 'bootSecond' | 'behindTlsProxy'>,
): Authenticator {
  const { clockWindowMs } = deps.limits;
  const replays = createReplaySet(2 * clockWindowMs, deps.now());
  const keys = createDeviceKeys();

  return {
    open(request) {
      const parsed = parseHeaders(request);
      checkClock(parsed.parameters.created);
      if (parsed.parameters.alg !== 'ed25519') throw unauthenticated('unknown-key', 'only ed25519 keys are known here');
      return { parsed, keyid: parsed.parameters.keyid };
    },

    async prove({ parsed }, key, request, body) {
      const contentDigest = checkDigest(request, parsed, body);
      if (replays.has(parsed.signature, deps.now())) throw replayed();
      const [path, query] = splitTarget(request.url ?? '');
      const base = signatureBase(
        {
          method: request.method ?? '',
          authority: authorityOf(request, deps.behindTlsProxy),
          path,
          query,
          ...(contentDigest === undefined ? {} : { contentDigest }),
        },
        parsed.params,
      );
      if (!(await verifyEd25519(keys.get(key), base, parsed.signature))) {
        throw unauthenticated('bad-signature', 'the signature is not of this request under this key');
      }
      if (!replays.add(parsed.signature, deps.now())) throw replayed();
    },
  };

  function checkClock(created: number): void {
    const distance = Math.abs(created * CREATED_UNIT_MS - deps.now());
    if (distance > clockWindowMs)
      throw unauthenticated('stale', `the signature's time is ${distance} ms away from ours`);
    if (created < deps.bootSecond) throw unauthenticated('stale', 'the signature is older than this run of the server');
  }
}

/** Path and query as they were sent, in the form RFC 9421 §2.2.6 and §2.2.7 has them. */
function splitTarget(target: string): readonly [path: string, query: string] {
  const mark = target.indexOf('?');
  return mark < 0 ? [target, '?'] : [target.slice(0, mark), target.slice(mark)];
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

/** Body and digest come together or not at all, and the signature covers the digest (RFC 9530). */
function checkDigest(
  request: IncomingMessage,
  parsed: ParsedSignature,
  body: Uint8Array | undefined,
): string | undefined {
  const header = request.headers['content-digest'];
  if (body === undefined && !parsed.coversBody) return undefined;
  if (body === undefined || !parsed.coversBody || typeof header !== 'string') {
    throw unauthenticated('malformed', 'a request with a body, and only such a one, signs its Content-Digest');
  }
  const digest = parseContentDigest(header);
  if (digest === undefined) throw unauthenticated('malformed', 'Content-Digest is one sha-256');
  if (!equalBytes(digest, sha256(body))) throw unauthenticated('bad-digest', 'Content-Digest is not of this body');
  return header;
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
