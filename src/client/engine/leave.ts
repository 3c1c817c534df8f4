import { parseIdentity } from '../../mls/identity.ts';
import { createLeaveProposal } from '../../mls/session/proposal.ts';
import { epochOf, membersOf, ownLeafOf, pendingProposalsOf } from '../../mls/session/state.ts';
import { newClientId } from '../../wire/ids.ts';
import { encodeBinding } from './binding.ts';
import { failEverything } from './intentions.ts';
import { handshakesOf } from './opaque.ts';
import { type EngineEnv, type Group, type LineDraft, type Step, step } from './types.ts';

/** How long the member with the next leaf waits for the one before it to commit a proposal. */
export const PROPOSAL_TURN_MS = 300;
/** The longest such wait, however large the group. */
export const PROPOSAL_TURN_MAX_MS = 15_000;

/** Whether a leave has still to be proposed in the group's present epoch; a proposal ends with its epoch. */
export function mustPropose(group: Group): boolean {
  if (group.leaving === undefined || group.phase !== 'member' || group.mls === undefined) return false;
  if (isLeftAlone(group)) return false;
  return group.leaving.proposal === undefined || group.leaving.epoch < epochOf(group.mls);
}

/** Whether every other member is a device that its account has revoked: nobody is there who could commit a leave. */
export function isLeftAlone({ mls, toExpel = [] }: Pick<Group, 'mls' | 'toExpel'>): boolean {
  if (mls === undefined) return false;
  const own = ownLeafOf(mls);
  return membersOf(mls).every(({ leaf, identity }) => {
    const device = parseIdentity(identity)?.device;
    return leaf === own || (device !== undefined && toExpel.includes(device));
  });
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
 * those before it in the tree had their turn. So one commits and the others see it; no storm. `undefined`: never.
 */
export function proposalTurn(group: Group): number | undefined {
  if (group.phase !== 'member' || group.mls === undefined || group.pending !== undefined) return undefined;
  const pending = pendingProposalsOf(group.mls);
  if (pending.length === 0) return undefined;
  const leaf = ownLeafOf(group.mls);
  const leavers = new Set(pending.flatMap(({ proposal }) => (proposal.kind === 'remove' ? [proposal.leaf] : [])));
  if (leavers.has(leaf)) return undefined;
  if (group.outbox.some((item) => item.sealed === undefined || item.stale)) return 0;
  const rank = membersOf(group.mls).filter((member) => member.leaf < leaf && !leavers.has(member.leaf)).length;
  return Math.min(rank * PROPOSAL_TURN_MS, PROPOSAL_TURN_MAX_MS);
}
