import { toHex } from '../../wire/bytes.ts';

/** Hexadecimal text orders as the bytes do. */
export function toHexKey(bytes: Uint8Array): string {
  return toHex(bytes);
}

/** The bytes of {@link toHexKey}. */
export function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = Number.parseInt(text.slice(i * 2, i * 2 + 2), 16);
  return bytes;
}
