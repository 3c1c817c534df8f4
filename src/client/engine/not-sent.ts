import { isTakeBack } from '../content/content.ts';
import { isReport } from './marks.ts';
import type { LineDraft, OutboxItem, Signal } from './types.ts';

type Said = Pick<OutboxItem, 'text' | 'content'>;

/**
 * A text behind entries that are gone. One that was encrypted may be among them, so the server has to be asked, and where that is no
 * longer possible nobody can say that it was not sent. A ciphertext that was refused is not there, unless it is the second of two.
 */
export function inDoubt(item: OutboxItem): OutboxItem {
  const isRefused = item.stale && item.twofold !== true;
  return item.sealed === undefined || isRefused ? item : { ...item, unheard: true };
}

/** What is told of a text that nobody will ask for any more. */
export function dropped(
  item: Said & Pick<OutboxItem, 'localId' | 'unheard'>,
  reason: string,
  time: number,
): { readonly lines: readonly LineDraft[]; readonly signal: Signal } {
  const { localId, unheard = false } = item;
  const refused = unheard ? unlessBefore(reason) : reason;
  const lines = unheard ? notKnown(item, time) : notSent(item, reason, time);
  return { lines, signal: { kind: 'sent', localId, refused } };
}

/** The line that tells a person what did not get through; none of a report, which nobody typed. */
export function notSent(item: Said, reason: string, time: number): readonly LineDraft[] {
  return warning(item, `Not sent (${reason})`, time);
}

/** The same of what may have got through: it was asked for without an answer, and there is nowhere to look. */
export function notKnown(item: Said, time: number): readonly LineDraft[] {
  return warning(item, 'Not known whether sent', time);
}

/** Why nobody waits any more for an answer to what {@link notKnown} tells. */
export function unlessBefore(reason: string): string {
  return `${reason}, and it is not known whether it was sent before`;
}

function warning(item: Said, what: string, time: number): readonly LineDraft[] {
  if (isReport(item)) return [];
  const isEmpty = item.content !== undefined && isTakeBack(item.content);
  const said = isEmpty ? 'that a message is taken back' : item.text;
  return [{ kind: 'warning', time, text: `${what}: ${said}` }];
}
