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
  const typed = new Map<GroupId, { localId: ClientId; text: string }[]>();

  const storeTyped = (id: GroupId): Promise<void> =>
    serial.run(async () => {
      const texts = typed.get(id) ?? [];
      typed.delete(id);
      if (texts.length === 0) return;
      const batch = state.begin();
      for (const { localId, text } of texts) {
        const ordinal = state.nextOutboxOrdinal();
        batch.take(queueText(groupIn(batch.group(id)), { localId, ordinal, text, time: env.now() }));
      }
      // behind or offline, the epoch would be over before it leaves: then it is encrypted when its turn comes
      if (sync.upToDate) batch.take(await sealTexts(env, groupIn(batch.group(id)), { reseal: false }));
      await batch.commit();
    });

  return async (id, text) => {
    const group = groupIn(state.groups.get(id));
    const no = notAMember(group);
    // in a parked group texts wait for the rejoin
    if (no !== undefined && group.phase !== 'parked') throw new ClientError('refused', no);
    if (text.length > TEXT_MAX_CHARACTERS) {
      throw new ClientError('refused', `a message has at most ${TEXT_MAX_CHARACTERS} characters`);
    }
    const localId = newClientId(env.now(), env.randomBytes);
    typed.set(id, [...(typed.get(id) ?? []), { localId, text }]);
    await storeTyped(id);
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
