import type { ClientState, MLSMessage, PrivateMessage, PublicMessage } from 'ts-mls';
import { emptyPskIndex, processPrivateMessage, processPublicMessage } from 'ts-mls';
import { unprotectPublicMessage } from 'ts-mls/messageProtectionPublic.js';
import { CryptoVerificationError } from 'ts-mls/mlsError.js';
import { decryptSenderData } from 'ts-mls/privateMessage.js';
import type { SenderData } from 'ts-mls/sender.js';
import { equalBytes } from '../../wire/bytes.ts';
import { FORWARD_STEPS } from '../config.ts';
import { decodeMessage } from '../encoding/decode.ts';
import { nobleSha256 } from '../encoding/sha256.ts';
import { type HandshakeSender, senderOf } from '../framing.ts';
import { type ProposalSummary, summaryOf } from '../handshake.ts';
import type { Suite } from '../suite.ts';
import { type JudgedAfterwards, judgedAfterwards } from './judged-afterwards.ts';
import { openApplication } from './open-application.ts';
import { type OpenedDirectly, openDirectly } from './open-directly.ts';
import { type CommitReport, inspectIncoming, ownRemovalIn, reportCommit, reportOwnRemoval } from './received-commit.ts';
import { asConsumed, type Consumed, type GroupState, isActive, memberAt, readWhole, unwrap, wrap } from './state.ts';

/**
 * Why a message was not taken; the state stays as it was.
 *
 * - `malformed`: not exactly one well-formed MLSMessage.
 * - `wrong-kind`: a Welcome, a GroupInfo or a key package.
 * - `wrong-group`, `future-epoch`, `past-epoch`: compared before the library sees it. `past-epoch` is a handshake of a
 *   past epoch, or a message of one that is no longer kept.
 * - `own-message`: we sent it; own entries are recognised by their id, not by decrypting them.
 * - `replayed`: this generation was read before, or was skipped so long ago that its key is gone.
 * - `too-far-ahead`: the sender's generation is beyond what the ratchet may jump.
 * - `undecryptable`: it does not open with the keys of its epoch.
 * - `unauthenticated`: it opens, but the signature or the membership tag is wrong.
 * - `unsupported-proposal`: it contains a proposal that our clients do not do.
 * - `invalid-commit`: it breaks a rule of RFC 9420 or of ours; the reason is the cause.
 * - `not-active`: we were removed from this group.
 */
export type Rejection =
  | 'malformed'
  | 'wrong-kind'
  | 'wrong-group'
  | 'future-epoch'
  | 'past-epoch'
  | 'own-message'
  | 'replayed'
  | 'too-far-ahead'
  | 'undecryptable'
  | 'unauthenticated'
  | 'unsupported-proposal'
  | 'invalid-commit'
  | 'not-active';

export interface ReceivedMessage {
  readonly kind: 'message';
  readonly plaintext: Uint8Array;
  readonly authenticatedData: Uint8Array;
  readonly sender: {
    readonly leaf: number;
    readonly identity: string;
    readonly signatureKey: Uint8Array;
    /** Dense per sender and epoch: a gap means that something was withheld (D20). */
    readonly generation: number;
    readonly epoch: number;
  };
  readonly state: GroupState;
  readonly consumed: Consumed;
}

export interface ReceivedCommit extends CommitReport {
  readonly kind: 'commit';
  readonly authenticatedData: Uint8Array;
  /** After a commit that removed us: the last state, no longer active. */
  readonly state: GroupState;
  readonly consumed: Consumed;
}

export interface ReceivedProposal {
  readonly kind: 'proposal';
  readonly sender: HandshakeSender;
  /** Of the sender, when it is a member. */
  readonly identity?: string;
  readonly proposal: ProposalSummary;
  /** With the proposal pending. */
  readonly state: GroupState;
}

export interface Rejected {
  readonly kind: 'rejected';
  readonly code: Rejection;
  readonly cause?: unknown;
}

export type Received = ReceivedMessage | ReceivedCommit | ReceivedProposal | Rejected;

/**
 * Takes one message of a group: of an application, a commit or a proposal. Never throws for what is in the bytes, and
 * never changes `state`; go on from the state in the result.
 */
