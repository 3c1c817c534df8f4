import { createProposal, encodeMlsMessage } from 'ts-mls';
import { guardLibrary } from '../errors.ts';
import type { Suite } from '../suite.ts';
import { activeState, type GroupState, unwrap, wrap } from './state.ts';

/**
 * Asks to be removed: a Remove of our own leaf as a PublicMessage. Another member has to commit it (RFC 9420 §12.2).
 * `state` has the proposal pending; keep it only once the server has accepted the proposal.
 *
 * @throws MlsError `not-active`, `library`
 */
export async function createLeaveProposal(
  suite: Suite,
  state: GroupState,
  options: { readonly authenticatedData?: Uint8Array } = {},
): Promise<{ state: GroupState; proposal: Uint8Array }> {
  const before = activeState(state);
  const { newState, message } = await guardLibrary('leave', () =>
    createProposal(
      before,
      true,
      { proposalType: 'remove', remove: { removed: before.privatePath.leafIndex } },
      suite,
      options.authenticatedData ?? new Uint8Array(0),
    ),
  );
  return { state: wrap(newState), proposal: encodeMlsMessage(message) };
}

/** Forgets what waits for a commit, for proposals that the server turned out to have dropped. */
export function dropPendingProposals(state: GroupState): GroupState {
  return wrap({ ...unwrap(state), unappliedProposals: {} });
}
