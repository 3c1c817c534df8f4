import { type ClientState, createCommit as createLibraryCommit, encodeMlsMessage, type Proposal } from 'ts-mls';
import { consumeRatchet } from 'ts-mls/secretTree.js';
import { equalBytes } from '../../wire/bytes.ts';
import { decodeMessage } from '../encoding/decode.ts';
import { guardLibrary, MlsError } from '../errors.ts';
import { type GroupRoles, ROLES_EXTENSION } from '../roles.ts';
import type { Suite } from '../suite.ts';
import { rolesBytes } from './create.ts';
import { groupInfoOf } from './group-info.ts';
import { type PendingPlan, type Present, planAdd, selectPending } from './pending.ts';
import { activeState, asConsumed, type Consumed, type GroupState, memberAt, wrap } from './state.ts';

export interface CommitIntent {
  /** Key packages, each an MLSMessage. One that a pending proposal adds already is taken from there. */
  readonly add?: readonly Uint8Array[];
  /** Leaves, never our own. */
  readonly remove?: readonly number[];
  readonly roles?: GroupRoles;
  /**
   * The commit becomes a PrivateMessage: for groups whose server does not read handshakes. Nor does it keep a group administered:
   * such a commit names an administrator when it would leave none.
   */
  readonly handshakes?: 'private';
  /** Our own removal, which waits, is left out: nobody else is there who commits it. */
  readonly leavesLast?: true;
  /** Nothing of what waits is part of the commit, and ends with the epoch. */
  readonly passesOver?: true;
  readonly authenticatedData?: Uint8Array;
  /** Whether the Welcome carries the ratchet tree; without it new members have to fetch the tree of this epoch. */
  readonly inlineTree: boolean;
  /** Whether the GroupInfo carries the ratchet tree. */
  readonly groupInfoTree: boolean;
  /** ms; the lifetimes of added packages are judged by it. */
  readonly now: number;
}

export interface Committed {
  /** Ours once the commit is accepted. Until then keep the state before; drop this one when another commit won. */
  readonly next: GroupState;
  /**
   * The present epoch, to go on from until then. A private commit has used a key of its handshake ratchet, which must not
   * come back even when the commit is never accepted; else it is the state that was handed in.
   */
  readonly current: GroupState;
  /** PublicMessage or PrivateMessage, as an MLSMessage. */
  readonly commit: Uint8Array;
  /** Present exactly when members are added. */
  readonly welcome?: Uint8Array;
  /** Of the new epoch, with external_pub. */
  readonly groupInfo: Uint8Array;
  /** To be zeroed when the commit was accepted and `next` is stored, never before. */
  readonly consumed: Consumed;
  /** References of pending proposals that could not be part of a valid commit; they end with this epoch. */
  readonly dropped: readonly Uint8Array[];
}

/**
 * A commit over all pending proposals that are valid together and everything in the intent; an empty intent rotates
 * our own keys (RFC 9420 §12.4).
 *
 * @throws MlsError `not-active`, `own-leave-pending`, `unknown-leaf`, `invalid-key-package`, `invalid-argument`,
 * `library`
 */
export async function createCommit(suite: Suite, state: GroupState, intent: CommitIntent): Promise<Committed> {
  const before = activeState(state);
  const removes = wantedRemoves(before, intent.remove ?? []);
  const plan = await selectPending(suite, before, {
    ...{ now: intent.now, removes, roles: intent.roles },
    inherits: intent.handshakes === 'private',
    leavesLast: intent.leavesLast === true,
    passesOver: intent.passesOver === true,
  });
  const proposals: Proposal[] = [
    ...removes
      .filter((leaf) => !plan.removes.has(leaf))
      .map((removed): Proposal => ({ proposalType: 'remove', remove: { removed } })),
    ...(await wantedAdds(suite, plan, intent)),
    ...wantedExtensions(before, plan.roles),
  ];
  const addsMembers = [...proposals, ...Object.values(plan.unapplied).map((pending) => pending.proposal)].some(
    (proposal) => proposal.proposalType === 'add',
  );
  const result = await guardLibrary('commit', () =>
    createLibraryCommit(
      { state: { ...before, unappliedProposals: plan.unapplied }, cipherSuite: suite },
      {
        wireAsPublicMessage: intent.handshakes !== 'private',
        extraProposals: proposals,
        ratchetTreeExtension: intent.inlineTree && addsMembers,
        authenticatedData: intent.authenticatedData ?? new Uint8Array(0),
      },
    ),
  );
  const { newState, commit, welcome, consumed } = result;
  return {
    next: wrap(newState),
    current: intent.handshakes === 'private' ? await pastHandshake(suite, before) : state,
    commit: encodeMlsMessage(commit),
    ...(welcome === undefined
      ? {}
      : { welcome: encodeMlsMessage({ version: 'mls10', wireformat: 'mls_welcome', welcome }) }),
    groupInfo: await groupInfoOf(suite, newState, intent.groupInfoTree),
    consumed: asConsumed(consumed),
    dropped: plan.dropped,
  };
}

/** The state with the next key of our own handshake ratchet used up. */
async function pastHandshake(suite: Suite, state: ClientState): Promise<GroupState> {
  const own = state.privatePath.leafIndex * 2;
  const { newTree } = await guardLibrary('ratchet', () => consumeRatchet(state.secretTree, own, 'commit', suite));
  return wrap({ ...state, secretTree: newTree });
}

function wantedRemoves(state: ClientState, wanted: readonly number[]): number[] {
  for (const leaf of wanted) {
    if (leaf === state.privatePath.leafIndex) {
      throw new MlsError('invalid-argument', 'a committer cannot remove itself: use createLeaveProposal');
    }
    if (memberAt(state.ratchetTree, leaf) === undefined) {
      throw new MlsError('unknown-leaf', `there is no member at leaf ${leaf}`);
    }
  }
  return [...new Set(wanted)];
}

async function wantedAdds(suite: Suite, plan: PendingPlan, intent: CommitIntent): Promise<Proposal[]> {
  const present: Present[] = [...plan.present];
  const pendingKeys = Object.values(plan.unapplied).flatMap(({ proposal }) =>
    proposal.proposalType === 'add' ? [proposal.add.keyPackage.leafNode.signaturePublicKey] : [],
  );
  const proposals: Proposal[] = [];
  for (const bytes of intent.add ?? []) {
    const decoded = decodeMessage(bytes);
    if ('malformed' in decoded || decoded.message.wireformat !== 'mls_key_package') {
      throw new MlsError('invalid-key-package', 'not a key package');
    }
    const { keyPackage } = decoded.message;
    if (pendingKeys.some((key) => equalBytes(key, keyPackage.leafNode.signaturePublicKey))) continue;
    const planned = await planAdd(suite, bytes, present, intent.now);
    if ('refusal' in planned) throw new MlsError('invalid-key-package', planned.refusal);
    present.push(planned);
    proposals.push({ proposalType: 'add', add: { keyPackage } });
  }
  return proposals;
}

/** Group context extensions are replaced as a whole (RFC 9420 §12.1.7): all others stay as they are. */
function wantedExtensions(state: ClientState, roles: GroupRoles | undefined): Proposal[] {
  if (roles === undefined) return [];
  const others = state.groupContext.extensions.filter((extension) => extension.extensionType !== ROLES_EXTENSION);
  const extensions = [...others, { extensionType: ROLES_EXTENSION, extensionData: rolesBytes(roles) }];
  return [{ proposalType: 'group_context_extensions', groupContextExtensions: { extensions } }];
}
