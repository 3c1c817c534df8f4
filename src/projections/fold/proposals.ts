import type { ProposalReceived } from '../../log/events.ts';
import type { KnownProposal } from '../../mls/handshake.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { Sha256 } from '../../wire/ids.ts';
import type { Draft } from './draft.ts';
import type { GroupState } from './group-state.ts';
import type { Handshakes } from './handshakes.ts';
import { dropped, type Place, placed, placeEntry, placeOf, type Result } from './place.ts';
import { groups, pendingProposals } from './rows.ts';
import { useWelcome } from './trees.ts';

/** More proposals than this cannot wait for one commit (D13). */
const PENDING_PROPOSALS_MAX = 256;

type Dropped = Extract<Result, { readonly kind: 'dropped' }>;

/** A proposal of the current epoch, by a member about its own group, waits for the next commit (D3). */
export function foldProposalReceived(
  draft: Draft,
  event: ProposalReceived,
  place: Place,
  { handshakes, sha256 }: { readonly handshakes: Handshakes; readonly sha256: Sha256 },
): Result {
  const state = draft.get(groups, event.group);
  if (state === undefined) return dropped('not-found', 'no such group');
  if (event.epoch !== state.epoch) return dropped('epoch-conflict', 'a commit has ended the epoch of this proposal');
  const read =
    state.declared === undefined ? openProposal(state, event, handshakes) : sealedProposal(state, event, sha256);
  if ('detail' in read) return read;
  const pending = draft.get(pendingProposals, state.no) ?? [];
  if (pending.some(({ ref }) => equalBytes(ref, read.ref)))
    return dropped('already-exists', 'this proposal waits already');
  if (pending.length >= PENDING_PROPOSALS_MAX) return dropped('rate-limited', 'too many proposals wait for a commit');
  const head = placeEntry(draft, state, place, (position) => ({
    kind: 'proposal',
    ...placeOf(event, position),
    epoch: event.epoch,
    payload: event.proposal,
  }));
  const { ref, sender, proposal } = read;
  draft.put(pendingProposals, state.no, [...pending, { ref, sender, proposal, position: head.position }]);
  useWelcome(draft, state.no, state.epoch, draft.deviceNo(event.device));
  return placed(state, head);
}

function openProposal(state: GroupState, event: ProposalReceived, handshakes: Handshakes): KnownProposal | Dropped {
  const read = handshakes.proposal(event.proposal);
  if (read.kind === 'malformed') return dropped('invalid-request', read.reason);
  if (!equalBytes(read.groupId, event.group) || read.epoch !== event.epoch) {
    return dropped('invalid-request', 'the proposal is of another group or epoch');
  }
  return sentBy(state, read.sender, event) ? read : dropped('forbidden', 'the proposal is not from this member');
}

/** Of an opaque group: nobody here knows what it wants, only that it is there and whose it is. */
function sealedProposal(state: GroupState, event: ProposalReceived, sha256: Sha256): KnownProposal | Dropped {
  const leaf = state.leaves.get(event.device);
  if (leaf === undefined) return dropped('forbidden', 'the proposal is not from a member');
  return { ref: sha256(event.proposal), sender: { kind: 'member', leaf }, proposal: { kind: 'unsupported', type: 0 } };
}

function sentBy(
  state: GroupState,
  sender: { readonly kind: string; readonly leaf?: number },
  event: ProposalReceived,
): boolean {
  return sender.kind === 'member' && sender.leaf !== undefined && state.leaves.get(event.device) === sender.leaf;
}
