import { toBase64Url } from './bytes.ts';

/** A value of this protocol as JSON has it: byte strings become base64url. */
export function toJsonValue(value: unknown): unknown {
  if (value instanceof Uint8Array) return toBase64Url(value);
  if (Array.isArray(value)) return value.map(toJsonValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, toJsonValue(member)]));
}
