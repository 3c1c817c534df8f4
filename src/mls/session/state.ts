import type { ClientState } from 'ts-mls';
import { encodeRatchetTree } from 'ts-mls/ratchetTree.js';
import type { SecretTree, SecretTreeNode } from 'ts-mls/secretTree.js';
import { fromBase64 } from '../../wire/bytes.ts';
import { identityOfCredential } from '../config.ts';
import { nobleSha256 } from '../encoding/sha256.ts';
import { MlsError } from '../errors.ts';
import { type HandshakeSender, rolesIn } from '../framing.ts';
import { type ProposalSummary, summaryOf } from '../handshake.ts';
import type { GroupRoles } from '../roles.ts';

declare const groupState: unique symbol;
/**
 * One client's state of one group in one epoch, secrets included. A value: no operation changes it, each gives a new
 * one. Use one operation at a time per group and always go on from the newest state; two sends from the same state
 * would use one key twice.
 */
export interface GroupState {
  readonly [groupState]: 'GroupState';
}

/** A member of the group. */
export interface Member {
  readonly leaf: number;
  readonly identity: string;
  readonly signatureKey: Uint8Array;
}

/** A proposal that waits for a commit. */
export interface PendingProposal {
  /** ProposalRef, RFC 9420 §5.2. */
  readonly ref: Uint8Array;
  readonly sender: HandshakeSender;
  readonly proposal: ProposalSummary;
}

declare const consumed: unique symbol;
/** Secrets that an operation has used up; see {@link zeroConsumed}. */
export interface Consumed {
  readonly [consumed]: 'Consumed';
}

export function groupIdOf(state: GroupState): Uint8Array {
  return unwrap(state).groupContext.groupId.slice();
}

export function epochOf(state: GroupState): number {
  return Number(unwrap(state).groupContext.epoch);
}

/** Equal for two members exactly when they agree about everything up to this epoch (RFC 9420 §8.7). */
export function epochAuthenticatorOf(state: GroupState): Uint8Array {
  return unwrap(state).keySchedule.epochAuthenticator.slice();
}

export function ownLeafOf(state: GroupState): number {
  return unwrap(state).privatePath.leafIndex;
}

/** @throws MlsError `not-active` when our leaf is gone. */
export function ownIdentityOf(state: GroupState): string {
  const own = memberAt(unwrap(state).ratchetTree, ownLeafOf(state));
  if (own === undefined) throw new MlsError('not-active', 'there is no leaf of ours in this group');
  return own.identity;
}

/** Ascending by leaf. */
export function membersOf(state: GroupState): readonly Member[] {
  return membersIn(unwrap(state).ratchetTree);
}

/** The roles that the group context states; `undefined` for a group that has none. */
export function rolesOf(state: GroupState): GroupRoles | undefined {
  return rolesIn(unwrap(state).groupContext.extensions);
}

/** In the order in which they came. */
export function pendingProposalsOf(state: GroupState): readonly PendingProposal[] {
  return Object.entries(unwrap(state).unappliedProposals).map(([ref, { proposal, senderLeafIndex }]) => ({
    ref: fromBase64(ref)!,
    sender: senderLeafIndex === undefined ? { kind: 'new-member-proposal' } : { kind: 'member', leaf: senderLeafIndex },
    proposal: summaryOf(proposal, nobleSha256),
  }));
}

/** The ratchet tree as a `ratchet_tree` extension carries it (RFC 9420 §12.4.3.3). */
export function ratchetTreeBytesOf(state: GroupState): Uint8Array {
  return encodeRatchetTree(unwrap(state).ratchetTree);
}

/** Whether we are still a member. */
export function isActive(state: GroupState): boolean {
  return unwrap(state).groupActiveState.kind === 'active';
}

/**
 * Overwrites secrets that are used up. Only when the new state is durable and, for our own commit, the server has
 * accepted it: an old state whose secrets are gone can no longer process the commit that won instead.
 */
export function zeroConsumed(used: Consumed): void {
  for (const secret of used as unknown as readonly Uint8Array[]) secret.fill(0);
}

// ─── for the operations in this folder ───

type RatchetTree = ClientState['ratchetTree'];

export function unwrap(state: GroupState): ClientState {
  return state as unknown as ClientState;
}

export function wrap(state: ClientState): GroupState {
  return withoutParentRatchets(state) as unknown as GroupState;
}

const lazyStates = new WeakSet<ClientState>();

/** Marks a state that makes its members and message keys when they are asked for. */
export function asLazy(state: ClientState): ClientState {
  lazyStates.add(state);
  return state;
}

/**
 * The state with all its parts in place. To the engine each lazy one is an object of another kind: what works on a state is compiled
 * anew when it meets one.
 */
export function readWhole(state: ClientState): ClientState {
  if (!lazyStates.has(state)) return state;
  return {
    groupContext: state.groupContext,
    ratchetTree: state.ratchetTree,
    keySchedule: state.keySchedule,
    privatePath: state.privatePath,
    signaturePrivateKey: state.signaturePrivateKey,
    unappliedProposals: state.unappliedProposals,
    confirmationTag: state.confirmationTag,
    groupActiveState: state.groupActiveState,
    secretTree: state.secretTree,
    historicalReceiverData: state.historicalReceiverData,
    clientConfig: state.clientConfig,
  };
}

export function asConsumed(secrets: readonly Uint8Array[]): Consumed {
  return secrets as unknown as Consumed;
}

/** @throws MlsError `not-active` */
export function activeState(state: GroupState): ClientState {
  if (!isActive(state)) throw new MlsError('not-active', 'we are no member of this group any more');
  return unwrap(state);
}

export function memberAt(tree: RatchetTree, leaf: number): Member | undefined {
  const node = tree[leaf * 2];
  if (node === undefined || node.nodeType !== 'leaf') return undefined;
  return {
    leaf,
    identity: identityOfCredential(node.leaf.credential) ?? '',
    signatureKey: node.leaf.signaturePublicKey.slice(),
  };
}

export function membersIn(tree: RatchetTree): Member[] {
  const members: Member[] = [];
  for (let leaf = 0; leaf * 2 < tree.length; leaf += 1) {
    const member = memberAt(tree, leaf);
    if (member !== undefined) members.push(member);
  }
  return members;
}

const NO_SECRET = new Uint8Array(0);
const NO_RATCHET = { secret: NO_SECRET, generation: 0, unusedGenerations: {} };
/** Stands where no member is. Nobody can send from there: the signature check finds no key. */
export const EMPTY_RATCHETS: SecretTreeNode = { handshake: NO_RATCHET, application: NO_RATCHET };

/**
 * The library derives a ratchet for every node of the tree, but only leaves ever send. The others would be secrets
 * that nobody needs, in memory and on disk.
 */
function withoutParentRatchets(state: ClientState): ClientState {
  const { secretTree, ratchetTree } = state;
  if (secretTree.length > 1 && secretTree[1] === EMPTY_RATCHETS) return state;
  const kept: SecretTree = secretTree.map((node, index) =>
    index % 2 === 0 && ratchetTree[index] !== undefined ? node : EMPTY_RATCHETS,
  );
  return secretTree.length > 1 ? { ...state, secretTree: kept } : state;
}
