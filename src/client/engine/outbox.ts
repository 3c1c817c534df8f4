import { encrypt } from '../../mls/session/message.ts';
import { type Consumed, epochOf, pendingProposalsOf } from '../../mls/session/state.ts';
import type { MessageEntry } from '../../wire/entry.ts';
import type { ClientId } from '../../wire/ids.ts';
import { DEFAULT_LIMITS } from '../../wire/limits.ts';
import { encodeBinding } from './binding.ts';
import { encodeText } from './content.ts';
import { giveUp, voidedIn } from './generations.ts';
import { type EngineEnv, type Group, type OutboxItem, type Signal, type Step, step } from './types.ts';
import { lastSeen } from './witness.ts';

/** Messages that travel in one request. */
export const MESSAGES_PER_REQUEST = DEFAULT_LIMITS.messagesPerRequest;
/** Bytes of one request of messages; the server's limit is a mebibyte. */
export const MESSAGES_MAX_BYTES = 768 * 1024;

export function queueText(
  group: Group,
  item: { localId: ClientId; ordinal: number; text: string; time: number },
): Step {
  return step({ ...group, outbox: [...group.outbox, { ...item, accepted: false, stale: false }] });
}

/** Whether texts can become ciphertexts now: proposals that wait for a commit forbid it (RFC 9420 §12.4). */
export function canSeal(group: Group): boolean {
  return group.phase === 'member' && group.mls !== undefined && pendingProposalsOf(group.mls).length === 0;
}

/**
 * Texts to encrypt now, in the order in which they will leave, which is the order of their generations. One that follows an older
 * text of another epoch waits until that is answered: were the older one encrypted anew, it would be numbered behind the younger.
 */
export function dueTexts(group: Group, { reseal }: { readonly reseal: boolean }): readonly OutboxItem[] {
  if (!canSeal(group)) return [];
  const epoch = epochOf(group.mls!);
  const due: OutboxItem[] = [];
  for (const item of group.outbox) {
    if (item.accepted) continue;
    if (item.sealed === undefined || (item.stale && reseal)) due.push(item);
    else if (item.stale || item.sealed.epoch !== epoch) break;
  }
  return due;
}

/**
 * Encrypts what waits, oldest first, up to a request's worth. The advanced ratchet and the ciphertexts are one value
 * and get stored together; only then may anything leave. A text whose epoch the server no longer takes is encrypted
 * anew only with `reseal`: when the log was read up to the refusal and the entry was not in it.
 */
export async function sealTexts(env: EngineEnv, group: Group, options: { readonly reseal: boolean }): Promise<Step> {
  if (!canSeal(group)) return step(group);
  const given = options.reseal
    ? giveUp(
        group,
        group.outbox.filter(({ stale, accepted }) => stale && !accepted),
      )
    : group;
  const voided = voidedIn(given);
  const seen = lastSeen(group);
  let state = group.mls!;
  const consumed: Consumed[] = [];
  const outbox: OutboxItem[] = [];
  let sealed = 0;
  const due = new Set(dueTexts(group, options));
  for (const item of group.outbox) {
    if (!due.has(item) || sealed >= MESSAGES_PER_REQUEST) {
      outbox.push(item);
      continue;
    }
    // encrypted anew it keeps its id: should the first ciphertext still be on its way, only one of the two is placed
    const id = item.localId;
    const made = await encrypt(env.suite, state, encodeText(item.text), encodeBinding(id, voided, seen));
    state = made.state;
    consumed.push(made.consumed);
    const { epoch, message, generation } = made;
    outbox.push({ ...item, sealed: { id, epoch, message, generation }, stale: false });
    sealed += 1;
  }
  return sealed === 0 ? step(group) : step({ ...given, mls: state, outbox }, { consumed });
}

/**
 * Ciphertexts to post now: from the oldest on, in order, as many as fit into one request. All are of one epoch, for
 * the server takes or refuses each message by its epoch: were they of two, a younger one could be taken while an older
 * one has to be encrypted anew.
 */