export async function receive(suite: Suite, state: GroupState, bytes: Uint8Array): Promise<Received> {
  if (!isActive(state)) return rejected('not-active');
  const before = readWhole(unwrap(state));
  const opened = openDirectly(suite, before, bytes);
  if (opened !== undefined) return messageOf(before, opened);
  const decoded = decodeMessage(bytes);
  if ('malformed' in decoded) return rejected('malformed', new Error(decoded.malformed));
  const misplaced = placeOf(before, decoded.message);
  if (misplaced !== undefined) return rejected(misplaced);
  const { message } = decoded;
  if (message.wireformat === 'mls_private_message') return receivePrivate(suite, before, message.privateMessage);
  if (message.wireformat === 'mls_public_message') return receivePublic(suite, before, message.publicMessage);
  return rejected('wrong-kind');
}

function messageOf(before: ClientState, opened: OpenedDirectly): ReceivedMessage {
  const { plaintext, authenticatedData, generation } = opened;
  return {
    kind: 'message',
    plaintext,
    authenticatedData,
    sender: { ...memberAt(before.ratchetTree, opened.leaf)!, generation, epoch: Number(before.groupContext.epoch) },
    state: wrap(opened.state),
    consumed: asConsumed(opened.consumed),
  };
}

/** The library cannot tell a message of another group or epoch from garbage, so this is asked first. */
function placeOf(state: ClientState, message: MLSMessage): Rejection | undefined {
  const isPrivate = message.wireformat === 'mls_private_message';
  if (!isPrivate && message.wireformat !== 'mls_public_message') return 'wrong-kind';
  const { groupId, epoch } = isPrivate ? message.privateMessage : message.publicMessage.content;
  if (!equalBytes(groupId, state.groupContext.groupId)) return 'wrong-group';
  if (epoch > state.groupContext.epoch) return 'future-epoch';
  if (epoch === state.groupContext.epoch) return undefined;
  const isReadable =
    isPrivate && message.privateMessage.contentType === 'application' && state.historicalReceiverData.has(epoch);
  return isReadable ? undefined : 'past-epoch';
}

async function receivePrivate(suite: Suite, state: ClientState, message: PrivateMessage): Promise<Received> {
  const past = message.epoch === state.groupContext.epoch ? undefined : state.historicalReceiverData.get(message.epoch);
  const epochKeys = past ?? { ...state, senderDataSecret: state.keySchedule.senderDataSecret };
  let sender: SenderData | undefined;
  try {
    sender = await decryptSenderData(message, epochKeys.senderDataSecret, suite);
  } catch (cause) {
    return rejected('undecryptable', cause);
  }
  if (sender === undefined) return rejected('undecryptable');
  const who = memberAt(epochKeys.ratchetTree, sender.leafIndex);
  if (who === undefined) return rejected('unauthenticated', new Error(`nobody is at leaf ${sender.leafIndex}`));
  if (sender.leafIndex === state.privatePath.leafIndex) return rejected('own-message');

  const ratchets = epochKeys.secretTree[sender.leafIndex * 2]!;
  const ratchet = message.contentType === 'application' ? ratchets.application : ratchets.handshake;
  if (sender.generation < ratchet.generation && ratchet.unusedGenerations[sender.generation] === undefined) {
    return rejected('replayed');
  }
  if (sender.generation - ratchet.generation > FORWARD_STEPS) return rejected('too-far-ahead');

  if (message.contentType === 'application') {
    const opened = await openApplication(suite, state, past, message, sender, who.signatureKey);
    if (opened.kind !== 'opened') return rejected(opened.kind, opened.cause);
    return {
      kind: 'message',
      plaintext: opened.plaintext.slice(),
      authenticatedData: message.authenticatedData,
      sender: { ...who, generation: sender.generation, epoch: Number(message.epoch) },
      state: wrap(opened.state),
      consumed: asConsumed(opened.consumed),
    };
  }
  const incoming = inspectIncoming(state, undefined);
  const judged = judgedAfterwards(state);
  try {
    const result = await processPrivateMessage(judged.state, message, emptyPskIndex, suite, incoming.callback);
    if (result.kind !== 'newState') return rejected('undecryptable');
    const removal = privateRemoval(state, incoming, message);
    if (removal !== undefined) return removal;
    const from: HandshakeSender = { kind: 'member', leaf: sender.leafIndex };
    return handshakeResult(state, result, judged, incoming, from, message.authenticatedData);
  } catch (cause) {
    // somebody may have been put on our leaf in the same commit: then the library only finds that it cannot go on
    const removal = privateRemoval(state, incoming, message);
    if (removal !== undefined) return removal;
    if (message.contentType === 'commit' && incoming.seen() !== undefined) return rejected('invalid-commit', cause);
    return rejected(cause instanceof CryptoVerificationError ? 'unauthenticated' : 'undecryptable', cause);
  }
}

