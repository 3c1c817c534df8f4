import type { Suite } from '../../mls/suite.ts';
import { concatBytes, toUtf8 } from '../../wire/bytes.ts';
import { cursorFromBlock } from '../../wire/cursor.ts';
import { deviceIdOf, type GroupId, type Sha256 } from '../../wire/ids.ts';
import type { ChatClient, HistoryLine, PortableMessage } from '../chat-client.ts';
import { chainOf } from '../engine/account-check.ts';
import type { Directory } from '../engine/directory.ts';
import type { Group } from '../engine/types.ts';
import { attachmentWrite, readAttachment } from '../store/attachment-rows.ts';
import type { ClientStore, Write } from '../store/client-store.ts';
import { readFirst, readHistory } from '../store/history-rows.ts';
import { keys } from '../store/keys.ts';
import { awaitedWrite, type MessageLine, olderMessageWrite } from '../store/message-rows.ts';
import { type OlderLine, olderPositions, olderWrites } from '../store/older-rows.ts';
import { type AwaitedChange, readAwaited, withChange } from './awaited-changes.ts';
import type { ChatState } from './chat-state.ts';
import type { StoredIdentity } from './identity.ts';
import { replaced } from './new-lines.ts';
import { createRewrittenLines, withoutText } from './rewritten-lines.ts';
import { groupIn } from './send-command.ts';
import type { Serial } from './serial.ts';

const SIGNATURE_CONTEXT = toUtf8('mlschat history v1\0');
/** Lines that may stand before the first one with a position: warnings, say. */
const FIRST_LINES = 200;

type PortableHistory = Pick<ChatClient, 'portableHistory' | 'takeOver' | 'signHistory' | 'checkHistory'>;

/**
 * What one device of an account gives to another one of its history, and what that one does with it. Of messages alone: what
 * they say and the keys of their files, never anything that opens a group.
 */
export function createPortableHistory(world: {
  readonly store: ClientStore;
  readonly state: ChatState;
  readonly serial: Serial;
  readonly directory: Directory;
  readonly identity: StoredIdentity;
  readonly suite: Suite;
  readonly sha256: Sha256;
}): PortableHistory {
  const { store, state, serial, directory, identity, suite, sha256 } = world;
  const groupOf = (id: GroupId): Group => groupIn(state.groups.get(id));

  return {
    portableHistory: async (id, { after, until, limit }) => {
      const { bytes } = groupOf(id);
      const lines = await readHistory(store, after, { group: bytes, limit });
      const messages: PortableMessage[] = [];
      for (const line of lines) {
        if (line.kind !== 'message' || line.position === undefined || line.position > until) continue;
        messages.push(await portable(store, bytes, { ...line, position: line.position }));
      }
      const next = lines.length < limit ? undefined : lines.at(-1)?.cursor;
      return { messages, ...(next === undefined ? {} : { next }) };
    },

    takeOver: (id, messages) =>
      serial.run(async () => {
        const group = groupOf(id);
        const batch = state.begin();
        const taken = createTakingOver(store, group, sha256);
        const first = (await readFirst(store, group.bytes, FIRST_LINES)).find(({ position }) => position !== undefined);
        const end = first?.position ?? group.position + 1;
        const known = await olderPositions(
          store,
          group.bytes,
          messages.map(({ position }) => position),
        );
        for (const message of messages) {
          if (message.position < end && !known.has(message.position)) await taken.add(message);
        }
        batch.write(...taken.writes());
        await batch.commit();
        return { added: taken.count };
      }),

    signHistory: async (digest) => {
      const { account, device, deviceKey } = identity;
      const signature = await suite.signature.sign(deviceKey.signKey, concatBytes(SIGNATURE_CONTEXT, digest));
      return { account, device, signature };
    },

    checkHistory: async ({ account, device, signature }, digest) => {
      if (account !== identity.account) return { kind: 'refused', reason: 'it is the history of another account' };
      const devices = chainOf(directory.get(account)?.statements ?? [], sha256)?.devices ?? [];
      const by = devices.find(({ id }) => id === device);
      const isSigned =
        by !== undefined &&
        deviceIdOf(by.key, sha256) === device &&
        (await suite.signature.verify(by.key, concatBytes(SIGNATURE_CONTEXT, digest), signature));
      return isSigned ? { kind: 'done' } : { kind: 'refused', reason: 'it was made by no device of yours' };
    },
  };
}

async function portable(
  store: ClientStore,
  group: Uint8Array,
  line: MessageLine & { readonly position: number },
): Promise<PortableMessage> {
  const { kind: _kind, group: _group, groupName: _name, cursor: _cursor, quote: _quote, ...message } = line;
  const attachment = line.file === undefined ? undefined : await readAttachment(store, group, line.position);
  if (attachment === undefined) return message;
  const { key, nonce, hash } = attachment;
  return { ...message, fileKey: { key, nonce, hash } };
}

