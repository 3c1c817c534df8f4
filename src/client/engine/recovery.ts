import { parseIdentity } from '../../mls/identity.ts';
import { epochOf, membersOf } from '../../mls/session/state.ts';
import type { HandshakeEntry, ReportEntry } from '../../wire/entry.ts';
import type { DeviceId } from '../../wire/ids.ts';
import type { Person } from '../chat-client.ts';
import { endUnread, gone, stillMissed } from './gap.ts';
import { addIntention, closeIntention } from './intentions.ts';
import { park } from './placing.ts';
import { type EngineEnv, type Group, type LineDraft, type Recovery, type Signal, type Step, step } from './types.ts';

/** How often a group is joined again by itself after a commit that could not be processed. */
export const RECOVERY_ATTEMPTS_MAX = 6;

/**
 * Parks the group before a commit that cannot be processed here, with what is needed to report it and to join again (D21).
 * Nothing is said yet: what came of it is said in one line, see {@link recoveredLine} and {@link tryRecovery}.
 */
export function parkForRecovery(env: EngineEnv, before: Group, entry: HandshakeEntry, code: string): Step {
  const committer = memberOfDevice(env, before, entry.sender)?.name ?? '?';
  const { epoch, position } = entry;
  const commit = env.sha256(entry.payload);
  const recovery: Recovery = { epoch, position, commit, code, committer, reported: false, attempts: 0, gaveUp: false };
  const parked = park(before, `Commit ${epoch + 1} by ${committer} could not be processed (${code})`, entry.time);
  return { ...parked, group: { ...parked.group, recovery }, lines: [] };
}

/** What a parked group still has to do, in this order; `undefined` when nothing is left, or it is being done. */
export function recoveryWork(group: Group): { readonly kind: 'report' | 'recover'; readonly key: string } | undefined {
  const { recovery, phase } = group;
  if (recovery === undefined || phase !== 'parked') return undefined;
  if (!recovery.reported) return { kind: 'report', key: `report-${recovery.position}` };
  if (recovery.gaveUp || group.intentions.length > 0 || group.pending !== undefined) return undefined;
  return { kind: 'recover', key: `recover-${recovery.position}-${recovery.attempts}` };
}

/** The server has the report, or will never take it. */
export function reportAnswered(group: Group, position: number): Step {
  const { recovery } = group;
  return recovery?.position === position ? step({ ...group, recovery: { ...recovery, reported: true } }) : step(group);
}

/** Asks for one more rejoin, or gives up and says what a person can do. */
export function tryRecovery(env: EngineEnv, group: Group): Step {
  const { recovery } = group;
  if (recovery === undefined || recoveryWork(group)?.kind !== 'recover') return step(group);
  const { attempts, epoch, committer, position } = recovery;
  if (attempts < RECOVERY_ATTEMPTS_MAX) {
    const tried: Group = { ...group, recovery: { ...recovery, attempts: attempts + 1 } };
    return addIntention(tried, `recovery-${position}-${attempts}`, { kind: 'rejoin' });
  }
  const text =
    recovery.missed === undefined
      ? `Commit ${epoch + 1} by ${committer} could not be processed here, and joining again failed. ` +
        'Nothing after it can be read here; /rejoin tries once more, or an administrator removes and invites you.'
      : stillMissed(group, recovery.missed, env.now());
  return step(
    { ...group, recovery: { ...recovery, gaveUp: true } },
    { lines: [{ kind: 'warning', text, time: env.now() }] },
  );
}

/** An entry came that a parked group cannot read: how far these go is told with what comes of it. */
export function passedOver(group: Group, position: number): Group {
  const { recovery } = group;
  if (recovery === undefined || recovery.gaveUp || position <= (recovery.passed ?? recovery.position)) return group;
  return { ...group, recovery: { ...recovery, passed: position } };
}

/**
 * The server knows this group no longer for this account, and all it had to show was passed over: the last of it took this device
 * out, and there is nothing to join again. Changes nothing where no recovery is under way.
 */
export function endedMeanwhile(env: EngineEnv, group: Group): Step {
  const { recovery } = group;
  if (recovery === undefined || recovery.gaveUp || group.phase !== 'parked') return step(group);
  const { missed, passed, epoch, committer, position } = recovery;
  const why =
    missed === undefined
      ? `Commit ${epoch + 1} by ${committer} could not be processed here`
      : gone(group, missed, env.now());
  const unread = passed === undefined ? undefined : { to: missed?.to ?? position, removal: passed };
  return endUnread(env, { ...group, recovery: { ...recovery, gaveUp: true } }, why, unread);
}

/** What an own external commit came to, for a group that was parked by a commit. */
export function recoveredLine(
  recovery: Recovery,
  joined: { epoch: number; time: number; position: number },
): LineDraft {
  const { epoch, committer } = recovery;
  const [first, last] = [epoch + 1, joined.epoch - 1];
  const lost = first === last ? `epoch ${first}` : `epochs ${first}–${last}`;
  // where the log went back, it may be joined again before that commit
  const unread = last < first ? '' : `; messages of ${lost} cannot be read`;
  const text = `commit ${first} by ${committer} could not be processed here; rejoined at epoch ${joined.epoch}${unread}`;
  return { kind: 'warning', text, time: joined.time, position: joined.position };
}

/** A membership that began anew by other means: what was waiting to rejoin has come true. */
export function endRecovery(group: Group): Step {
  const { recovery: _recovery, ...rest } = group;
  let ended: Group = rest;
  const signals: Signal[] = [];
  for (const { id, kind } of group.intentions) {
    if (kind !== 'rejoin') continue;
    const closed = closeIntention(ended, id);
    ended = closed.group;
    signals.push(...closed.signals);
  }
  return step(ended, { signals });
}

/** Another member could not process a commit: one line, so that people know why it missed something. */
export function applyReport(env: EngineEnv, group: Group, entry: ReportEntry): Step {
  if (entry.sender === env.me.device) return step(group);
  const { epoch, code, reporter, committer } = entry.payload;
  const who = env.directory.person(reporter, entry.sender).name;
  const by = env.directory.person(committer.account, committer.device).name;
  const text = `${who} could not process commit ${epoch + 1} by ${by} (${code})`;
  return step(group, { lines: [{ kind: 'warning', text, time: entry.time, position: entry.position }] });
}

/**
 * Whether a GroupInfo leads past the commit that could not be processed; an older one would be a step back. Where the log went back every
 * one is of another history, and the epochs of the lost one say nothing.
 */
export function leadsOn({ recovery, mls, isOfLost }: Group, epoch: number): boolean {
  if (isOfLost === true) return true;
  if (recovery !== undefined) return epoch > recovery.epoch;
  return mls === undefined || epoch >= epochOf(mls);
}

/** The member that a device is in the group as we have it. */
export function memberOfDevice(env: EngineEnv, { mls }: Group, device: DeviceId): Person | undefined {
  const members = mls === undefined ? [] : membersOf(mls);
  const found = members.find(({ identity }) => parseIdentity(identity)?.device === device);
  return found === undefined ? undefined : env.directory.personOf(found.identity);
}
