import { readContent, type Shown } from '../../src/client/content/content.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';
import type { GroupEntry } from '../../src/wire/entry.ts';
import type { AccountId, DeviceId, GroupId } from '../../src/wire/ids.ts';
import { DOMAIN } from './node-api.ts';

/** What every message says, as its sender stored it before it left. */
export interface Sayings {
  /** A row of somebody's outbox. @returns what it says and where, the first time */
  wrote(
    sender: { readonly account: AccountId; readonly device: DeviceId },
    key: Uint8Array,
    row: Uint8Array,
  ): { readonly group: GroupId; readonly shown: Shown } | undefined;
  /** What the message of this id says; `undefined`: nobody stored one. */
  of(device: DeviceId, id: string): Shown | undefined;
  /** Whether it is a message that nobody is shown: a receipt. */
  isSilent(entry: GroupEntry): boolean;
}

export function createSayings(): Sayings {
  const said = new Map<string, Shown>();
  return {
    wrote({ account, device }, key, row) {
      const { localId, content } = decodeCbor(row) as { readonly localId: string; readonly content?: Uint8Array };
      const id = `${device} ${localId}`;
      if (content === undefined || said.has(id)) return undefined;
      const group = toBase64Url(key.subarray(2, 2 + key[1]!)) as GroupId;
      const place = { senderUri: `mimi://${DOMAIN}/u/${account}`, roomUri: `mimi://${DOMAIN}/r/${group}` };
      const shown = readContent(content, place, nodeSha256);
      if (shown === undefined) return undefined;
      said.set(id, shown);
      return { group, shown };
    },
    of: (device, id) => said.get(`${device} ${id}`),
    isSilent: ({ kind, sender, id }) => kind === 'message' && said.get(`${sender} ${id}`)?.statuses !== undefined,
  };
}
