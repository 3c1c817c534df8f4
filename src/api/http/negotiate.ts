import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import { toJsonValue } from '../../wire/json.ts';
import { ProblemError } from '../../wire/problems.ts';

/** How a body is written. */
export type Representation = 'json' | 'cbor';
/** How an endless answer is written. */
export type StreamRepresentation = 'cbor-seq' | 'event-stream';

export const MEDIA_TYPES = {
  json: 'application/json',
  cbor: 'application/cbor',
  'cbor-seq': 'application/cbor-seq',
  'event-stream': 'text/event-stream',
  problem: 'application/problem+json',
} as const;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The best representation of a page or value for an `Accept` header; JSON where it says nothing that we have. */
export function representationFor(accept: string | undefined): Representation {
  if (accept === undefined || accept === MEDIA_TYPES.json) return 'json';
  if (accept === MEDIA_TYPES.cbor) return 'cbor';
  return best(accept, ['json', 'cbor']) ?? 'json';
}

/** The stream a caller asks for; `undefined` when its `Accept` names none, or likes a page as much. */
export function streamFor(accept: string | undefined): StreamRepresentation | undefined {
  if (accept === undefined) return undefined;
  const wanted = best(accept, ['json', 'cbor', 'cbor-seq', 'event-stream']);
  return wanted === 'cbor-seq' || wanted === 'event-stream' ? wanted : undefined;
}

/**
 * A body's value by its `Content-Type`.
 *
 * @throws ProblemError `unsupported-media-type` or `invalid-request`
 */
export function decodeBody(contentType: string | undefined, body: Uint8Array): unknown {
  const type = (contentType ?? '').split(';', 1)[0]!.trim().toLowerCase();
  try {
    if (type === MEDIA_TYPES.json) return JSON.parse(utf8.decode(body));
    if (type === MEDIA_TYPES.cbor) return decodeCbor(body);
  } catch (cause) {
    throw new ProblemError('invalid-request', `the body is not well-formed ${type}`, { cause });
  }
  throw new ProblemError('unsupported-media-type', `a body is ${MEDIA_TYPES.json} or ${MEDIA_TYPES.cbor}`);
}

/** A value of the protocol as bytes: byte strings as such in CBOR, base64url in JSON. */
export function encodeValue(value: unknown, representation: Representation): Uint8Array | string {
  return representation === 'cbor' ? encodeCbor(value) : JSON.stringify(toJsonValue(value));
}

/** RFC 9110 §12.5.1 over the few types we have; the earlier one wins a tie, a type without a mention has quality 0. */
function best<Name extends keyof typeof MEDIA_TYPES>(accept: string, offered: readonly Name[]): Name | undefined {
  const ranges = accept.split(',').map(parseRange);
  let winner: Name | undefined;
  let quality = 0;
  for (const name of offered) {
    const own = qualityOf(MEDIA_TYPES[name], ranges);
    if (own > quality) [winner, quality] = [name, own];
  }
  return winner;
}

interface MediaRange {
  readonly type: string;
  readonly quality: number;
}

function parseRange(text: string): MediaRange {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const stated = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
  const quality = stated === undefined ? 1 : Number(stated);
  return { type, quality: quality >= 0 && quality <= 1 ? quality : 0 };
}

/** The most specific range that matches says the quality. */
function qualityOf(type: string, ranges: readonly MediaRange[]): number {
  const wide = `${type.split('/', 1)[0]}/*`;
  for (const pattern of [type, wide, '*/*']) {
    const range = ranges.find((candidate) => candidate.type === pattern);
    if (range !== undefined) return range.quality;
  }
  return 0;
}
