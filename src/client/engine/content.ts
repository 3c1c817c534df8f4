import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';

/** What is inside an application message. Deterministic CBOR; a later version is shown as something unreadable. */
export interface TextContent {
  readonly v: 1;
  readonly type: 'text';
  readonly text: string;
}

export function encodeText(text: string): Uint8Array {
  return encodeCbor({ v: 1, type: 'text', text } satisfies TextContent);
}

/** `undefined` for content of a kind that this version cannot show. */
export function decodeText(bytes: Uint8Array): string | undefined {
  const value = decodeMap(bytes);
  const { v, type, text } = value ?? {};
  return v === 1 && type === 'text' && typeof text === 'string' ? text : undefined;
}

function decodeMap(bytes: Uint8Array): Record<string, unknown> | undefined {
  let value: unknown;
  try {
    value = decodeCbor(bytes);
  } catch {
    return undefined; // other clients may put anything there
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
    ? (value as Record<string, unknown>)
    : undefined;
}
