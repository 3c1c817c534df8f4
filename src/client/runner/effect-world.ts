import type { GroupId } from '../../wire/ids.ts';
import type { Accepted } from '../../wire/schemas/groups.ts';
import type { Effect } from '../engine/effects.ts';
import type { EngineEnv, Group, Needs, Step } from '../engine/types.ts';
import { type CheckedReceipt, takeReceipt } from '../engine/witness.ts';
import type { ClientStore } from '../store/client-store.ts';
import type { ServerApi } from '../transport/server-api.ts';
import type { AccountBook } from './accounts.ts';
import type { ChatState } from './chat-state.ts';
import type { ReadingState } from './reading-state.ts';
import type { ReceiptBook } from './receipt-book.ts';
import { Aborted, pause, untilAnswered } from './retry.ts';
import type { Serial } from './serial.ts';

/** An effect of one kind, with what belongs to it. */
export type EffectOf<Kind extends Effect['kind']> = Effect & { readonly kind: Kind };

/** What performing effects needs of the client. */
export interface EffectWorld {
  readonly env: EngineEnv;
  readonly api: ServerApi;
  readonly store: ClientStore;
  readonly state: ChatState;
  readonly serial: Serial;
  readonly accounts: AccountBook;
  readonly receipts: ReceiptBook;
  readonly sync: Pick<ReadingState, 'whenUpToDate' | 'whenShown' | 'compared'>;
  /** Resolves when everything of the group that is in the log now is processed. */
  readonly caughtUp: (signal: AbortSignal, group: GroupId) => Promise<void>;
  readonly random: () => number;
}

/** The same, with what all effects do in one way. */
export interface EffectTools extends EffectWorld {
  /** Takes a step on the group as it is now; stored when this resolves. */
  update(
    id: GroupId,
    take: (group: Group) => Promise<Step | Needs> | Step,
    receipt?: CheckedReceipt,
  ): Promise<Needs | undefined>;
  /** Asks until there is an answer. @throws Aborted, and what is no passing failure */
  answered<Answer>(ask: () => Promise<Answer>, signal: AbortSignal): Promise<Answer>;
  /** The same of what goes into a group's log: in another one than was read here it would mean something else. */
  placed<Answer>(ask: () => Promise<Answer>, signal: AbortSignal): Promise<Answer>;
  /** The receipt of an accepted request, looked at. */
  checked(group: Uint8Array, answer: Accepted, entry: string, signal: AbortSignal): Promise<CheckedReceipt>;
  /** Resolves when the group is up to date, and so much later. @throws Aborted */
  turn(id: GroupId, signal: AbortSignal, delayMs?: () => number): Promise<void>;
}

export function createEffectTools(world: EffectWorld): EffectTools {
  const { env, store, state, serial, receipts, sync, random } = world;
  const answered: EffectTools['answered'] = (ask, signal) =>
    untilAnswered(
      async () => {
        // what is asked for must survive a power cut, or its key or ratchet generation could be used again
        await store.durable();
        return ask();
      },
      { signal, random, wake: (ms) => pause(ms, signal) },
    );
  return {
    ...world,
    update: (id, take, receipt) =>
      serial.run(async () => {
        const batch = state.begin();
        const group = batch.group(id);
        if (group === undefined) return undefined;
        const result = await take(group);
        if (!('lines' in result)) return result;
        batch.take(result);
        if (receipt !== undefined) batch.take(takeReceipt(env, result.group, receipt));
        await batch.commit();
        return undefined;
      }),
    answered,
    placed: (ask, signal) =>
      answered(async () => {
        await sync.whenShown(signal);
        if (signal.aborted) throw new Aborted();
        return ask();
      }, signal),
    checked: (group, { position, head, receipt }, entry, signal) =>
      answered(() => receipts.check(receipt, { group, position, head, id: entry }), signal),
    turn: async (id, signal, delayMs) => {
      await sync.whenUpToDate(signal, id);
      if (delayMs !== undefined) await pause(delayMs(), signal);
      if (signal.aborted) throw new Aborted();
    },
  };
}