/** A private commit, authenticated and with proposals that are allowed, which removes us. */
function privateRemoval(
  state: ClientState,
  incoming: ReturnType<typeof inspectIncoming>,
  { authenticatedData }: PrivateMessage,
): ReceivedCommit | undefined {
  const seen = incoming.seen();
  if (seen?.kind !== 'commit' || incoming.refusal() !== undefined) return undefined;
  const report = ownRemovalIn(state, seen);
  return report === undefined ? undefined : removedBy(state, report, authenticatedData);
}

function removedBy(state: ClientState, report: CommitReport, authenticatedData: Uint8Array): ReceivedCommit {
  const gone: ClientState = { ...state, unappliedProposals: {}, groupActiveState: { kind: 'removedFromGroup' } };
  return { kind: 'commit', ...report, authenticatedData, state: wrap(gone), consumed: asConsumed([]) };
}

async function receivePublic(suite: Suite, state: ClientState, message: PublicMessage): Promise<Received> {
  const { content } = message;
  const { membershipKey } = state.keySchedule;
  const sender = senderOf(content.sender);
  // our own proposal is pending already and may come back; our own commit we merge by keeping its state
  const isOwn = sender.kind === 'member' && sender.leaf === state.privatePath.leafIndex;
  if (isOwn && content.contentType === 'commit') return rejected('own-message');
  const forgery = async (): Promise<Rejected | undefined> => {
    try {
      await unprotectPublicMessage(membershipKey, state.groupContext, state.ratchetTree, message, suite);
      return undefined;
    } catch (cause) {
      return rejected('unauthenticated', cause);
    }
  };
  const incoming = inspectIncoming(state, content);
  const judged = judgedAfterwards(state);
  try {
    const removal = await reportOwnRemoval(state, content);
    if (removal !== undefined) {
      const forged = await forgery();
      if (forged !== undefined) return forged;
      if ('invalid' in removal) return rejected('invalid-commit', new Error(removal.invalid));
      return removedBy(state, removal, content.authenticatedData);
    }
    // the library checks signature and membership tag first of all, so they are asked about again only when it refuses
    const result = await processPublicMessage(judged.state, message, emptyPskIndex, suite, incoming.callback);
    return handshakeResult(state, result, judged, incoming, sender, content.authenticatedData);
  } catch (cause) {
    const forged = await forgery();
    return forged ?? rejected(content.contentType === 'commit' ? 'invalid-commit' : 'unsupported-proposal', cause);
  }
}

function handshakeResult(
  before: ClientState,
  result: { readonly newState: ClientState; readonly consumed: readonly Uint8Array[] },
  judged: JudgedAfterwards,
  incoming: ReturnType<typeof inspectIncoming>,
  sender: HandshakeSender,
  authenticatedData: Uint8Array,
): Received {
  const refusal = incoming.refusal();
  if (refusal !== undefined) return rejected(refusal.code, new Error(refusal.reason));
  const { consumed } = result;
  const newState = judged.restored(result.newState);
  const seen = incoming.seen();
  if (seen === undefined) return rejected('undecryptable', new Error('the library did not say what it processed'));
  if (judged.isRefused()) {
    const code = seen.kind === 'commit' ? 'invalid-commit' : 'unsupported-proposal';
    return rejected(code, new Error('a leaf with a credential that is not known to be good'));
  }
  if (seen.kind === 'proposal') {
    const identity = sender.kind === 'member' ? memberAt(before.ratchetTree, sender.leaf)?.identity : undefined;
    return {
      kind: 'proposal',
      sender,
      ...(identity === undefined ? {} : { identity }),
      proposal: summaryOf(seen.proposal.proposal, nobleSha256),
      state: wrap(newState),
    };
  }
  const report = reportCommit(before, newState, seen);
  if ('invalid' in report) return rejected('invalid-commit', new Error(report.invalid));
  return { kind: 'commit', ...report, authenticatedData, state: wrap(newState), consumed: asConsumed(consumed) };
}

function rejected(code: Rejection, cause?: unknown): Rejected {
  return cause === undefined ? { kind: 'rejected', code } : { kind: 'rejected', code, cause };
}
