import { encrypt } from '../../mls/session/message.ts';
import { type Consumed, epochOf, pendingProposalsOf } from '../../mls/session/state.ts';
import { equalBytes, toBase64Url } from '../../wire/bytes.ts';
import type { MessageEntry } from '../../wire/entry.ts';
import type { ClientId } from '../../wire/ids.ts';
import { DEFAULT_LIMITS } from '../../wire/limits.ts';
import { encodeContent } from '../content/content.ts';
import { SALT_BYTES } from '../content/mimi-content.ts';
import { encodeAttachment, fileNote } from './attachment.ts';
import { encodeBinding } from './binding.ts';
import { shownOf, takeShown } from './content.ts';
import { giveUp, voidedIn } from './generations.ts';
import { forgetGivenUp, rememberGivenUp } from './given-up.ts';
import { lostOwnLines } from './lost-own.ts';
import { reportMarks } from './marks.ts';
import { inDoubt, notKnown, notSent, unlessBefore } from './not-sent.ts';
import { usedOnce } from './rotation.ts';
import { type EngineEnv, type Group, type LineDraft, type OutboxItem, type Signal, type Step, step } from './types.ts';
import { isElsewhere, lastSeen, tellMisplaced } from './witness.ts';

/** Messages that travel in one request. */
export const MESSAGES_PER_REQUEST = DEFAULT_LIMITS.messagesPerRequest;
/** Bytes of one request of messages; the server's limit is a mebibyte. */
export const MESSAGES_MAX_BYTES = 768 * 1024;

export function queueText(
  group: Group,
  item: { localId: ClientId; ordinal: number; text: string; time: number; content?: Uint8Array },
): Step {
  return step({ ...group, outbox: [...group.outbox, { ...item, accepted: false, stale: false }] });
}

/** Whether texts can become ciphertexts now: proposals that wait for a commit forbid it (RFC 9420 §12.4). */
export function canSeal(group: Group): boolean {
  return group.phase === 'member' && group.mls !== undefined && pendingProposalsOf(group.mls).length === 0;
}

/**
 * Texts to encrypt now, in the order in which they will leave, which is the order of their generations. One that follows an older
 * text of another epoch waits until that is answered: were the older one encrypted anew, it would be numbered behind the younger. One
 * that follows a text of which two ciphertexts may be on their way waits for the entry: it has to name the number that never comes.
 */
export function dueTexts(group: Group, { reseal }: { readonly reseal: boolean }): readonly OutboxItem[] {
  if (!canSeal(group)) return [];
  const epoch = epochOf(group.mls!);
  const due: OutboxItem[] = [];
  for (const item of group.outbox) {
    if (!item.accepted) {
      if (item.sealed === undefined || (item.stale && reseal)) due.push(item);
      else if (item.stale || item.sealed.epoch !== epoch) break;
    }
    if (item.twofold === true) break;
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
    // made once: a message that is encrypted anew keeps the id that others may have replied to
    const content = item.content ?? contentOf(env, group, item);
    const made = await encrypt(env.suite, state, content, encodeBinding(id, voided, seen));
    state = made.state;
    consumed.push(made.consumed);
    const { epoch, message, generation } = made;
    const sealedAfter = item.sealedAfter ?? group.position;
    outbox.push({ ...item, content, sealed: { id, epoch, message, generation }, sealedAfter, stale: false });
    sealed += 1;
  }
  return sealed === 0 ? step(group) : step({ ...given, mls: state, outbox }, { consumed });
}

function contentOf({ me, randomBytes }: EngineEnv, { id }: Group, { text, attachment }: OutboxItem): Uint8Array {
  const salt = randomBytes(SALT_BYTES);
  if (attachment === undefined) return encodeContent({ text }, salt);
  const url = `https://${me.domain}/v1/groups/${id}/blobs/${toBase64Url(attachment.hash)}`;
  return encodeAttachment(attachment, url, salt);
}

/**
 * Ciphertexts to post now: from the oldest on, in order, as many as fit into one request. All are of one epoch, for
 * the server takes or refuses each message by its epoch: were they of two, a younger one could be taken while an older
 * one has to be encrypted anew. Behind a text of which two ciphertexts may be on their way nothing leaves, see {@link dueTexts}.
 */
