import { PAST_EPOCHS } from '../../mls/config.ts';
import type { ReceivedCommit } from '../../mls/session/receive.ts';
import {
  epochOf,
  groupIdOf,
  type GroupState as MlsState,
  membersOf,
  ownLeafOf,
  pendingProposalsOf,
  rolesOf,
} from '../../mls/session/state.ts';
import { decodeState, encodeState } from '../../mls/session/state-codec.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { type HandshakeEntry, nextHead } from '../../wire/entry.ts';
import type { Person } from '../chat-client.ts';
import { bringsRevoked } from './account-entry.ts';
import type { PendingCommit } from './commit-types.ts';
import { missedLine } from './gap.ts';
import { closeIntention, failEverything } from './intentions.ts';
import { lostOwnLines } from './lost-own.ts';
import { askedToGo, changesBetween, meanwhileText, membershipLine, rolesChange } from './membership-line.ts';
import { declarationBreach, handshakesOf, overreachTexts } from './opaque.ts';
import { keepTexts } from './outbox.ts';
import { keepRecentGenerations, park, receiveIn } from './placing.ts';
import { withHead } from './recent-heads.ts';
import { parkForRecovery, recoveredLine } from './recovery.ts';
import { freshLeaf } from './rotation.ts';
import { type EngineEnv, type Group, type LineDraft, type Needs, type OutboxItem, type Step, step } from './types.ts';

export async function applyCommit(
  env: EngineEnv,
  before: Group,
  placed: Group,
  entry: HandshakeEntry,
): Promise<Step | Needs> {
  const received = await receiveIn(env, placed, entry);
  if (received.kind !== 'commit') {
    const accounts = env.directory.takeMissing();
    if (accounts.length > 0) return { kind: 'needs-accounts', accounts };
    // the entry that failed is not counted: the position stays where the group can be read up to
    return parkForRecovery(env, before, entry, received.kind === 'rejected' ? received.code : 'not-a-commit');
  }
  const by = env.directory.personOf(received.committer.identity);
  const brought = [received.committer, ...received.added].map(({ identity }) => identity);
  if (bringsRevoked(placed, brought)) {
    // the server refuses these and leaves them out; who shows one has let a device in that its owner has ended
    return parkForRecovery(env, before, entry, 'revoked-device');
  }
  if (received.selfRemoved) {
    const { mls: _mls, pending, leaving: _leaving, ...rest } = placed;
    // who asked to go was not thrown out: whose turn it was to commit the leave means nothing
    const whose = leaves(before) ? env.directory.person(env.me.account, env.me.device) : by;
    const line: LineDraft = { kind: 'removed-me', by: whose, time: entry.time, position: entry.position };
    const gone = failEverything(
      env,
      { ...rest, phase: 'removed', generations: new Map() },
      'you are no longer a member',
      entry.time,
    );
    // an own way back in may be placed behind the removal already
    const ended: Group = pending?.kind === 'external' ? { ...gone.group, pending } : gone.group;
    return step(ended, { lines: [line, ...gone.lines], signals: gone.signals, consumed: [received.consumed] });
  }
  const rolesBefore = placed.mls === undefined ? undefined : rolesOf(placed.mls);
  const line = membershipLine(env, entry, by, received.epoch, {
    ...received,
    now: () => membersOf(received.state),
    ...rolesChange(env, rolesBefore, received.roles ?? rolesBefore),
    ...(placed.mls === undefined ? {} : { asked: askedToGo(placed.mls) }),
  });
  const { pending, ...rest } = placed;
  const next: Group = { ...afterLostCommit(rest, pending, received.epoch), mls: received.state };
  return step(
    { ...next, generations: keepRecentGenerations(next, PAST_EPOCHS) },
    { lines: [line, ...breachLines(env, entry, by, received)], consumed: [received.consumed] },
  );
}

/** What a committer did that it may not, or said that is not so: told, and taken all the same. */
function breachLines(
  env: EngineEnv,
  entry: HandshakeEntry,
  by: Person,
  received: ReceivedCommit,
): readonly LineDraft[] {
  const { time, position } = entry;
  const texts = [
    ...overreachTexts(
      env,
      by.name,
      received.overreach.filter((each) => !isExpulsion(env, each)),
    ),
    declarationBreach(env, entry, by.name, received),
  ].filter((text) => text !== undefined);
  return texts.length === 0 ? [] : [{ kind: 'warning', text: `${texts.join('; ')}.`, time, position }];
}

/** Anybody may remove a device that its account has revoked. */
function isExpulsion(env: EngineEnv, each: ReceivedCommit['overreach'][number]): boolean {
  return each.kind === 'removes' && env.directory.isRevoked(each.identity);
}

/**
 * Our commit is in the log: it is the epoch's, so its state becomes ours.
 *
 * @param entry `position`: absent when the entry itself is no longer on the server
 */
