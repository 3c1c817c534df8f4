import type { ClientId } from '../../wire/ids.ts';
import type { FileNote } from '../chat-client.ts';
import { decodeMimi, encodeMimi } from '../content/mimi-content.ts';
import { safeFileName, sizeText } from './file-name.ts';
import { type EngineEnv, type Group, type Step, step } from './types.ts';

/** A file that stands encrypted on the server; what opens it travels inside the message alone. */
export interface Attachment {
  /** Safe, see {@link safeFileName}. */
  readonly name: string;
  readonly mediaType: string;
  /** Of the file itself, bytes. */
  readonly size: number;
  /** AES-256-GCM. */
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  /** SHA-256 of the encrypted bytes: their address on the server. */
  readonly hash: Uint8Array;
  /** When the server may have forgotten it, milliseconds since 1970. */
  readonly expires: number;
}

/** A file that is encrypted and stored here, and still to be uploaded. */
export interface Upload {
  readonly localId: ClientId;
  /** Local time of the command, milliseconds since 1970. */
  readonly time: number;
  readonly attachment: Attachment;
}

/** Numbers of the IANA registries: AEAD_AES_256_GCM, and sha-256 of the named information hashes. */
const AES_256_GCM = 2;
const SHA_256 = 1;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const HASH_BYTES = 32;
const SIZE_MAX = 2 ** 40;
const NAME_MAX_CHARACTERS = 1_000;
const MEDIA_TYPE = /^[a-z0-9][a-z0-9.+-]{0,60}\/[a-z0-9][a-z0-9.+-]{0,60}$/;
const UNKNOWN_TYPE = 'application/octet-stream';

/**
 * A message that is a file: the external part of the MIMI content format (draft-ietf-mimi-content),
 * `[contentType, url, expires, size, encAlg, key, nonce, aad, hashAlg, contentHash, description, filename]`.
 */
export function encodeAttachment(
  { name, mediaType, size, key, nonce, hash, expires }: Attachment,
  url: string,
  salt: Uint8Array,
): Uint8Array {
  const seconds = Math.floor(expires / 1000);
  const none = new Uint8Array(0);
  const part = [mediaType, url, seconds, size, AES_256_GCM, key, nonce, none, SHA_256, hash, '', name];
  return encodeMimi({ salt, external: part });
}

/**
 * `undefined` for anything else. Where the file is follows from its hash and its group: the `url` in it is never asked, or
 * whoever sends a message could make our members call any server.
 */
export function decodeAttachment(content: Uint8Array): Attachment | undefined {
  const part = decodeMimi(content)?.part;
  if (part?.kind !== 'external') return undefined;
  const [mediaType, _url, expires, size, encAlg, key, nonce, aad, hashAlg, hash, _description, name] = part.members;
  if (encAlg !== AES_256_GCM || hashAlg !== SHA_256 || !isBytes(aad, 0)) return undefined;
  if (!isBytes(key, KEY_BYTES) || !isBytes(nonce, NONCE_BYTES) || !isBytes(hash, HASH_BYTES)) return undefined;
  if (!isCount(size) || !isCount(expires)) return undefined;
  return {
    name: safeFileName(typeof name === 'string' ? name.slice(0, NAME_MAX_CHARACTERS) : ''),
    mediaType: typeof mediaType === 'string' && MEDIA_TYPE.test(mediaType) ? mediaType : UNKNOWN_TYPE,
    ...{ size, key, nonce, hash, expires: expires * 1000 },
  };
}

/** What a line shows of it: no key. */
export function fileNote({ name, mediaType, size, expires }: Attachment): FileNote {
  return { name, mediaType, size, expires };
}

/** The text of a line about it, for whoever knows no files. */
export function fileText({ name, size }: Pick<Attachment, 'name' | 'size'>): string {
  return `sent a file: ${name} (${sizeText(size)})`;
}

export function queueUpload(group: Group, upload: Upload): Step {
  return step({ ...group, uploads: [...(group.uploads ?? []), upload] });
}

export type UploadAnswer =
  /** `expires`: as the server says. */
  { readonly kind: 'stored'; readonly expires: number } | { readonly kind: 'refused'; readonly reason: string };

/** The server has the file: now the message that names it waits like any other. Or it never will have it. */
export function uploadAnswered(
  env: EngineEnv,
  group: Group,
  localId: ClientId,
  answer: UploadAnswer,
  ordinal: number,
): Step {
  const { uploads = [], ...rest } = group;
  const upload = uploads.find((each) => each.localId === localId);
  if (upload === undefined) return step(group);
  const others = uploads.filter((each) => each !== upload);
  const left: Group = others.length === 0 ? rest : { ...rest, uploads: others };
  const { time } = upload;
  if (answer.kind === 'refused') {
    const text = `Not sent (${answer.reason}): ${upload.attachment.name}`;
    return step(left, {
      lines: [{ kind: 'warning', time: env.now(), text }],
      signals: [{ kind: 'sent', localId, refused: answer.reason }],
    });
  }
  const attachment = { ...upload.attachment, expires: answer.expires };
  const text = fileText(attachment);
  const item = { localId, ordinal, text, time, attachment, accepted: false, stale: false };
  return step({ ...left, outbox: [...left.outbox, item] });
}

function isBytes(value: unknown, length: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length === length;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= SIZE_MAX;
}