export function sendable(group: Group): readonly (OutboxItem & { sealed: NonNullable<OutboxItem['sealed']> })[] {
  const items: (OutboxItem & { sealed: NonNullable<OutboxItem['sealed']> })[] = [];
  let bytes = 0;
  for (const item of group.outbox) {
    if (item.accepted) {
      if (item.twofold === true) break;
      continue;
    }
    // an older text that must be encrypted first keeps the younger ones back, or their order would change
    if (item.sealed === undefined || item.stale) break;
    if (items.length > 0 && item.sealed.epoch !== items[0]!.sealed.epoch) break;
    bytes += item.sealed.message.length;
    if (items.length > 0 && (items.length >= MESSAGES_PER_REQUEST || bytes > MESSAGES_MAX_BYTES)) break;
    items.push({ ...item, sealed: item.sealed });
    if (item.twofold === true) break;
  }
  return items;
}

/**
 * The texts of a membership that ended, for the next one: ciphertexts that nobody has taken are to be made anew, though they may be on
 * their way still. Behind a gap they are not: one that was taken, and is gone unheard, would use a number of the new epoch for what will never be in the log. The server,
 * asked with the same ciphertext, knows.
 */
export function keepTexts({ outbox, recovery }: Pick<Group, 'outbox' | 'recovery'>): readonly OutboxItem[] {
  if (recovery?.missed !== undefined) {
    return outbox.map((item) => onlyOne({ ...inDoubt(item), accepted: false }));
  }
  return outbox.map((item) =>
    item.sealed === undefined || item.accepted || item.stale ? item : { ...item, stale: true, twofold: true },
  );
}

export type MessageResult = { readonly id: string } /** `position`: where it stands, as far as the server says. */ & (
  | { readonly kind: 'accepted'; readonly position?: number }
  | { readonly kind: 'stale' }
  | { readonly kind: 'refused'; readonly reason: string }
  /** Refused, after it was asked for without an answer; where it stands this device will not read. */
  | { readonly kind: 'unknown'; readonly reason: string }
);

/** The server's answer to {@link sendable}; an item whose entry came first is gone already. */
export function messagesAnswered(env: EngineEnv, group: Group, results: readonly MessageResult[]): Step {
  const answers = new Map(results.map((result) => [result.id, result]));
  const sent: Signal[] = [];
  const lost: LineDraft[] = [];
  const misplaced: number[] = [];
  const refused: OutboxItem[] = [];
  const open: OutboxItem[] = [];
  /** Encrypted twice, and the entry that would tell which one stands may be gone. Naming a number that came is harmless. */
  const unheard: OutboxItem[] = [];
  const untold: LineDraft[] = [];
  const outbox: OutboxItem[] = [];
  for (const item of group.outbox) {
    const answer = item.sealed === undefined ? undefined : answers.get(item.sealed.id);
    switch (answer?.kind) {
      case undefined:
        outbox.push(item);
        break;
      case 'accepted':
        if (!item.accepted) sent.push({ kind: 'sent', localId: item.localId });
        switch (whereabouts(group, item, answer.position)) {
          case 'gone':
            if (item.twofold === true) unheard.push(item);
            lost.push(...lostOwnLines(env, group, item));
            break;
          case 'elsewhere':
            misplaced.push(answer.position!);
            outbox.push({ ...onlyOne(item), accepted: true, stale: false }); // its entry will not come
            break;
          case 'to-come': {
            const promised = answer.position === undefined ? {} : { promisedAt: answer.position };
            // the other ciphertext stands there, but nobody says where: it may not come
            const isOther = item.twofold === true && item.unheard === true && answer.position === undefined;
            if (isOther) unheard.push(item);
            outbox.push({ ...(isOther ? onlyOne(item) : item), ...promised, accepted: true, stale: false });
          }
        }
        break;
      case 'stale':
        outbox.push({ ...heard(onlyOne(item)), stale: true }); // and every earlier ciphertext with it
        break;
      case 'refused':
        refused.push(item);
        untold.push(...notSent(item, answer.reason, env.now()));
        sent.push({ kind: 'sent', localId: item.localId, refused: answer.reason });
        break;
      case 'unknown':
        open.push(item);
        untold.push(...notKnown(item, env.now()));
        sent.push({ kind: 'sent', localId: item.localId, refused: unlessBefore(answer.reason) });
        break;
    }
  }
  const given = giveUp(rememberGivenUp({ ...group, outbox }, [...refused, ...open]), refused);
  // what was encrypted after a refused message does not say that its number will never come
  const remade = given.voided === group.voided ? outbox : outbox.map(madeAnew);
  // nothing behind these has been encrypted so far
  const told = tellMisplaced(env, giveUp({ ...given, outbox: remade }, unheard), misplaced);
  return step(told.group, {
    lines: [...told.lines, ...lost, ...untold],
    signals: sent,
  });
}

