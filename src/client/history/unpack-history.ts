import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { nodeSha256 } from '../../mls/suite-node.ts';
import { decodeCborShared } from '../../wire/cbor.ts';
import { splitCborSequence } from '../../wire/cbor-sequence.ts';
import { decodeGroupedCode } from '../../wire/grouped-code.ts';
import { type GroupId, groupIdOf } from '../../wire/ids.ts';
import type { ChatClient, PortableMessage } from '../chat-client.ts';
import { type HistoryItem, itemOf } from './history-items.ts';
import { HistoryFileError, openChunks, SECRET_BYTES } from './sealed-chunks.ts';

/** Messages that go into the store at once. */
const BATCH_MESSAGES = 250;
/** Of one item: more than any message has. */
const ITEM_MAX_BYTES = 16 * 1024 * 1024;

export type UnpackedHistory =
  | {
      readonly kind: 'done';
      readonly messages: number;
      /** How many of them were new here. */
      readonly added: number;
      /** Names of groups in the file that this device is not in: nothing of them was taken. */
      readonly unknown: readonly string[];
    }
  /** Nothing was changed. */
  | { readonly kind: 'refused'; readonly reason: string };

type Client = Pick<ChatClient, 'groups' | 'takeOver' | 'checkHistory'>;

/**
 * Takes over what another device of the account has packed: the messages from before this device's own first entry of each
 * group. The file is read twice, first to see that it is whole, unchanged and of a device of this account; only then is anything
 * changed. Again, or after an interruption, it adds what is missing. Memory does not grow with the file.
 *
 * @throws what opening or reading the file throws; what the client throws
 */
export async function unpackHistory(client: Client, path: string, typed: string): Promise<UnpackedHistory> {
  const secret = decodeGroupedCode(typed, nodeSha256);
  if (secret?.length !== SECRET_BYTES) return refused('this is no code of a packed history, or it has a slip in it');
  const file = await open(path, 'r');
  try {
    const groups = new Set((await client.groups()).map(({ group }) => group));
    await check(client, file, secret);
    return await take(client, file, secret, groups);
  } catch (error) {
    if (error instanceof HistoryFileError) return refused(error.message);
    throw error;
  } finally {
    await file.close();
  }
}

/** @throws HistoryFileError */
async function check(client: Client, file: FileHandle, secret: Uint8Array): Promise<void> {
  const hash = createHash('sha256');
  let messages = 0;
  let isInGroup = false;
  let end: (HistoryItem & { readonly kind: 'end' }) | undefined;
  for await (const { item, bytes } of itemsOf(file, secret)) {
    if (end !== undefined) throw new HistoryFileError('something stands behind its end');
    if (item.kind === 'end') {
      end = item;
      continue;
    }
    if (item.kind === 'message' && !isInGroup) throw new HistoryFileError('a message in it is of no group');
    if (item.kind === 'message') messages += 1;
    isInGroup = true;
    hash.update(bytes);
  }
  if (end === undefined || end.messages !== messages) throw new HistoryFileError('its end is missing');
  const checked = await client.checkHistory(end.signed, new Uint8Array(hash.digest()));
  if (checked.kind === 'refused') throw new HistoryFileError(checked.reason);
}

async function take(
  client: Client,
  file: FileHandle,
  secret: Uint8Array,
  known: ReadonlySet<GroupId>,
): Promise<UnpackedHistory> {
  const unknown: string[] = [];
  let group: GroupId | undefined;
  let waiting: PortableMessage[] = [];
  let messages = 0;
  let added = 0;
  const flush = async (): Promise<void> => {
    if (group !== undefined && waiting.length > 0) added += (await client.takeOver(group, waiting)).added;
    waiting = [];
  };
  for await (const { item } of itemsOf(file, secret)) {
    if (item.kind === 'message') {
      messages += 1;
      if (group !== undefined) waiting.push(item.message);
      if (waiting.length >= BATCH_MESSAGES) await flush();
      continue;
    }
    await flush();
    if (item.kind === 'end') break;
    const id = groupIdOf(item.group);
    group = known.has(id) ? id : undefined;
    if (group === undefined) unknown.push(item.name);
  }
  return { kind: 'done', messages, added, unknown };
}

/** From the beginning of the file. `bytes` as they stand in it, good until the next one is asked for. */
async function* itemsOf(
  file: FileHandle,
  secret: Uint8Array,
): AsyncGenerator<{ readonly item: HistoryItem; readonly bytes: Uint8Array }, void, undefined> {
  let at = 0;
  const read = async (length: number): Promise<Uint8Array> => {
    const buffer = Buffer.alloc(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await file.read(buffer, filled, length - filled, at);
      if (bytesRead === 0) break;
      filled += bytesRead;
      at += bytesRead;
    }
    return new Uint8Array(buffer.buffer, buffer.byteOffset, filled);
  };
  try {
    for await (const bytes of splitCborSequence(openChunks(secret, read), ITEM_MAX_BYTES)) {
      yield { item: itemOf(decodeCborShared(bytes)), bytes };
    }
  } catch (error) {
    if (error instanceof SyntaxError) throw new HistoryFileError('something in it cannot be read');
    throw error;
  }
}

function refused(reason: string): UnpackedHistory {
  return { kind: 'refused', reason };
}
