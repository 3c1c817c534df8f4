import { equalBytes } from '../../wire/bytes.ts';
import type { GroupEntry } from '../../wire/entry.ts';
import type { Person } from '../chat-client.ts';
import type { SeenHead } from './binding.ts';
import { keptHead } from './recent-heads.ts';
import {
  type BrokenPromise,
  type EngineEnv,
  type Evidence,
  type Group,
  type LineDraft,
  type Promised,
  type SettledReceipt,
  type Step,
  step,
} from './types.ts';

/**
 * What one device can hold against its server. Two things are compared with the chain of entries that came here: the heads that
 * members put into the authenticated data of their messages, which the server can neither change nor leave out, and the receipts
 * that the server signed. Each difference is told once; the proof stays.
 */

/** Receipts that wait for their entries; an answer and its entry are moments apart. */
export const PROMISES_MAX = 32;
/** Receipts that are kept of a group, the newest. */
export const RECEIPTS_KEPT = 256;
/** Broken promises that are kept of a group, the first ones: after the first, every later one is broken too. */
const BROKEN_KEPT = 4;
/** Accounts whose other history is remembered, and told, in one group. */
const SPLITS_KEPT = 16;

export const NO_EVIDENCE: Evidence = { promised: [], settled: 0, broken: [], splits: [] };

/** The place of the chain that goes with the next message; nothing when no head is known here. */
export function lastSeen({ position, head }: Group): SeenHead | undefined {
  return head === undefined ? undefined : { position, head };
}

/**
 * Compares the head that a message's sender saw with the own chain. One that is older than what is kept says nothing any more.
 * One at or after the message itself cannot be of the same history: a head covers every entry before it, this message among them.
 *
 * @param group with the message's own entry in its chain
 */
export function compareSeen(
  env: EngineEnv,
  group: Group,
  sender: Person,
  seen: SeenHead | undefined,
  { position, time }: GroupEntry,
): { readonly group: Group; readonly lines: readonly LineDraft[] } {
  if (seen === undefined || agrees(group, seen, position)) return { group, lines: [] };
  const evidence = group.evidence ?? NO_EVIDENCE;
  const { splits } = evidence;
  const isKnown = splits.some(({ with: other }) => other.account === sender.account);
  if (isKnown || splits.length >= SPLITS_KEPT) return { group, lines: [] };
  const who = sender.account === env.me.account ? 'another device of yours' : sender.name;
  const text = `${who} and you were shown different histories of #${group.name} (entry ${seen.position}): the server is not to be trusted`;
  return {
    group: { ...group, evidence: { ...evidence, splits: [...splits, { with: sender, position: seen.position }] } },
    lines: [{ kind: 'warning', text, time, position }],
  };
}

function agrees(group: Group, seen: SeenHead, position: number): boolean {
  if (seen.position >= position) return false;
  const own = keptHead(group, seen.position);
  return own === undefined || equalBytes(own, seen.head);
}

/** A receipt as the server's answer had it, looked at by whoever got it. */
export type CheckedReceipt =
  | ({ readonly kind: 'good' } & Promised)
  /** It is not signed by the server's key, or not about what was answered. */
  | { readonly kind: 'unproven'; readonly position: number; readonly reason: string };

/** Keeps a receipt: compared at once when its entry is here already, and else when it comes. */
export function takeReceipt(env: EngineEnv, group: Group, checked: CheckedReceipt): Step {
  const evidence = group.evidence ?? NO_EVIDENCE;
  if (checked.kind === 'unproven') {
    const { position, reason } = checked;
    const text = `The server's receipt for entry ${position} is worth nothing: ${reason}`;
    return step(...broken(group, evidence, { position, reason }, env.now(), text));
  }
  const { kind: _kind, ...promised } = checked;
  if (evidence.promised.some((other) => isSame(other, promised))) return step(group);
  return settleReceipts(
    step({ ...group, evidence: { ...evidence, promised: [...evidence.promised, promised] } }),
    undefined,
    env.now(),
  );
}

/** Compares the receipts whose entries are here with what was served there. */
export function settleReceipts(taken: Step, entry: GroupEntry | undefined, time: number): Step {
  const waiting = taken.group.evidence?.promised ?? [];
  if (waiting.length === 0) return taken;
  const excess = Math.max(0, waiting.length - PROMISES_MAX);
  const due = waiting.filter(({ position }, index) => position <= taken.group.position || index < excess);
  if (due.length === 0) return taken;
  let group = taken.group;
  const lines: LineDraft[] = [...taken.lines];
  const settled: SettledReceipt[] = [];
  for (const promised of due) {
    const evidence = group.evidence ?? NO_EVIDENCE;
    const served = keptHead(group, promised.position);
    const isOther = entry?.position === promised.position && promised.id !== undefined && entry.id !== promised.id;
    settled.push({ ...promised, slot: evidence.settled % RECEIPTS_KEPT, ...(served === undefined ? {} : { served }) });
    group = { ...group, evidence: { ...evidence, settled: evidence.settled + 1 } };
    if (!isOther && (served === undefined || equalBytes(served, promised.head))) continue;
    const { position, receipt, signature } = promised;
    const text = `The server has signed another history of #${group.name} than it shows (entry ${position}): it is not to be trusted; "mlschat audit" prints the proof`;
    const proof = { position, receipt, signature, ...(served === undefined || isOther ? {} : { served }) };
    const [next, more] = broken(group, group.evidence ?? NO_EVIDENCE, proof, time, text);
    group = next;
    lines.push(...(more.lines ?? []));
  }
  const evidence = group.evidence ?? NO_EVIDENCE;
  const promised = evidence.promised.filter((each) => !due.includes(each));
  const receipts = [...(taken.receipts ?? []), ...settled];
  return { ...taken, group: { ...group, evidence: { ...evidence, promised } }, lines, receipts };
}

/** Told when it is the first; kept while there is room. */
function broken(
  group: Group,
  evidence: Evidence,
  difference: BrokenPromise,
  time: number,
  text: string,
): [Group, Partial<Omit<Step, 'group'>>] {
  const isProof = difference.receipt !== undefined;
  const isFirst = evidence.broken.every(({ receipt }) => (receipt !== undefined) !== isProof);
  if (!isFirst && evidence.broken.length >= BROKEN_KEPT) return [group, {}];
  const kept = { ...evidence, broken: [...evidence.broken, difference] };
  return [{ ...group, evidence: kept }, isFirst ? { lines: [{ kind: 'warning', text, time }] } : {}];
}

function isSame(one: Promised, other: Promised): boolean {
  return one.position === other.position && equalBytes(one.head, other.head);
}
