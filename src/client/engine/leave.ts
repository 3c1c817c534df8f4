import { createLeaveProposal } from '../../mls/session/proposal.ts';
import { epochOf, membersOf, ownLeafOf, pendingProposalsOf } from '../../mls/session/state.ts';
import { newClientId } from '../../wire/ids.ts';
import { encodeBinding } from './binding.ts';
import { handshakesOf } from './opaque.ts';
import { type EngineEnv, type Group, type Step, step } from './types.ts';

/** How long the member with the next leaf waits for the one before it to commit a proposal. */
export const PROPOSAL_TURN_MS = 300;
/** The longest such wait, however large the group. */
export const PROPOSAL_TURN_MAX_MS = 15_000;

/** Whether a leave has still to be proposed in the group's present epoch; a proposal ends with its epoch. */
export function mustPropose(group: Group): boolean {
  if (group.leaving === undefined || group.phase !== 'member' || group.mls === undefined) return false;
  return group.leaving.proposal === undefined || group.leaving.epoch < epochOf(group.mls);
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