export function sendable(group: Group): readonly (OutboxItem & { sealed: NonNullable<OutboxItem['sealed']> })[] {
  const items: (OutboxItem & { sealed: NonNullable<OutboxItem['sealed']> })[] = [];
  let bytes = 0;
  for (const item of group.outbox) {
    if (item.accepted) continue;
    // an older text that must be encrypted first keeps the younger ones back, or their order would change
    if (item.sealed === undefined || item.stale) break;
    if (items.length > 0 && item.sealed.epoch !== items[0]!.sealed.epoch) break;
    bytes += item.sealed.message.length;
    if (items.length > 0 && (items.length >= MESSAGES_PER_REQUEST || bytes > MESSAGES_MAX_BYTES)) break;
    items.push({ ...item, sealed: item.sealed });
  }
  return items;
}

/** The texts of a membership that ended, for the next one: ciphertexts that nobody has taken are to be made anew. */
export function keepTexts(outbox: readonly OutboxItem[]): readonly OutboxItem[] {
  return outbox.map((item) => (item.sealed === undefined || item.accepted ? item : { ...item, stale: true }));
}

export type MessageResult = { readonly id: string } & (
  | { readonly kind: 'accepted' }
  | { readonly kind: 'stale' }
  | { readonly kind: 'refused'; readonly reason: string }
);

/** The server's answer to {@link sendable}; an item whose entry came first is gone already. */
export function messagesAnswered(env: EngineEnv, group: Group, results: readonly MessageResult[]): Step {
  const answers = new Map(results.map((result) => [result.id, result]));
  const sent: Signal[] = [];
  const refused: { text: string; reason: string; item: OutboxItem }[] = [];
  const outbox: OutboxItem[] = [];
  for (const item of group.outbox) {
    const answer = item.sealed === undefined ? undefined : answers.get(item.sealed.id);
    switch (answer?.kind) {
      case undefined:
        outbox.push(item);
        break;
      case 'accepted':
        if (!item.accepted) sent.push({ kind: 'sent', localId: item.localId });
        outbox.push({ ...item, accepted: true, stale: false });
        break;
      case 'stale':
        outbox.push({ ...item, stale: true });
        break;
      case 'refused':
        refused.push({ text: item.text, reason: answer.reason, item });
        sent.push({ kind: 'sent', localId: item.localId, refused: answer.reason });
        break;
    }
  }
  const given = giveUp(
    { ...group, outbox },
    refused.map(({ item }) => item),
  );
  // what was encrypted after a refused message does not say that its number will never come: it is made anew
  const isVoid = given.voided !== group.voided;
  const remade = isVoid
    ? outbox.map((item) => (item.sealed && !item.accepted ? { ...item, stale: true } : item))
    : outbox;
  return step(
    { ...given, outbox: remade },
    {
      lines: refused.map(({ text, reason }) => ({
        kind: 'warning',
        time: env.now(),
        text: `Not sent (${reason}): ${text}`,
      })),
      signals: sent,
    },
  );
}

/** An entry of our own: shown from the stored text. `undefined` when no text waits for it. */
export function takeOwnMessage(env: EngineEnv, group: Group, entry: MessageEntry): Step | undefined {
  const item = group.outbox.find((candidate) => candidate.sealed?.id === entry.id);
  if (item === undefined) return undefined;
  const sender = env.directory.person(env.me.account, env.me.device);
  return step(
    { ...group, outbox: group.outbox.filter((candidate) => candidate !== item) },
    {
      lines: [
        {
          kind: 'message',
          id: item.localId,
          sender,
          text: item.text,
          own: true,
          time: entry.time,
          position: entry.position,
        },
      ],
      signals: item.accepted ? [] : [{ kind: 'sent', localId: item.localId }],
    },
  );
}
