import { accountOf, parseIdentity } from '../../mls/identity.ts';
import { isAdmin } from '../../mls/roles.ts';
import type { CommitIntent } from '../../mls/session/commit.ts';
import { isOwnRemovalDue } from '../../mls/session/pending.ts';
import { createLeaveProposal } from '../../mls/session/proposal.ts';
import {
  epochOf,
  type Member,
  type GroupState as MlsState,
  membersOf,
  ownLeafOf,
  pendingProposalsOf,
  rolesOf,
} from '../../mls/session/state.ts';
import { type AccountId, newClientId } from '../../wire/ids.ts';
import { encodeBinding } from './binding.ts';
import { failEverything, heirKey } from './intentions.ts';
import { handshakesOf } from './opaque.ts';
import { type EngineEnv, type Group, type LineDraft, type Step, step } from './types.ts';

/** How long the member with the next leaf waits for the one before it to commit a proposal. */
export const PROPOSAL_TURN_MS = 300;
/** The longest such wait, however large the group. */
export const PROPOSAL_TURN_MAX_MS = 15_000;

/** Whether a leave has still to be proposed in the group's present epoch; a proposal ends with its epoch. */
export function mustPropose(group: Group): boolean {
  return isToPropose(group) && !isLastToAdminister(group);
}

function isToPropose({ phase, leaving, mls, toExpel }: Group): boolean {
  if (leaving === undefined || phase !== 'member' || mls === undefined) return false;
  if (isLeftAlone({ mls, ...(toExpel === undefined ? {} : { toExpel }) })) return false;
  return leaving.proposal === undefined || leaving.epoch < epochOf(mls);
}

/**
 * Whom a member that is leaving makes an administrator first: the other administrators that were there when it asked to go have gone,
 * and a group needs one. The account of the first member that stays and with whom it did not come to nothing in this epoch;
 * `undefined`: there is nobody, or no need.
 */
export function heirToName(group: Group): AccountId | undefined {
  const { mls, pending, intentions } = group;
  if (mls === undefined || pending !== undefined || intentions.length > 0) return undefined;
  if (!isToPropose(group) || !isLastToAdminister(group)) return undefined;
  const leavers = leaversIn(mls);
  const { heirsRefused = [] } = group;
  return membersOf(mls)
    .filter((member) => member.leaf !== ownLeafOf(mls) && !leavers.has(member.leaf) && !isRevoked(group, member))
    .flatMap(({ identity }) => accountOf(identity) ?? [])
    .find((account) => !heirsRefused.includes(heirKey(epochOf(mls), account)));
}

/** Whether this device is an administrator's, and no other that its account has not revoked is. */
function isLastToAdminister(group: Group): boolean {
  const { mls } = group;
  if (mls === undefined) return false;
  const able = membersOf(mls).filter((member) => administers(mls, member) && !isRevoked(group, member));
  return able.length === 1 && able[0]?.leaf === ownLeafOf(mls);
}

function administers(mls: MlsState, { identity }: Member): boolean {
  const [roles, account] = [rolesOf(mls), accountOf(identity)];
  return roles !== undefined && account !== undefined && isAdmin(roles, account);
}

function isRevoked({ toExpel = [] }: Pick<Group, 'toExpel'>, { identity }: Member): boolean {
  const device = parseIdentity(identity)?.device;
  return device !== undefined && toExpel.includes(device);
}

/** Leaves whose own wish to go waits for a commit. Others may have proposed that somebody goes who wants to stay. */
export function leaversIn(mls: MlsState): ReadonlySet<number> {
  return new Set(
    pendingProposalsOf(mls).flatMap(({ sender, proposal }) =>
      sender.kind === 'member' && proposal.kind === 'remove' && proposal.leaf === sender.leaf ? [sender.leaf] : [],
    ),
  );
}

/** Whether every other member is a device that its account has revoked: nobody is there who could commit a leave. */
export function isLeftAlone(group: Pick<Group, 'mls' | 'toExpel'>): boolean {
  const { mls } = group;
  if (mls === undefined) return false;
  const own = ownLeafOf(mls);
  return membersOf(mls).every((member) => member.leaf === own || isRevoked(group, member));
}

/**
 * What a member commits that has asked to go as everybody else has who could commit that: they all go, and what its account has
 * revoked with them, so that the group can end here as for an only member. `undefined`: somebody stays, who commits the leaves.
 */
export function lastCommit(group: Group): Pick<CommitIntent, 'remove' | 'leavesLast'> | undefined {
  const { mls, leaving } = group;
  if (mls === undefined || leaving === undefined) return undefined;
  const leavers = leaversIn(mls);
  const members = membersOf(mls);
  if (!leavers.has(ownLeafOf(mls))) return undefined;
  if (!members.every((member) => leavers.has(member.leaf) || isRevoked(group, member))) return undefined;
  const remove = members.flatMap((member) =>
    member.leaf !== ownLeafOf(mls) && isRevoked(group, member) ? [member.leaf] : [],
  );
  return { remove, leavesLast: true };
}