/** Collects the rows of messages that are taken over, as what is known here leaves them. */
function createTakingOver(store: ClientStore, { id, bytes, name }: Group, sha256: Sha256) {
  const lines = new Map<number, OlderLine>();
  const byMessageId = new Map<string, number>();
  const rewritten = createRewrittenLines(store);
  /** By the id of a message that is not here: what is kept of its changes. */
  const awaited = new Map<string, readonly AwaitedChange[]>();
  const fileKeys: Write[] = [];

  /** What this device has read of the message already: that it was changed, or taken back. */
  const changedSince = async (line: OlderLine): Promise<OlderLine> => {
    if (line.messageId === undefined) return line;
    let now: MessageLine = line;
    for (const { line: change } of await readAwaited(store, bytes, line.messageId)) {
      now = replaced(now, change).target ?? now;
    }
    return { ...now, position: line.position, cursor: line.cursor };
  };

  /** What tells of a change says what the message said only while no later one came. */
  const takeMarker = (line: OlderLine, marker: HistoryLine): void => {
    if (marker.kind === 'message' && marker.text === '') lines.set(line.position, { ...line, text: '' });
  };

  /** The line of this id told of an earlier change: what the message said then goes. */
  const forget = async (change: OlderLine, messageId: string): Promise<void> => {
    if (messageId === change.messageId) return; // the packed message has it already
    const position = byMessageId.get(messageId);
    const inBatch = position === undefined ? undefined : lines.get(position);
    if (inBatch !== undefined && position !== undefined) {
      lines.set(position, withoutText(inBatch, change));
      return;
    }
    await rewritten.forget(change, bytes, messageId);
  };

  /** The message that this one changes, if it is here, is changed; else that is remembered. */
  const change = async (line: OlderLine, target: string): Promise<void> => {
    const position = byMessageId.get(target);
    const inBatch = position === undefined ? undefined : lines.get(position);
    if (inBatch !== undefined && position !== undefined) {
      const { target: now, marker } = replaced(inBatch, line);
      if (now !== undefined) lines.set(position, { ...now, position, cursor: inBatch.cursor });
      takeMarker(line, marker);
      if (now !== undefined && inBatch.changedBy !== undefined) await forget(line, inBatch.changedBy);
      return;
    }
    const found = await rewritten.find(bytes, target);
    if (found === undefined) {
      const before = awaited.get(target) ?? (await readAwaited(store, bytes, target));
      const { kept, outdated, line: said } = withChange(before, { place: { older: line.position }, line });
      lines.set(line.position, { ...line, ...said });
      for (const { line: earlier } of outdated) {
        if (earlier.messageId !== undefined) await forget(line, earlier.messageId);
      }
      awaited.set(target, kept);
      return;
    }
    const { target: now, marker } = replaced(found.line, line);
    takeMarker(line, marker);
    if (now === undefined) return;
    rewritten.set(bytes, { ...found, line: now });
    if (found.line.changedBy !== undefined) await forget(line, found.line.changedBy);
    if (now.deleted === true && found.line.file !== undefined && found.line.position !== undefined) {
      fileKeys.push({ key: keys.attachment(bytes, found.line.position), value: undefined });
    }
  };

  return {
    get count() {
      return lines.size;
    },
    add: async ({ fileKey, ...message }: PortableMessage): Promise<void> => {
      const cursor = cursorFromBlock(sha256(toUtf8(`older ${id} ${message.position}`)));
      const place = { cursor, group: id, groupName: name } satisfies Partial<HistoryLine>;
      const line = await changedSince({ ...message, ...place, kind: 'message' });
      lines.set(line.position, line);
      if (line.messageId !== undefined) byMessageId.set(line.messageId, line.position);
      if (line.file !== undefined && fileKey !== undefined) {
        fileKeys.push(attachmentWrite(bytes, line.position, { ...line.file, ...fileKey }));
      }
      if (line.replaces !== undefined) await change(line, line.replaces);
    },
    writes: (): readonly Write[] => [
      ...[...lines.values()].flatMap((line) => olderWrites(line, bytes)),
      ...[...byMessageId].map(([messageId, position]) => olderMessageWrite(bytes, messageId, position)),
      ...rewritten.writes(),
      ...[...awaited].map(([messageId, changes]) =>
        awaitedWrite(
          bytes,
          messageId,
          changes.map(({ place }) => place),
        ),
      ),
      ...fileKeys,
    ],
  };
}
