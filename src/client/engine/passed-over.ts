import type { CommitIntent } from '../../mls/session/commit.ts';
import { isOwnRemovalDue } from '../../mls/session/pending.ts';
import { type GroupState as MlsState, membersOf, ownLeafOf, pendingProposalsOf } from '../../mls/session/state.ts';
import type { Intention } from './commit-types.ts';
import { addIntention, replaceIntention } from './intentions.ts';
import { leaversIn, PROPOSAL_TURN_MAX_MS } from './leave.ts';
import { handshakesOf, isOpaque } from './opaque.ts';
import { type EngineEnv, type Group, type LineDraft, type Step, step } from './types.ts';

/**
 * What waits in an epoch keeps everybody from writing until a commit covers it (RFC 9420 §12.4). In an opaque group no server has looked
 * at it: there may be nobody who commits it, or a commit of it may never be taken. Then a commit that leaves it out ends the epoch, and
 * it with it, for all members; and who writes is told.
 */

type CommitOfProposals = Extract<Intention, { kind: 'commit-proposals' }>;

/** How long who is to be removed waits for somebody to carry that out: whoever is there has had its turn twice by then. */
export const REMOVAL_WAIT_MS = 2 * PROPOSAL_TURN_MAX_MS;

/**
 * Whether own texts wait for the removal of this device, which another member has proposed, and which it cannot commit itself. In an opaque
 * group: of another the server has judged what waits, takes no commit that leaves it out, and the one that carries it out is still to come.
 */
export function isHeldByRemoval(group: Group): boolean {
  const { phase, mls, pending, intentions, outbox } = group;
  if (phase !== 'member' || mls === undefined || pending !== undefined || intentions.length > 0) return false;
  if (!isOpaque(group)) return false;
  // who has asked to go writes nothing more
  if (!isOwnRemovalDue(mls, handshakesOf(group)) || leaversIn(mls).has(ownLeafOf(mls))) return false;
  return outbox.some((item) => !item.accepted && (item.sealed === undefined || item.stale));
}

/** Asks for a commit of all that waits but the own removal. Changes nothing where that holds no text any more. */
export function passOverRemoval({ directory }: Pick<EngineEnv, 'directory'>, group: Group): Step {
  const { mls, position } = group;
  if (!isHeldByRemoval(group) || mls === undefined) return step(group);
  const proposers = new Set(
    pendingProposalsOf(mls).flatMap(({ sender, proposal }) =>
      sender.kind === 'member' && proposal.kind === 'remove' && proposal.leaf === ownLeafOf(mls) ? [sender.leaf] : [],
    ),
  );
  const names = new Set(
    membersOf(mls).flatMap(({ leaf, identity }) => (proposers.has(leaf) ? [directory.personOf(identity).name] : [])),
  );
  const told = `${[...names].join(', ')} proposed to remove you, and nobody has carried that out: it is passed over, so that your texts go out.`;
  const leaveOut = { what: 'own-removal', told } as const;
  return addIntention(group, `past-removal-${position}`, { kind: 'commit-proposals', leaveOut });
}

/** Nobody takes a commit of what waits: the next one leaves all of it out. */
export function passOverAll(group: Group, intention: CommitOfProposals, reason: string): Step {
  const told = `What was proposed in this group cannot be carried out (${reason}): it is passed over, so that texts go out.`;
  const anew: Intention = { ...intention, leaveOut: { what: 'everything', told }, attempts: 0, refusals: 0 };
  return step(replaceIntention(group, anew));
}

/** What people are told when a commit that leaves something out is made for the first time. */
export function passedOverLines(env: Pick<EngineEnv, 'now'>, intention: Intention): readonly LineDraft[] {
  if (intention.kind !== 'commit-proposals' || intention.leaveOut === undefined || intention.attempts > 0) return [];
  return [{ kind: 'warning', text: intention.leaveOut.told, time: env.now() }];
}

/** What a commit of what waits leaves out; `undefined` where it is to cover all of it. */
export function leftOut({ leaveOut }: CommitOfProposals): Pick<CommitIntent, 'leavesLast' | 'passesOver'> | undefined {
  switch (leaveOut?.what) {
    case 'own-removal':
      return { leavesLast: true };
    case 'everything':
      return { passesOver: true };
    case undefined:
      return undefined;
  }
}

/** Why somebody whose removal waits can commit nothing. */
export function ownRemovalReason({ mls, leaving }: { readonly mls?: MlsState; readonly leaving?: unknown }): string {
  const isOwn = leaving !== undefined || (mls !== undefined && leaversIn(mls).has(ownLeafOf(mls)));
  return isOwn ? 'you are leaving this group' : 'somebody has proposed to remove you, which is still to be carried out';
}
