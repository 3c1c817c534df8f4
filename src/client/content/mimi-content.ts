import { decodeCbor, decodeCborMaps, encodeCbor } from '../../wire/cbor.ts';

/** A message of draft-ietf-mimi-content-08 (§4): what it does to others, and what is in it. */
export interface MimiContent {
  /** Random, {@link SALT_BYTES} long: makes the message id what nobody can guess. */
  readonly salt: Uint8Array;
  readonly replaces?: Uint8Array;
  readonly inReplyTo?: Uint8Array;
  readonly extensions: ReadonlyMap<unknown, unknown>;
  readonly part: NestedPart;
}

export type NestedPart =
  | { readonly kind: 'null' }
  | { readonly kind: 'single'; readonly contentType: string; readonly content: Uint8Array }
  /** `[contentType, url, expires, size, encAlg, key, nonce, aad, hashAlg, contentHash, description, filename]`, unchecked. */
  | { readonly kind: 'external'; readonly members: readonly unknown[] }
  | { readonly kind: 'multi'; readonly semantics: PartSemantics; readonly parts: readonly NestedPart[] };

type PartSemantics = 'chooseOne' | 'singleUnit' | 'processAll';

export const SALT_BYTES = 16;
export const MESSAGE_ID_BYTES = 32;
/** The draft's bounds for what is discarded as malicious (§8.1). */
const DEPTH_MAX = 4;
const PARTS_MAX = 1024;
const TOPIC_ID_MAX_BYTES = 4096;

const DISPOSITION_RENDER = 1;
const DISPOSITION_ATTACHMENT = 6;
const CARDINALITY = { null: 0, single: 1, external: 2, multi: 3 } as const;
const SEMANTICS: readonly PartSemantics[] = ['chooseOne', 'singleUnit', 'processAll'];
const MIMI_MEMBERS = 7;
const EXTERNAL_MEMBERS = 15;

/** Deterministic CBOR of a message with at most one part. `extensions`: keys for private use, so they are text. */
export function encodeMimi(message: {
  readonly salt: Uint8Array;
  readonly replaces?: Uint8Array | undefined;
  readonly inReplyTo?: Uint8Array | undefined;
  readonly extensions?: Readonly<Record<string, unknown>>;
  readonly part?: { readonly contentType: string; readonly content: Uint8Array } | undefined;
  /** The members of an external part, instead of `part`. */
  readonly external?: readonly unknown[];
}): Uint8Array {
  const { salt, replaces = null, inReplyTo = null, extensions = {}, part, external } = message;
  const body = part === undefined ? [CARDINALITY.null] : [CARDINALITY.single, part.contentType, part.content];
  const nested =
    external === undefined
      ? [DISPOSITION_RENDER, '', ...body]
      : [DISPOSITION_ATTACHMENT, '', CARDINALITY.external, ...external];
  return encodeCbor([salt, replaces, new Uint8Array(0), null, inReplyTo, extensions, nested]);
}

/** `undefined` for anything that is no such message, or one that the draft calls nonsensical. */
export function decodeMimi(bytes: Uint8Array): MimiContent | undefined {
  const value = decoded(bytes);
  if (!Array.isArray(value) || value.length !== MIMI_MEMBERS) return undefined;
  const [salt, replaces, topicId, expires, inReplyTo, extensions, nested] = value as readonly unknown[];
  if (!isBytes(salt, SALT_BYTES) || !(topicId instanceof Uint8Array) || topicId.length > TOPIC_ID_MAX_BYTES) {
    return undefined;
  }
  if (replaces !== null && !isBytes(replaces, MESSAGE_ID_BYTES)) return undefined;
  if (inReplyTo !== null && !isBytes(inReplyTo, MESSAGE_ID_BYTES)) return undefined;
  if (expires !== null && !Array.isArray(expires)) return undefined;
  const named = entriesOf(extensions);
  const part = readPart(nested, 0, { left: PARTS_MAX });
  if (named === undefined || part === undefined) return undefined;
  return {
    ...{ salt, extensions: named, part },
    ...(replaces === null ? {} : { replaces }),
    ...(inReplyTo === null ? {} : { inReplyTo }),
  };
}

function readPart(value: unknown, depth: number, count: { left: number }): NestedPart | undefined {
  count.left -= 1;
  if (!Array.isArray(value) || depth >= DEPTH_MAX || count.left < 0) return undefined;
  const [disposition, language, cardinality, ...rest] = value as readonly unknown[];
  if (typeof disposition !== 'number' || typeof language !== 'string') return undefined;
  switch (cardinality) {
    case CARDINALITY.null:
      return rest.length === 0 ? { kind: 'null' } : undefined;
    case CARDINALITY.single: {
      const [contentType, content] = rest;
      const isSingle = rest.length === 2 && typeof contentType === 'string' && content instanceof Uint8Array;
      return isSingle ? { kind: 'single', contentType, content } : undefined;
    }
    case CARDINALITY.external:
      return value.length === EXTERNAL_MEMBERS ? { kind: 'external', members: rest } : undefined;
    case CARDINALITY.multi: {
      const [order, nested] = rest;
      const semantics = typeof order === 'number' ? SEMANTICS[order] : undefined;
      if (semantics === undefined || !Array.isArray(nested) || nested.length < 2) return undefined;
      const parts: NestedPart[] = [];
      for (const each of nested) {
        const part = readPart(each, depth + 1, count);
        if (part === undefined) return undefined;
        parts.push(part);
      }
      return { kind: 'multi', semantics, parts };
    }
    default:
      return undefined;
  }
}

function decoded(bytes: Uint8Array): unknown {
  for (const decode of [decodeCbor, decodeCborMaps]) {
    try {
      return decode(bytes);
    } catch {
      // extensions may be numbered; then the slow way reads them, or it is no CBOR at all
    }
  }
  return undefined;
}

function entriesOf(value: unknown): ReadonlyMap<unknown, unknown> | undefined {
  if (value instanceof Map) return value;
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
  return isMap ? new Map(Object.entries(value)) : undefined;
}

function isBytes(value: unknown, length: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length === length;
}
