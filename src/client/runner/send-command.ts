import { type ClientId, type GroupId, newClientId } from '../../wire/ids.ts';
import type { HistoryLine } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import { queueText, sealTexts } from '../engine/outbox.ts';
import type { EngineEnv, Group } from '../engine/types.ts';
import type { ClientStore } from '../store/client-store.ts';
import type { ChatState } from './chat-state.ts';
import { notAMember } from './group-views.ts';
import type { Serial } from './serial.ts';
import type { SyncLoop } from './sync-loop.ts';

/** The longest text of one message, in characters; far below what the server takes. */
export const TEXT_MAX_CHARACTERS = 64 * 1024;

/** Texts of one group that go into the next transaction. */
interface Typed {
  readonly texts: { readonly localId: ClientId; readonly text: string }[];
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
  readonly sync: Pick<SyncLoop, 'upToDate'>;
}): (id: GroupId, text: string) => Promise<{ readonly id: string }> {
  const { env, store, state, serial, sync } = world;
  const typed = new Map<GroupId, Typed>();

  const storeTyped = async (id: GroupId, texts: Typed['texts']): Promise<void> => {
    const batch = state.begin();
    for (const { localId, text } of texts) {
      const ordinal = state.nextOutboxOrdinal();
      batch.take(queueText(groupIn(batch.group(id)), { localId, ordinal, text, time: env.now() }));
    }
    // behind or offline, the epoch would be over before it leaves: then it is encrypted when its turn comes
    if (sync.upToDate) batch.take(await sealTexts(env, groupIn(batch.group(id)), { reseal: false }));
    await batch.commit();
  };
  /** Settles with the transaction that the text is in: when that fails, each of its texts has to hear it. */
  const stored = (id: GroupId, localId: ClientId, text: string): Promise<void> => {
    const waiting = typed.get(id);
    if (waiting !== undefined) {
      waiting.texts.push({ localId, text });
      return waiting.stored;
    }
    const texts = [{ localId, text }];
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

  return async (id, text) => {
    const group = groupIn(state.groups.get(id));
    const no = notAMember(group);
    // in a parked group texts wait for the rejoin
    if (no !== undefined && group.phase !== 'parked') throw new ClientError('refused', no);
    if (text.length > TEXT_MAX_CHARACTERS) {
      throw new ClientError('refused', `a message has at most ${TEXT_MAX_CHARACTERS} characters`);
    }
    const localId = newClientId(env.now(), env.randomBytes);
    await stored(id, localId, text);
    await store.durable();
    return { id: localId };
  };
}

/** Own texts of a group that are not in its log yet, as lines without a place. */
export function unsentLines(group: Group, env: EngineEnv): readonly HistoryLine[] {
  const sender = env.directory.person(env.me.account, env.me.device);
  return group.outbox.map(({ localId, text, time }) => ({
    group: group.id,
    groupName: group.name,
    time,
    kind: 'message',
    id: localId,
    sender,
    text,
    own: true,
  }));
}

/** @throws ClientError `unknown-group` */
export function groupIn(group: Group | undefined): Group {
  if (group === undefined) throw new ClientError('unknown-group', 'there is no such group here');
  return group;
}
