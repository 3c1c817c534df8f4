import { type ClientId, type GroupId, newClientId } from '../../wire/ids.ts';
import type { HistoryLine, SendAs } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import { encodeContent, isMessageId } from '../content/content.ts';
import { SALT_BYTES } from '../content/mimi-content.ts';
import { fileNote, fileText } from '../engine/attachment.ts';
import { messageLine, shownOf, TOPIC_MAX_CHARACTERS } from '../engine/content.ts';
import { queueText, sealTexts } from '../engine/outbox.ts';
import type { EngineEnv, Group } from '../engine/types.ts';
import type { ClientStore } from '../store/client-store.ts';
import { findMessage } from '../store/message-rows.ts';
import type { ChatState } from './chat-state.ts';
import { notAMember } from './group-views.ts';
import type { Serial } from './serial.ts';
import type { SyncLoop } from './sync-loop.ts';

/** The longest text of one message, in characters; far below what the server takes. */
export const TEXT_MAX_CHARACTERS = 64 * 1024;

interface TypedText {
  readonly localId: ClientId;
  readonly text: string;
  readonly content: Uint8Array;
}

/** Texts of one group that go into the next transaction. */
interface Typed {
  readonly texts: TypedText[];
  readonly stored: Promise<void>;
}

/**
 * Stores a text to be sent, already encrypted where that will hold. Texts that were typed while the one before was
 * being stored go into one transaction.
 */
export function createSendCommand(world: {
  readonly env: EngineEnv;
  readonly store: ClientStore;
  readonly state: ChatState;
  readonly serial: Serial;
  readonly sync: Pick<SyncLoop, 'isUpToDate'>;
}): (id: GroupId, text: string, how?: SendAs) => Promise<{ readonly id: string }> {
  const { env, store, state, serial, sync } = world;
  const typed = new Map<GroupId, Typed>();

  const storeTyped = async (id: GroupId, texts: Typed['texts']): Promise<void> => {
    const batch = state.begin();
    // it may have ended for this device while the texts waited for their turn: then nothing would ever send them, or say so
    checkMember(groupIn(batch.group(id)));
    for (const { localId, text, content } of texts) {
      const ordinal = state.nextOutboxOrdinal();
      batch.take(queueText(groupIn(batch.group(id)), { localId, ordinal, text, content, time: env.now() }));
    }
    // behind or offline, the epoch would be over before it leaves: then it is encrypted when its turn comes
    if (sync.isUpToDate(id)) batch.take(await sealTexts(env, groupIn(batch.group(id)), { reseal: false }));
    await batch.commit();
  };
  /** Settles with the transaction that the text is in: when that fails, each of its texts has to hear it. */
  const stored = (id: GroupId, text: TypedText): Promise<void> => {
    const waiting = typed.get(id);
    if (waiting !== undefined) {
      waiting.texts.push(text);
      return waiting.stored;
    }
    const texts = [text];
    const close = (): void => {
      if (typed.get(id)?.texts === texts) typed.delete(id);
    };
    const storing = serial.run(() => {
      close();
      return storeTyped(id, texts);
    });
    typed.set(id, { texts, stored: storing.finally(close) });
    return typed.get(id)!.stored;
  };

  /** @throws ClientError `refused` */
  const checkHow = async (group: Group, text: string, how: SendAs): Promise<void> => {
    const refuse = (reason: string): ClientError => new ClientError('refused', reason);
    const max = how.as === 'topic' ? TOPIC_MAX_CHARACTERS : TEXT_MAX_CHARACTERS;
    if (text.length > max) {
      throw refuse(`a ${how.as === 'topic' ? 'topic' : 'message'} has at most ${max} characters`);
    }
    for (const named of [how.inReplyTo, how.replaces]) {
      if (named !== undefined && !isMessageId(named)) throw refuse(`"${named}" is no message id`);
    }
    if (how.replaces === undefined) return;
    const found = await findMessage(store, group.bytes, how.replaces);
    if (found === undefined) throw refuse('the message to change is not here');
    if (found.line.sender.account !== env.me.account) throw refuse('only its sender can change a message');
    if (found.line.deleted === true) throw refuse('that message was taken back already');
  };

  return async (id, text, how = {}) => {
    const group = groupIn(state.groups.get(id));
    checkMember(group);
    await checkHow(group, text, how);
    const localId = newClientId(env.now(), env.randomBytes);
    const content = encodeContent({ ...how, text }, env.randomBytes(SALT_BYTES));
    await stored(id, { localId, text, content });
    await store.durable();
    return { id: localId };
  };
}

/** In a parked group texts and files wait for the rejoin. @throws ClientError `refused` */
export function checkMember(group: Group): void {
  const no = notAMember(group);
  if (no !== undefined && group.phase !== 'parked') throw new ClientError('refused', no);
}

/** Own texts of a group that are not in its log yet, as lines without a place. */
export function unsentLines(group: Group, env: EngineEnv): readonly HistoryLine[] {
  const sender = env.directory.person(env.me.account, env.me.device);
  const uploads = (group.uploads ?? []).map((upload) => ({ ...upload, text: fileText(upload.attachment) }));
  return [...group.outbox, ...uploads].flatMap((item) => {
    const { localId: id, text, time, attachment } = item;
    const file = attachment === undefined ? {} : { file: fileNote(attachment) };
    const shown = { ...('content' in item ? shownOf(env, group, item) : {}), text };
    if ('statuses' in shown && shown.statuses !== undefined) return [];
    const line = messageLine(shown, { id, sender, own: true, ...file });
    return [{ group: group.id, groupName: group.name, time, ...line }];
  });
}

/** @throws ClientError `unknown-group` */
export function groupIn(group: Group | undefined): Group {
  if (group === undefined) throw new ClientError('unknown-group', 'there is no such group here');
  return group;
}
