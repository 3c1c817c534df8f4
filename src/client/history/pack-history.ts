import { createHash, randomBytes } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { nodeSha256 } from '../../mls/suite-node.ts';
import { fromBase64Url } from '../../wire/bytes.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import { encodeGroupedCode } from '../../wire/grouped-code.ts';
import { type Cursor, START_CURSOR } from '../../wire/ids.ts';
import type { ChatClient } from '../chat-client.ts';
import { type HistoryItem, itemValue } from './history-items.ts';
import { SECRET_BYTES, sealChunks } from './sealed-chunks.ts';

/** Lines read from the store at once. */
const PAGE_LINES = 500;
const FILE_MODE = 0o600;

export interface PackedHistory {
  /** What opens the file, and stands nowhere else: eight groups of four characters. */
  readonly code: string;
  readonly messages: number;
  readonly groups: number;
}

/**
 * Writes the messages of all groups into a new file, sealed under a code that is made for it, for another device of the
 * account. Memory does not grow with the history. A file that could not be written whole is removed.
 *
 * @throws what making or writing the file throws, `EEXIST` when it is there; what the client throws
 */
export async function packHistory(
  client: Pick<ChatClient, 'groups' | 'portableHistory' | 'signHistory'>,
  path: string,
): Promise<PackedHistory> {
  const secret = new Uint8Array(randomBytes(SECRET_BYTES));
  const counts = { messages: 0, groups: 0 };
  const file = await open(path, 'wx', FILE_MODE);
  try {
    for await (const bytes of sealChunks(secret, plainBytes(client, counts))) await file.writeFile(bytes);
    await file.sync();
  } catch (error) {
    await file.close();
    await rm(path, { force: true });
    throw error;
  }
  await file.close();
  return { code: encodeGroupedCode(secret, nodeSha256), ...counts };
}

async function* plainBytes(
  client: Pick<ChatClient, 'groups' | 'portableHistory' | 'signHistory'>,
  counts: { messages: number; groups: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash('sha256');
  const encoded = (item: HistoryItem): Uint8Array => {
    const bytes = encodeCbor(itemValue(item));
    hash.update(bytes);
    return bytes;
  };
  for (const { group, name, position } of await client.groups()) {
    counts.groups += 1;
    yield encoded({ kind: 'group', group: fromBase64Url(group) ?? new Uint8Array(0), name });
    for (let after: Cursor | undefined = START_CURSOR; after !== undefined; ) {
      const page: Awaited<ReturnType<ChatClient['portableHistory']>> = await client.portableHistory(group, {
        ...{ after, until: position, limit: PAGE_LINES },
      });
      counts.messages += page.messages.length;
      for (const message of page.messages) yield encoded({ kind: 'message', message });
      after = page.next;
    }
  }
  const signed = await client.signHistory(new Uint8Array(hash.digest()));
  yield encodeCbor(itemValue({ kind: 'end', messages: counts.messages, signed }));
}
