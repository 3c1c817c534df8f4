import type { Gap } from '../../wire/page.ts';
import { mergeOwnCommit } from './apply-commit.ts';
import { passGap } from './gap.ts';
import { closeIntention } from './intentions.ts';
import { handshakesOf } from './opaque.ts';
import { freshLeaf } from './rotation.ts';
import { type EngineEnv, type Group, type NeedsAnswer, type Step, step } from './types.ts';
import { tellUnplaced } from './witness.ts';

/**
 * Entries that should come next are no longer on the server, and what this device itself put into the log may be among them: then
 * nothing will bring it any more. Of an own commit everything is here that its entry would have brought, so it counts; whoever is the
 * only member could not join again at all. The rest is {@link passGap}.
 *
 * @returns {@link NeedsAnswer} while the server has not said whether the commit that ended this epoch is ours: what the log would have
 *   shown is no longer there
 */
export async function crossGap(env: EngineEnv, group: Group, gap: Gap): Promise<Step | NeedsAnswer> {
  const { next, to } = gap;
  if (group.position >= to) return step(group);
  if (group.phase === 'creating') return crossCreation(env, group, gap);
  const { pending, ...rest } = group;
  if (pending?.kind === 'external' && next === undefined && group.phase !== 'member') {
    if (!pending.accepted) return { kind: 'needs-answer', group: group.id };
    // this device was in, and nothing is shown of it since: unless it stands behind that, it will not come
    return (pending.promisedAt ?? 0) > to ? step(group) : step(rest);
  }
  // an epoch that the log still shows has not been ended by what is gone
  if (pending === undefined || next === undefined || next.epoch <= pending.epoch) return passGap(env, group, gap);
  if (pending.kind === 'external') {
    // ours or not, it is over: what it was for is tried again, from the epoch the group is in now
    if (group.phase === 'member') return passGap(env, group, gap);
    if (group.phase !== 'joining') return step(rest);
    // it may have led in: what was there from then on is missed
    const { recovery } = passGap(env, { ...rest, phase: 'member' }, gap).group;
    return step(recovery === undefined ? rest : { ...rest, recovery });
  }
  if (group.mls === undefined || next.epoch !== pending.epoch + 1) {
    // others went on from there: the group has somebody through whom it is joined again, and what was wanted came true before
    const closed = pending.accepted ? closeIntention(group, pending.intention) : step(group);
    const passed = passGap(env, closed.group, gap);
    return { ...passed, signals: [...closed.signals, ...passed.signals] };
  }
  if (!pending.accepted) return { kind: 'needs-answer', group: group.id };
  const { promisedAt } = pending;
  if (promisedAt !== undefined && (promisedAt <= group.position || promisedAt > to)) {
    // what ended the epoch is in the gap, and ours is said to stand elsewhere: it must not be taken for ours
    const told = tellUnplaced(env, rest, promisedAt);
    const passed = passGap(env, told.group, gap);
    return { ...passed, lines: [...told.lines, ...passed.lines] };
  }
  const merged = await mergeOwnCommit(env, group, pending, { time: next.time });
  const passed = passGap(env, merged.group, gap);
  return {
    ...passed,
    lines: [...passed.lines, ...merged.lines],
    signals: [...merged.signals, ...passed.signals],
    consumed: merged.consumed,
  };
}

/** Nobody else knows the id of a group that is being made: that the server has entries of it says that ours was placed. */
function crossCreation(env: EngineEnv, group: Group, gap: Gap): Step {
  const { creation: _creation, ...rest } = group;
  const created: Group = { ...rest, phase: 'member', leafUse: freshLeaf(env.now()) };
  const passed = passGap(env, created, gap);
  const by = env.directory.person(env.me.account, env.me.device);
  const time = gap.next?.time ?? env.now();
  return {
    ...passed,
    lines: [{ kind: 'created', by, time, ...handshakesOf(group) }, ...passed.lines],
    signals: [{ kind: 'created' }, ...passed.signals],
  };
}
