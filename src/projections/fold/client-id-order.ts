/**
 * Client ids that were made later are greater (`newClientId`), when compared by the values of their base64url
 * characters rather than by their character codes. The table of seen ids is kept in that order.
 */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const NONE = 0xff;
const VALUE = new Uint8Array(128).fill(NONE);
for (let i = 0; i < ALPHABET.length; i += 1) VALUE[ALPHABET.charCodeAt(i)] = i;

/** Negative when `a` comes first; a prefix comes before what it begins. */
export function compareClientIds(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return VALUE[x]! - VALUE[y]!;
  }
  return a.length - b.length;
}

/** Bytes that sort as {@link compareClientIds} does: one byte a character, never 0. */
export function clientIdKeyBytes(id: string, target: Uint8Array, offset: number): void {
  for (let i = 0; i < id.length; i += 1) target[offset + i] = VALUE[id.charCodeAt(i)]! + 1;
}

/** The id that {@link clientIdKeyBytes} wrote. */
export function clientIdOfKeyBytes(bytes: Uint8Array): string {
  let id = '';
  for (const byte of bytes) id += ALPHABET[byte - 1] ?? '';
  return id;
}

const ID_MIN_CHARACTERS = 16;
const ID_MAX_CHARACTERS = 64;

/** `isClientId` of wire/ids.ts, for the path where a regular expression a message is felt. */
export function isClientIdText(id: string): boolean {
  if (id.length < ID_MIN_CHARACTERS || id.length > ID_MAX_CHARACTERS) return false;
  for (let i = 0; i < id.length; i += 1) if ((VALUE[id.charCodeAt(i)] ?? NONE) === NONE) return false;
  return true;
}
