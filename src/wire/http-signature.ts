/**
 * The one form of HTTP Message Signatures (RFC 9421) this protocol takes: label `sig1`, components in a fixed order,
 * parameters in a fixed order. No structured-field parser is needed to check it, and any RFC 9421 library can make it.
 */
import { fromBase64, toBase64, toUtf8 } from './bytes.ts';
import type { Sha256 } from './ids.ts';

export const SIGNATURE_TAG = 'mlsd';
export type SignatureAlgorithm = 'ed25519' | 'hmac-sha256';

export interface SignedRequest {
  readonly method: string;
  /** `host[:port]`, lower case, without a default port (RFC 9421 §2.2.3). */
  readonly authority: string;
  /** Absolute path as sent, percent-encoding kept. */
  readonly path: string;
  /** Query as sent with its leading `?`; a lone `?` when there is none (RFC 9421 §2.2.7). */
  readonly query: string;
  /** Value of `Content-Digest`; present exactly when there is a body. */
  readonly contentDigest?: string;
  /** Value of `Idempotency-Key`, where there is one: under another key the same request would be another one. */
  readonly idempotencyKey?: string;
}

export interface SignatureParameters {
  /** Seconds since 1970. */
  readonly created: number;
  /** 16–64 characters of base64url. */
  readonly nonce: string;
  readonly keyid: string;
  readonly alg: SignatureAlgorithm;
}

const COVERED = '"@method" "@authority" "@path" "@query"';
const INPUT =
  /^sig1=(\("@method" "@authority" "@path" "@query"( "content-digest")?( "idempotency-key")?\);created=(\d{1,12});nonce="([A-Za-z0-9_-]{16,64})";keyid="([A-Za-z0-9_.-]{16,512})";alg="(ed25519|hmac-sha256)";tag="mlsd")$/;
const SIGNATURES: Readonly<Record<SignatureAlgorithm, RegExp>> = {
  ed25519: /^sig1=:([A-Za-z0-9+/]{86}==):$/,
  'hmac-sha256': /^sig1=:([A-Za-z0-9+/]{43}=):$/,
};

/** The value of `@signature-params`, and after `sig1=` that of the `Signature-Input` header. */
export function signatureParams(parameters: SignatureParameters, hasBody: boolean, hasKey = false): string {
  const { created, nonce, keyid, alg } = parameters;
  const covered = `${COVERED}${hasBody ? ' "content-digest"' : ''}${hasKey ? ' "idempotency-key"' : ''}`;
  return `(${covered});created=${created};nonce="${nonce}";keyid="${keyid}";alg="${alg}";tag="${SIGNATURE_TAG}"`;
}

/** What is signed, in UTF-8 (RFC 9421 §2.5). */
export function signatureBaseText(request: SignedRequest, params: string): string {
  const digest = request.contentDigest === undefined ? '' : `"content-digest": ${request.contentDigest}\n`;
  const key = request.idempotencyKey === undefined ? '' : `"idempotency-key": ${request.idempotencyKey}\n`;
  return `"@method": ${request.method}\n"@authority": ${request.authority}\n"@path": ${request.path}\n"@query": ${request.query}\n${digest}${key}"@signature-params": ${params}`;
}

/** The bytes that are signed (RFC 9421 §2.5). */
export function signatureBase(request: SignedRequest, params: string): Uint8Array {
  return toUtf8(signatureBaseText(request, params));
}

export interface ParsedSignature {
  readonly parameters: SignatureParameters;
  /** As received, for the signature base. */
  readonly params: string;
  readonly coversBody: boolean;
  readonly coversKey: boolean;
  /** 64 bytes of Ed25519, or 32 of HMAC-SHA256. */
  readonly signature: Uint8Array;
}

/** `undefined` for every form but the one this profile has. */
export function parseSignature(signatureInput: string, signature: string): ParsedSignature | undefined {
  const input = INPUT.exec(signatureInput);
  if (input === null) return undefined;
  const alg = input[7] as SignatureAlgorithm;
  const bytes = fromBase64(SIGNATURES[alg].exec(signature)?.[1] ?? '');
  if (bytes === undefined || bytes.length === 0) return undefined;
  return {
    parameters: { created: Number(input[4]), nonce: input[5]!, keyid: input[6]!, alg },
    params: input[1]!,
    coversBody: input[2] !== undefined,
    coversKey: input[3] !== undefined,
    signature: bytes,
  };
}

/** `Content-Digest` of a body (RFC 9530, sha-256 alone). */
export function contentDigest(body: Uint8Array, sha256: Sha256): string {
  return `sha-256=:${toBase64(sha256(body))}:`;
}

/** Headers of a signed request. `sign` gives the raw signature (64 bytes of Ed25519, or 32 of HMAC-SHA256). */
export async function signRequest(
  request: SignedRequest,
  parameters: SignatureParameters,
  sign: (base: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): Promise<Record<string, string>> {
  const params = signatureParams(parameters, request.contentDigest !== undefined, request.idempotencyKey !== undefined);
  const signature = await sign(signatureBase(request, params));
  return {
    'signature-input': `sig1=${params}`,
    signature: `sig1=:${toBase64(signature)}:`,
    ...(request.contentDigest === undefined ? {} : { 'content-digest': request.contentDigest }),
  };
}
