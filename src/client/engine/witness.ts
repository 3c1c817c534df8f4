import { equalBytes } from '../../wire/bytes.ts';
import type { GroupEntry } from '../../wire/entry.ts';
import type { Person } from '../chat-client.ts';
import type { SeenHead } from './binding.ts';
import type { BrokenPromise, Evidence, Promised, SettledReceipt } from './evidence.ts';
import { keptHead } from './recent-heads.ts';
import { type EngineEnv, type Group, type LineDraft, type OutboxItem, type Step, step } from './types.ts';

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
/** The reason of what {@link withOtherHistory} keeps. */
export const OTHER_HISTORY = 'the server shows another history there than it did before';

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

/**
 * Whether an own text that did not come cannot stand where the server says: it was made later than that, or what stands there was
 * read here. Of what this device never read, as behind a gap, nothing can be said.
 */
export function isElsewhere(
  group: Pick<Group, 'position' | 'heads'>,
  { sealedAfter = 0 }: Pick<OutboxItem, 'sealedAfter'>,
  position: number,
): boolean {
  // the first head that is kept may be one that was only told; each one behind it was computed from its entry
  const [first] = group.heads ?? [];
  const wasRead = first !== undefined && position > first.first && keptHead(group, position) !== undefined;
  // in a log that went back and is not read so far again, places are given a second time
  const isBefore = position <= sealedAfter && sealedAfter <= group.position;
  return isBefore || (position <= group.position && wasRead);
}

/** Says that own texts do not stand where the server said; not beside a proof, which says more. */
export function tellMisplaced(env: EngineEnv, group: Group, positions: readonly number[], time = env.now()): Step {
  let told = step(group);
  for (const position of positions) {
    const text = `The server said that a message of yours is entry ${position} of #${group.name}, and shows another one there: it is not to be trusted`;
    const reason = 'the message that it was given for does not stand there';
    const { evidence = NO_EVIDENCE } = told.group;
    if (evidence.broken.some(({ receipt }) => receipt !== undefined)) break;
    const [next, { lines = [] }] = broken(told.group, evidence, { position, reason }, time, text);
    told = step(next, { lines: [...told.lines, ...lines] });
  }
  return told;
}

/** Looks for an own text that was said to stand where an entry came. */
export function compareClaims(env: EngineEnv, taken: Step, { position, time }: GroupEntry): Step {
  const { group } = taken;
  const isAbout = ({ promisedAt }: OutboxItem): boolean => promisedAt === position;
  if (group.position !== position || !group.outbox.some(isAbout)) return taken;
  const outbox = group.outbox.map((item) => {
    const { promisedAt: _at, ...rest } = item;
    return isAbout(item) ? rest : item;
  });
  const told = tellMisplaced(env, { ...group, outbox }, [position], time);
  return { ...taken, group: told.group, lines: [...taken.lines, ...told.lines] };
}

/** Looks whether an own commit can stand where the server has just said: what stands there may have been read here. */
export function comparePlace(env: EngineEnv, taken: Step): Step {
  const position = taken.group.pending?.promisedAt;
  if (position === undefined || !isElsewhere(taken.group, {}, position)) return taken;
  const told = tellUnplaced(env, taken.group, position);
  return { ...taken, group: told.group, lines: [...taken.lines, ...told.lines] };
}

/** Says that an own commit does not stand where the server said. */
export function tellUnplaced(env: EngineEnv, group: Group, position: number): Step {
  const text = `The server said that a commit of yours is entry ${position} of #${group.name}, and shows otherwise: it is not to be trusted`;
  const reason = 'the commit that it was given for does not stand there';
  const { evidence = NO_EVIDENCE } = group;
  const isTold = evidence.broken.some((each) => each.position === position && each.reason === reason);
  return isTold ? step(group) : step(...broken(group, evidence, { position, reason }, env.now(), text));
}

/**
 * Keeps for an audit that the server shows another head at an entry than this device was shown before. Nothing is said of it: the group
 * is parked over it, which is.
 */
export function withOtherHistory(group: Group, position: number, shown: Uint8Array): Group {
  const { evidence = NO_EVIDENCE } = group;
  if (evidence.broken.length >= BROKEN_KEPT) return group;
  const difference: BrokenPromise = { position, served: shown.slice(), reason: OTHER_HISTORY };
  return { ...group, evidence: { ...evidence, broken: [...evidence.broken, difference] } };
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
  const isFirst = evidence.broken.every(
    ({ receipt, reason }) => reason === OTHER_HISTORY || (receipt !== undefined) !== isProof,
  );
  if (!isFirst && evidence.broken.length >= BROKEN_KEPT) return [group, {}];
  const kept = { ...evidence, broken: [...evidence.broken, difference] };
  return [{ ...group, evidence: kept }, isFirst ? { lines: [{ kind: 'warning', text, time }] } : {}];
}

function isSame(one: Promised, other: Promised): boolean {
  return one.position === other.position && equalBytes(one.head, other.head);
}