/** What became of an own text that the server says it took, and that did not come so far. */
function whereabouts(group: Group, item: OutboxItem, position: number | undefined): 'to-come' | 'gone' | 'elsewhere' {
  if (position === undefined) return 'to-come';
  if (isElsewhere(group, item, position)) return 'elsewhere';
  // its entry would have come by now: it is no longer on the server
  return position <= group.position ? 'gone' : 'to-come';
}

/** An entry of our own: shown from the stored text. `undefined` when no text waits for it. */
export function takeOwnMessage(env: EngineEnv, before: Group, entry: MessageEntry): Step | undefined {
  const isThis = ({ sealed }: OutboxItem): boolean => sealed?.id === entry.id;
  const waiting = before.outbox.find(isThis);
  const item = waiting ?? before.givenUp?.find(isThis);
  if (item === undefined) return undefined;
  const group = waiting === undefined ? before : withoutOther(before, waiting, entry);
  const sender = env.directory.person(env.me.account, env.me.device);
  const { time, position } = entry;
  const { attachment } = item;
  const shown =
    attachment === undefined ? shownOf(env, group, item) : { ...shownOf(env, group, item), text: item.text };
  const file = attachment === undefined ? {} : { file: fileNote(attachment) };
  const taken = takeShown(env, group, shown, { id: item.localId, sender, own: true, time, position, ...file });
  return step(
    {
      ...forgetGivenUp(taken.group, item),
      outbox: group.outbox.filter((candidate) => !isThis(candidate)),
      leafUse: usedOnce(group.leafUse),
    },
    {
      lines: taken.lines,
      signals: item.accepted ? [] : [{ kind: 'sent', localId: item.localId }],
      ...(attachment === undefined ? {} : { attachments: [{ position, attachment }] }),
    },
  );
}

/**
 * Of a text that was encrypted twice this entry may be the first ciphertext, which was on its way when the second was made: that will never
 * be in the log, and what follows says so.
 */
function withoutOther(group: Group, item: OutboxItem, entry: MessageEntry): Group {
  const { sealed } = item;
  if (sealed === undefined || equalBytes(sealed.message, entry.payload)) return group;
  return giveUp(group, [item]);
}

/** A text of which no second ciphertext is waited for. */
function onlyOne(item: OutboxItem): OutboxItem {
  const { twofold, ...rest } = item;
  return twofold === undefined ? item : rest;
}

/** A text that is not among what is gone. */
function heard({ unheard: _unheard, ...item }: OutboxItem): OutboxItem {
  return item;
}

/** A text that nobody has taken so far is encrypted once more. */
function madeAnew(item: OutboxItem): OutboxItem {
  return item.sealed !== undefined && !item.accepted ? { ...item, stale: true } : item;
}

/** Tells what came and was read since the last time. */
export function tellMarks(env: EngineEnv, group: Group, place: { localId: ClientId; ordinal: number }): Step {
  if (group.phase !== 'member') return step(group);
  const told = reportMarks(env, group, place);
  return told.item === undefined ? step(told.group) : queueText(told.group, told.item);
}

/** Tells the topic again, for those who were let in after it. */
export function shareTopic(env: EngineEnv, group: Group, item: { localId: ClientId; ordinal: number }): Step {
  const { topicDue, ...rest } = group;
  const { topic } = group;
  if (topicDue === undefined || topic === undefined || group.phase !== 'member') return step(group);
  const { text, position } = topic;
  const content = encodeContent({ text, as: 'topic', since: position }, env.randomBytes(SALT_BYTES));
  return queueText(rest, { ...item, text, time: env.now(), content });
}
