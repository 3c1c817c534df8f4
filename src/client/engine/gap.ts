import { FORWARD_STEPS } from '../../mls/config.ts';
import { epochOf } from '../../mls/session/state.ts';
import type { Gap } from '../../wire/page.ts';
import { failEverything } from './intentions.ts';
import { lostOwnLines } from './lost-own.ts';
import { inDoubt } from './not-sent.ts';
import { park } from './placing.ts';
import { withFirstHead } from './recent-heads.ts';
import { type EngineEnv, type Group, type LineDraft, type Missed, type Recovery, type Step, step } from './types.ts';

const NO_COMMIT = new Uint8Array(0);
const TAKEN_OUT = 'this device was taken out of the group';
const NUMBER = new Intl.NumberFormat('en-GB');
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long' });
const DAY_OF_YEAR = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long', year: 'numeric' });

/**
 * Entries that should come next are no longer on the server. Where only messages of the present epoch are among them, reading goes
 * on behind them; else the group is parked and joined again by itself (see recovery.ts), which says in one line what was missed. A
 * gap that was passed before changes nothing.
 */
export function passGap(env: EngineEnv, group: Group, { from, to, next }: Gap): Step {
  if (group.phase !== 'member' || group.position >= to) return step(group);
  const count = to - Math.max(group.position, from - 1);
  const missed: Missed = { count, to, ...(next === undefined ? {} : { before: next.time }) };
  const epoch = group.mls === undefined ? 0 : epochOf(group.mls);
  if (next?.epoch === epoch && count <= FORWARD_STEPS) {
    const text = `${gone(group, missed, env.now())}.`;
    const line: LineDraft = { kind: 'warning', text, time: next.time };
    // own texts that the server took may be among what is gone: asked again, it says where they stand. What follows one that was
    // encrypted twice still waits: were its first ciphertext among them, the number of the second would never come unsaid
    const outbox = group.outbox.map((item) => ({ ...inDoubt(item), accepted: false }));
    // and so may changes of the members' accounts
    return step(withFirstHead({ ...group, outbox, membersDue: to }, to, next.head), { lines: [line] });
  }
  const recovery: Recovery = {
    ...{ epoch: epoch - 1, position: to, commit: NO_COMMIT, code: 'cursor-expired', committer: '' },
    ...{ reported: true, attempts: 0, gaveUp: next === undefined, missed },
  };
  const reason = `${NUMBER.format(count)} entries are no longer on the server`;
  const parked = park(group, reason, env.now());
  const stopped = { ...parked, group: { ...parked.group, recovery }, lines: [] };
  if (next !== undefined) return stopped;
  // who has nothing to go on with behind the gap was taken out in it: there is nothing to join again
  const ended = endUnread(env, stopped.group, gone(group, missed, env.now()));
  return { ...ended, signals: [...stopped.signals, ...ended.signals] };
}

/**
 * This device was taken out of a parked group in what it could not read: said in one line, which begins with `why`, and everything
 * that waits is answered. The group stays parked, for all of this is the server's word alone.
 *
 * @param unread what came since the group was parked: up to `to` it was named in `why`, and the last of it is the removal
 */
export function endUnread(
  env: EngineEnv,
  group: Group,
  why: string,
  unread?: { readonly to: number; readonly removal: number },
): Step {
  const now = env.now();
  // what the server took was not in what could be read, and nothing more will come
  const lost = group.outbox.filter(({ accepted }) => accepted);
  const unsent = group.outbox.filter(({ accepted }) => !accepted);
  // what was asked for without an answer may be among what is gone
  const outbox = group.recovery?.missed === undefined ? unsent : unsent.map(inDoubt);
  const ended = failEverything(env, { ...group, outbox }, TAKEN_OUT, now);
  const also = unread === undefined ? '' : alsoUnread(unread.removal - unread.to - 1);
  const text = `${why}, and this device was taken out of the group in the meantime${also}.`;
  const place = unread === undefined ? {} : { position: unread.removal };
  const told: LineDraft = { kind: 'warning', text, time: now, ...place };
  return { ...ended, lines: [...lost.flatMap((item) => lostOwnLines(env, group, item)), told, ...ended.lines] };
}

/** What was missed, once the group is joined again at an entry. */
export function missedLine(
  group: Group,
  missed: Missed,
  joined: { readonly epoch: number; readonly time: number; readonly position: number },
): LineDraft {
  const also = alsoUnread(joined.position - missed.to - 1);
  const text = `${gone(group, missed, joined.time)}; you joined again at epoch ${joined.epoch}${also}`;
  return { kind: 'warning', text, time: joined.time, position: joined.position };
}

/** Said when joining again was tried often enough. */
export function stillMissed(group: Group, missed: Missed, now: number): string {
  return `${gone(group, missed, now)}, and joining again failed. /rejoin tries once more, or an administrator removes and invites you.`;
}

function alsoUnread(count: number): string {
  return count > 0 ? ` (${NUMBER.format(count)} before that cannot be read)` : '';
}

/** `#tea: 1,204 entries before 12 November are no longer on the server` */
export function gone({ name }: Group, { count, before }: Missed, now: number): string {
  const entries = count === 1 ? '1 entry' : `${NUMBER.format(count)} entries`;
  const are = count === 1 ? 'is' : 'are';
  return `#${name}: ${entries}${before === undefined ? '' : ` before ${dayOf(before, now)}`} ${are} no longer on the server`;
}

function dayOf(time: number, now: number): string {
  const isThisYear = new Date(time).getFullYear() === new Date(now).getFullYear();
  return (isThisYear ? DAY : DAY_OF_YEAR).format(time);
}
