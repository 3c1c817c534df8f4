/** Bytes are `Uint8Array` everywhere; these are the few operations on them that both ends share. */

const ALPHABET_URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const ALPHABET_STD = `${ALPHABET_URL.slice(0, 62)}+/`;
const HEX = '0123456789abcdef';
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** Joins byte strings into a new one. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Compares public values; not constant-time, so never for secrets. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  const done = a.length < LONG_BYTES ? 0 : equalWords(a, b);
  if (done < 0) return false;
  for (let i = done; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/** From here on it pays to copy what does not lie on a word, and to compare four bytes at once: trees of large groups have half a megabyte. */
const LONG_BYTES = 1024;
const WORD_BYTES = 4;

/** How many bytes from the beginning are known to be equal: all whole words, or −1. */
function equalWords(a: Uint8Array, b: Uint8Array): number {
  const count = Math.floor(a.length / WORD_BYTES);
  const [left, right] = [wordsOf(a, count), wordsOf(b, count)];
  for (let i = 0; i < count; i += 1) if (left[i] !== right[i]) return -1;
  return count * WORD_BYTES;
}

function wordsOf(bytes: Uint8Array, count: number): Uint32Array {
  // a copy by the constructor begins at nothing; a Buffer's slice would not be one
  const { buffer, byteOffset } = bytes.byteOffset % WORD_BYTES === 0 ? bytes : new Uint8Array(bytes);
  return new Uint32Array(buffer, byteOffset, count);
}

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte >> 4]! + HEX[byte & 15]!;
  return text;
}

/** base64url without padding (RFC 4648 §5). */
export function toBase64Url(bytes: Uint8Array): string {
  return encodeBase64(bytes, ALPHABET_URL, '');
}

/** base64 with padding (RFC 4648 §4), as HTTP's byte sequences have it (RFC 8941 §3.3.5). */
export function toBase64(bytes: Uint8Array): string {
  return encodeBase64(bytes, ALPHABET_STD, '=');
}

/** Decodes base64url without padding; `undefined` for anything else, non-zero trailing bits included. */
export function fromBase64Url(text: string): Uint8Array | undefined {
  return decodeBase64(text, ALPHABET_URL);
}

/** Decodes padded base64; `undefined` for anything else. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const bare = text.endsWith('==') ? text.slice(0, -2) : text.endsWith('=') ? text.slice(0, -1) : text;
  if ((4 - (bare.length % 4)) % 4 !== text.length - bare.length) return undefined;
  return decodeBase64(bare, ALPHABET_STD);
}

/** Lower-case base32 without padding (RFC 4648 §6). */
export function toBase32(bytes: Uint8Array): string {
  let text = '';
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32[(buffer >> bits) & 31]!;
    }
    buffer &= (1 << bits) - 1;
  }
  if (bits > 0) text += BASE32[(buffer << (5 - bits)) & 31]!;
  return text;
}

/** `undefined` for other characters, and for an ending that {@link toBase32} never writes. */
export function fromBase32(text: string): Uint8Array | undefined {
  const bytes: number[] = [];
  let buffer = 0;
  let bits = 0;
  for (const character of text) {
    const value = BASE32.indexOf(character);
    if (value < 0) return undefined;
    buffer = (buffer << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((buffer >> bits) & 255);
    }
    buffer &= (1 << bits) - 1;
  }
  return bits < 5 && buffer === 0 ? Uint8Array.from(bytes) : undefined;
}

/** Up to this, ids and names say, a call of the encoder costs several times what it does. */
const SHORT_TEXT_CHARACTERS = 64;
const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder('utf-8', { fatal: true });

export function toUtf8(text: string): Uint8Array {
  const { length } = text;
  if (length > SHORT_TEXT_CHARACTERS) return utf8Encoder.encode(text);
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return utf8Encoder.encode(text);
    bytes[i] = code;
  }
  return bytes;
}

/** Strict: `undefined` when the bytes are not UTF-8. */
export function fromUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8Decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function encodeBase64(bytes: Uint8Array, alphabet: string, padding: string): string {
  let text = '';
  let i = 0;
  for (; i + 2 < bytes.length; i += 3) {
    const triple = (bytes[i]! << 16) | (bytes[i + 1]! << 8) | bytes[i + 2]!;
    text +=
      alphabet[triple >> 18]! + alphabet[(triple >> 12) & 63]! + alphabet[(triple >> 6) & 63]! + alphabet[triple & 63]!;
  }
  const rest = bytes.length - i;
  if (rest === 1) {
    const value = bytes[i]!;
    text += alphabet[value >> 2]! + alphabet[(value << 4) & 63]! + padding + padding;
  } else if (rest === 2) {
    const value = (bytes[i]! << 8) | bytes[i + 1]!;
    text += alphabet[value >> 10]! + alphabet[(value >> 4) & 63]! + alphabet[(value << 2) & 63]! + padding;
  }
  return text;
}

function decodeTable(alphabet: string): Int8Array {
  const table = new Int8Array(128).fill(-1);
  for (let i = 0; i < alphabet.length; i += 1) table[alphabet.charCodeAt(i)] = i;
  return table;
}

const TABLES: Record<string, Int8Array> = {
  [ALPHABET_URL]: decodeTable(ALPHABET_URL),
  [ALPHABET_STD]: decodeTable(ALPHABET_STD),
};

function decodeBase64(text: string, alphabet: string): Uint8Array | undefined {
  if (text.length % 4 === 1) return undefined;
  const table = TABLES[alphabet]!;
  const bytes = new Uint8Array((text.length * 3) >> 2);
  let buffer = 0;
  let bits = 0;
  let offset = 0;
  for (let i = 0; i < text.length; i += 1) {
    const value = table[text.charCodeAt(i)] ?? -1;
    if (value < 0) return undefined;
    buffer = (buffer << 6) | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[offset] = (buffer >> bits) & 255;
      offset += 1;
      buffer &= (1 << bits) - 1;
    }
  }
  return buffer === 0 ? bytes : undefined;
}