export async function mergeOwnCommit(
  env: EngineEnv,
  placed: Group,
  pending: PendingCommit,
  entry: { readonly time: number; readonly position?: number },
): Promise<Step> {
  if (placed.mls === undefined || epochOf(placed.mls) !== pending.epoch) {
    const place = entry.position === undefined ? '' : ` at entry ${entry.position}`;
    return park(placed, `Our own commit${place} is of another epoch than the group`, entry.time);
  }
  const state = nextState(env, placed.mls, pending);
  const changes = changesBetween(env, placed.mls, state);
  const line = membershipLine(env, entry, env.directory.person(env.me.account, env.me.device), epochOf(state), changes);
  const { pending: _pending, leaving, ...rest } = placed;
  const due = placed.topic !== undefined && changes.added.length > 0 ? ({ topicDue: true } as const) : {};
  // a commit that only adds need not have new keys of its own
  const isRenewal = placed.intentions.some(({ id, kind }) => id === pending.intention && kind !== 'add');
  const leaf = isRenewal ? { leafUse: freshLeaf(env.now()) } : {};
  const merged: Group = { ...rest, ...due, ...leaf, mls: state, ...(leaving === undefined ? {} : { leaving }) };
  const closed = closeIntention(merged, pending.intention);
  return step(
    { ...closed.group, generations: keepRecentGenerations(closed.group, PAST_EPOCHS) },
    { lines: [line], signals: closed.signals, consumed: pending.consumed === undefined ? [] : [pending.consumed] },
  );
}

/** Our external commit came back: the group begins anew at its entry. */
export async function installExternal(
  env: EngineEnv,
  group: Group,
  pending: PendingCommit,
  entry: HandshakeEntry,
  bytes: Uint8Array,
): Promise<Step> {
  const state = decodeState(pending.next, env.config);
  if (!equalBytes(groupIdOf(state), group.bytes)) return park(group, 'Our own commit is of another group', entry.time);
  const { head, heads: _heads, ...headless } = group;
  // after a gap nobody here knows the chain: the head is taken over from the page
  const follows = head !== undefined && entry.position === group.position + 1;
  const placed = follows ? withHead(group, entry.position, nextHead(head, bytes, env.sha256)) : headless;
  const { pending: _pending, parkedReason: _reason, leaving: _leaving, isOfLost: _lost, recovery, ...rest } = placed;
  // what the server had taken before it was missed, and did not come until here, was among what is gone
  const isLost = ({ accepted }: OutboxItem): boolean => accepted && recovery?.missed !== undefined;
  const unsaid = group.outbox.filter((item) => !isLost(item));
  const joined: Group = {
    ...rest,
    phase: 'member',
    position: entry.position,
    mls: state,
    generations: new Map(),
    leafUse: freshLeaf(env.now()),
    membersDue: entry.position,
    // ciphertexts of a member in good standing stay good, and may be on their way: only what was made out of step is made anew
    outbox: group.phase === 'member' ? group.outbox : keepTexts({ ...group, outbox: unsaid }),
  };
  const lines: LineDraft[] = group.outbox.filter(isLost).flatMap((item) => lostOwnLines(env, group, item));
  const { time, position } = entry;
  const missed = entry.position - group.position - 1;
  if (recovery !== undefined && !recovery.gaveUp) {
    const at = { epoch: epochOf(state), time, position };
    lines.push(recovery.missed === undefined ? recoveredLine(recovery, at) : missedLine(group, recovery.missed, at));
  } else {
    if (group.position > 0 && missed > 0) {
      lines.push({ kind: 'warning', text: `${missed} entries before this could not be read here.`, time, position });
    }
    const by = env.directory.person(env.me.account, env.me.device);
    lines.push({ kind: 'joined', by, epoch: epochOf(state), time, position, ...handshakesOf(joined) });
  }
  const meanwhile = group.mls === undefined ? undefined : meanwhileText(changesBetween(env, group.mls, state), env);
  if (meanwhile !== undefined) lines.push({ kind: 'warning', text: meanwhile, time, position });
  const closed = closeIntention(joined, pending.intention);
  return step(closed.group, { lines, signals: closed.signals });
}

/**
 * The state our commit leads to, with the ratchets of the ended epoch as they are now: messages that came after the
 * commit was made have moved them, and their used keys must not come back.
 */
function nextState(env: EngineEnv, current: MlsState, pending: PendingCommit): MlsState {
  const moved = new Map(encodeState(current).ratchets.map((row) => [`${row.epoch}/${row.leaf}`, row]));
  const ratchets = pending.next.ratchets.map((row) => moved.get(`${row.epoch}/${row.leaf}`) ?? row);
  return decodeState({ epochRecord: pending.next.epochRecord, ratchets }, env.config);
}

/** Whether our own leave waits for a commit in this epoch. */
function leaves({ leaving, mls }: Group): boolean {
  if (leaving === undefined || mls === undefined) return false;
  const own = ownLeafOf(mls);
  return pendingProposalsOf(mls).some(({ proposal }) => proposal.kind === 'remove' && proposal.leaf === own);
}

/** Another commit ended the epoch: ours is void. What it was made for stays and is tried again. */
function afterLostCommit(group: Group, pending: PendingCommit | undefined, epoch: number): Group {
  const { leaving, ...rest } = group;
  // a proposal is of one epoch; while we are still a member the leave is proposed again
  const again = leaving === undefined ? {} : { leaving: { ...leaving, accepted: false } };
  const kept = { ...rest, ...again };
  // an external commit starts from the server's state: of an epoch that is not over here it can still come
  return pending?.kind === 'external' && pending.epoch >= epoch ? { ...kept, pending } : kept;
}
