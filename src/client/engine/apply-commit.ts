import { PAST_EPOCHS } from '../../mls/config.ts';
import {
  epochOf,
  groupIdOf,
  type GroupState as MlsState,
  membersOf,
  ownLeafOf,
  pendingProposalsOf,
} from '../../mls/session/state.ts';
import { decodeState, encodeState } from '../../mls/session/state-codec.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { type HandshakeEntry, nextHead } from '../../wire/entry.ts';
import type { Person } from '../chat-client.ts';
import { closeIntention, failEverything } from './intentions.ts';
import { keepTexts } from './outbox.ts';
import { keepRecentGenerations, park, receiveIn } from './placing.ts';
import {
  type EngineEnv,
  type Group,
  type LineDraft,
  type Needs,
  type PendingCommit,
  type Step,
  step,
} from './types.ts';

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
    const reason = received.kind === 'rejected' ? received.code : 'not a commit';
    // the entry that failed is not counted: the position stays where the group can be read up to
    return park(before, `The commit at entry ${entry.position} could not be processed (${reason})`, entry.time);
  }
  const by = env.directory.personOf(received.committer.identity);
  if (received.selfRemoved) {
    const { mls: _mls, pending: _pending, leaving: _leaving, ...rest } = placed;
    // who asked to go was not thrown out: whose turn it was to commit the leave means nothing
    const whose = leaves(before) ? env.directory.person(env.me.account, env.me.device) : by;
    const line: LineDraft = { kind: 'removed-me', by: whose, time: entry.time, position: entry.position };
    const gone = failEverything(
      { ...rest, phase: 'removed', generations: new Map() },
      'you are no longer a member',
      entry.time,
    );
    return step(gone.group, { lines: [line, ...gone.lines], signals: gone.signals, consumed: [received.consumed] });
  }
  const line = membershipLine(env, entry, by, received.epoch, received);
  const { pending, ...rest } = placed;
  const next: Group = { ...afterLostCommit(rest, pending), mls: received.state };
  return step(
    { ...next, generations: keepRecentGenerations(next, PAST_EPOCHS) },
    { lines: [line], consumed: [received.consumed] },
  );
}

/** Our commit came back in the log: it is the epoch's, so its state becomes ours. */
export async function mergeOwnCommit(
  env: EngineEnv,
  placed: Group,
  pending: PendingCommit,
  entry: HandshakeEntry,
): Promise<Step> {
  if (placed.mls === undefined || epochOf(placed.mls) !== pending.epoch) {
    return park(placed, `Our own commit at entry ${entry.position} is of another epoch than the group`, entry.time);
  }
  const state = nextState(env, placed.mls, pending);
  const changes = changesBetween(placed.mls, state);
  const line = membershipLine(env, entry, env.directory.person(env.me.account, env.me.device), epochOf(state), changes);
  const { pending: _pending, leaving, ...rest } = placed;
  const merged: Group = { ...rest, mls: state, ...(leaving === undefined ? {} : { leaving }) };
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
  const { pending: _pending, parkedReason: _reason, leaving: _leaving, head: _head, ...rest } = group;
  const follows = group.head !== undefined && entry.position === group.position + 1;
  const joined: Group = {
    ...rest,
    phase: 'member',
    position: entry.position,
    // after a gap nobody here knows the chain: the head is taken over from the page
    ...(follows ? { head: nextHead(group.head, bytes, env.sha256) } : {}),
    mls: state,
    generations: new Map(),
    outbox: keepTexts(group.outbox),
  };
  const lines: LineDraft[] = [];
  const { time, position } = entry;
  const missed = entry.position - group.position - 1;
  if (group.position > 0 && missed > 0) {
    lines.push({ kind: 'warning', text: `${missed} entries before this could not be read here.`, time, position });
  }
  const by = env.directory.person(env.me.account, env.me.device);
  lines.push({ kind: 'joined', by, epoch: epochOf(state), time, position });
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
function afterLostCommit(group: Group, pending: PendingCommit | undefined): Group {
  const { leaving, ...rest } = group;
  // a proposal is of one epoch; while we are still a member the leave is proposed again
  const again = leaving === undefined ? {} : { leaving: { ...leaving, accepted: false } };
  const kept = { ...rest, ...again };
  // an external commit starts from the server's state, whoever ended the epoch; the server will say that it is too late
  return pending?.kind === 'external' ? { ...kept, pending } : kept;
}

interface MembershipChange {
  readonly added: readonly { readonly identity: string }[];
  readonly removed: readonly { readonly identity: string }[];
}

function membershipLine(
  env: EngineEnv,
  entry: HandshakeEntry,
  by: Person,
  epoch: number,
  change: MembershipChange,
): LineDraft {
  // a member that joined again replaces its own leaf: nobody came and nobody went
  const came = new Set(change.added.map((member) => member.identity));
  const went = new Set(change.removed.map((member) => member.identity));
  const added = change.added.filter((member) => !went.has(member.identity));
  const removed = change.removed.filter((member) => !came.has(member.identity));
  return {
    kind: 'membership',
    by,
    added: added.map((member) => env.directory.personOf(member.identity)),
    removed: removed.map((member) => env.directory.personOf(member.identity)),
    rotated: added.length === 0 && removed.length === 0,
    epoch,
    time: entry.time,
    position: entry.position,
  };
}

function changesBetween(before: MlsState, after: MlsState): MembershipChange {
  const old = membersOf(before);
  const now = membersOf(after);
  const had = new Set(old.map((member) => member.identity));
  const has = new Set(now.map((member) => member.identity));
  return {
    added: now.filter((member) => !had.has(member.identity)),
    removed: old.filter((member) => !has.has(member.identity)),
  };
}
