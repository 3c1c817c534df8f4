import { createProposal, encodeMlsMessage } from 'ts-mls';
import { fromBase64, toBase64 } from '../../wire/bytes.ts';
import { guardLibrary } from '../errors.ts';
import type { Suite } from '../suite.ts';
import { activeState, type GroupState, unwrap, wrap } from './state.ts';

export interface LeaveProposal {
  /**
   * To go on from, stored before the proposal leaves: a private one has used a key of the handshake ratchet. The proposal
   * is not pending in it before {@link withOwnLeave}, or, as a PublicMessage, before it came back and was received.
   */
  readonly state: GroupState;
  /** PublicMessage or PrivateMessage, as an MLSMessage. */
  readonly proposal: Uint8Array;
  /** ProposalRef. */
  readonly ref: Uint8Array;
}

/**
 * Asks to be removed: a Remove of our own leaf. Another member has to commit it (RFC 9420 §12.2).
 *
 * @throws MlsError `not-active`, `library`
 */
export async function createLeaveProposal(
  suite: Suite,
  state: GroupState,
  options: { readonly authenticatedData?: Uint8Array; readonly handshakes?: 'private' } = {},
): Promise<LeaveProposal> {
  const before = activeState(state);
  const { newState, message } = await guardLibrary('leave', () =>
    createProposal(
      before,
      options.handshakes !== 'private',
      { proposalType: 'remove', remove: { removed: before.privatePath.leafIndex } },
      suite,
      options.authenticatedData ?? new Uint8Array(0),
    ),
  );
  const [ref = ''] = Object.keys(newState.unappliedProposals).filter((known) => !(known in before.unappliedProposals));
  return {
    state: wrap({ ...newState, unappliedProposals: before.unappliedProposals }),
    proposal: encodeMlsMessage(message),
    ref: fromBase64(ref) ?? new Uint8Array(0),
  };
}

/** Our own private leave has its place in the log: nobody can decrypt what it sent itself, so it is entered by its ref. */
export function withOwnLeave(state: GroupState, ref: Uint8Array): GroupState {
  const before = unwrap(state);
  const leaf = before.privatePath.leafIndex;
  const pending = { proposal: { proposalType: 'remove', remove: { removed: leaf } }, senderLeafIndex: leaf } as const;
  return wrap({ ...before, unappliedProposals: { ...before.unappliedProposals, [toBase64(ref)]: pending } });
}

/** Forgets what waits for a commit, for proposals that the server turned out to have dropped. */
export function dropPendingProposals(state: GroupState): GroupState {
  return wrap({ ...unwrap(state), unappliedProposals: {} });
}
