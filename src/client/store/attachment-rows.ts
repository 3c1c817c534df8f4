import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import type { Attachment } from '../engine/attachment.ts';
import type { ClientStore, Write } from './client-store.ts';
import { keys } from './keys.ts';

/** What opens the file that the entry at this position brought; its line does not have it. */
export function attachmentWrite(group: Uint8Array, position: number, attachment: Attachment): Write {
  return { key: keys.attachment(group, position), value: encodeCbor(attachment) };
}

export async function readAttachment(
  store: ClientStore,
  group: Uint8Array,
  position: number,
): Promise<Attachment | undefined> {
  const value = await store.get(keys.attachment(group, position));
  return value === undefined ? undefined : (decodeCbor(value) as Attachment);
}