/**
 * Whether a leave that nobody is left to commit can end the group here: once nothing of this device is on its way, so that what the
 * server takes is not said to be refused.
 */
export function mustEndAlone(group: Group): boolean {
  const { phase, leaving, pending, intentions, outbox } = group;
  if (phase !== 'member' || leaving === undefined || pending !== undefined || intentions.length > 0) return false;
  return isLeftAlone(group) && outbox.every(({ sealed, stale }) => sealed === undefined || stale);
}

/**
 * The end of a group that the person has left and nobody else is in: as after a removal, but without an entry of the log, for no
 * member can commit its own removal (RFC 9420 §12.2). The server goes on counting this device as a member; whatever comes is ignored.
 */
export function endAlone(env: EngineEnv, group: Group): Step {
  if (!mustEndAlone(group)) return step(group);
  const { mls: _mls, toExpel: _toExpel, ...rest } = group;
  const time = env.now();
  const by = env.directory.person(env.me.account, env.me.device);
  const line: LineDraft = { kind: 'removed-me', by, time, position: group.position };
  const gone = failEverything(
    env,
    { ...rest, phase: 'removed', generations: new Map() },
    'you are no longer a member',
    time,
  );
  return step(gone.group, { lines: [line, ...gone.lines], signals: gone.signals });
}

/** Makes the proposal; our own state has it pending when its entry comes back. */
export async function proposeLeave(env: EngineEnv, group: Group): Promise<Step> {
  if (!mustPropose(group) || group.mls === undefined) return step(group);
  const id = newClientId(env.now(), env.randomBytes);
  const handshakes = handshakesOf(group);
  const made = await createLeaveProposal(env.suite, group.mls, { authenticatedData: encodeBinding(id), ...handshakes });
  const { state, proposal, ref } = made;
  const leaving = { id, epoch: epochOf(group.mls), proposal, accepted: false };
  return step({ ...group, mls: state, leaving: handshakes.handshakes === undefined ? leaving : { ...leaving, ref } });
}

export function startLeaving(env: EngineEnv, group: Group): Step {
  if (group.leaving !== undefined) return step(group);
  return step({ ...group, leaving: { id: newClientId(env.now(), env.randomBytes), epoch: -1, accepted: false } });
}

export type ProposalAnswer =
  | { readonly kind: 'accepted' }
  /** The epoch ended first: proposed again in the next one. */
  | { readonly kind: 'stale' }
  | { readonly kind: 'refused'; readonly reason: string };

export function proposalAnswered(group: Group, id: string, answer: ProposalAnswer): Step {
  const { leaving, ...rest } = group;
  if (leaving?.id !== id) return step(group);
  switch (answer.kind) {
    case 'accepted':
      return step(
        { ...group, leaving: { ...leaving, accepted: true } },
        { signals: leaving.accepted ? [] : [{ kind: 'leave', outcome: { kind: 'done' } }] },
      );
    case 'stale':
      return step({ ...group, leaving: { ...leaving, accepted: true } });
    case 'refused':
      return step(rest, { signals: [{ kind: 'leave', outcome: { kind: 'refused', reason: answer.reason } }] });
  }
}

/**
 * When this member should commit what others have proposed: at once when a text of its own waits for that, else after
 * those before it in the tree had their turn. So one commits and the others see it; no storm. Where all have asked to go, it is the
 * administrators among them who do, for whoever commits is left with the group; in an opaque group the others after them, for those may
 * not come back. `undefined`: never.
 */
export function proposalTurn(group: Group): number | undefined {
  if (group.phase !== 'member' || group.mls === undefined || group.pending !== undefined) return undefined;
  const pending = pendingProposalsOf(group.mls);
  if (pending.length === 0) return undefined;
  const leaf = ownLeafOf(group.mls);
  const leavers = leaversIn(group.mls);
  if (leavers.has(leaf)) return lastCommit(group) === undefined ? undefined : lastTurn(group, group.mls, leavers);
  if (isOwnRemovalDue(group.mls, handshakesOf(group))) return undefined;
  if (group.outbox.some((item) => item.sealed === undefined || item.stale)) return 0;
  const rank = membersOf(group.mls).filter((member) => member.leaf < leaf && !leavers.has(member.leaf)).length;
  return turnOf(rank);
}

function lastTurn(group: Group, mls: MlsState, leavers: ReadonlySet<number>): number | undefined {
  const leaving = membersOf(mls).filter((member) => leavers.has(member.leaf) && !isRevoked(group, member));
  const admins = leaving.filter((member) => administers(mls, member));
  // whoever commits in an opaque group without administering it names itself; another group's server does not take that
  const others = leaving.filter((member) => !administers(mls, member));
  const able = handshakesOf(group).handshakes === 'private' ? [...admins, ...others] : admins;
  const rank = able.findIndex(({ leaf }) => leaf === ownLeafOf(mls));
  return rank < 0 ? undefined : turnOf(rank);
}

function turnOf(rank: number): number {
  return Math.min(rank * PROPOSAL_TURN_MS, PROPOSAL_TURN_MAX_MS);
}
