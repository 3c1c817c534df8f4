import type { Proposal, PublicMessage } from 'ts-mls';
import { encodeAuthenticatedContent } from 'ts-mls/authenticatedContent.js';
import { encodeKeyPackage } from 'ts-mls/keyPackage.js';
import { toHex } from '../wire/bytes.ts';
import type { Sha256 } from '../wire/ids.ts';
import { identityOfCredential } from './config.ts';
import { decodeMessage } from './encoding/decode.ts';
import { refHash } from './encoding/ref-hash.ts';
import { type HandshakeSender, proposalTypeNumber, rolesIn, senderOf } from './framing.ts';
import type { GroupRoles } from './roles.ts';

/** What a leaf says about its owner. */
export interface LeafSummary {
  readonly identity: string;
  readonly signatureKey: Uint8Array;
}

/** What a proposal wants, as plain data that can be stored. `type` is the number of RFC 9420 §17.4. */
export type ProposalSummary =
  | ({ readonly kind: 'add'; readonly keyPackageRef: Uint8Array } & LeafSummary)
  | { readonly kind: 'remove'; readonly leaf: number }
  | ({ readonly kind: 'update' } & LeafSummary)
  /** New group context extensions; `roles` when there are well-formed ones among them. */
  | { readonly kind: 'extensions'; readonly roles?: GroupRoles }
  | { readonly kind: 'unsupported'; readonly type: number };

/** A proposal that was accepted and waits for its commit. */
export interface KnownProposal {
  /** ProposalRef, RFC 9420 §5.2. */
  readonly ref: Uint8Array;
  readonly sender: HandshakeSender;
  readonly proposal: ProposalSummary;
}

export type ProposalMessageSummary =
  | ({ readonly kind: 'proposal'; readonly groupId: Uint8Array; readonly epoch: number } & KnownProposal)
  | { readonly kind: 'malformed'; readonly reason: string };

export interface CommitSummary {
  readonly kind: 'commit';
  readonly groupId: Uint8Array;
  /** The epoch that this commit ends. */
  readonly epoch: number;
  readonly sender: HandshakeSender;
  readonly updates: readonly ({ readonly leaf: number } & LeafSummary)[];
  readonly removes: readonly number[];
  /** In the order in which RFC 9420 §12.4.2 applies them. */
  readonly adds: readonly ({ readonly keyPackageRef: Uint8Array } & LeafSummary)[];
  /** Whether group context extensions are replaced; `roles` then says what the roles become. */
  readonly rolesChanged: boolean;
  readonly roles?: GroupRoles;
  /** The new leaf in the update path: the committer's, or that of an external joiner. */
  readonly committer?: LeafSummary;
  readonly externalInit: boolean;
  /** References of known proposals, in the order of the commit. */
  readonly referenced: readonly Uint8Array[];
  /** References of proposals that nobody has seen: such a commit must be refused (D3). */
  readonly unknownRefs: readonly Uint8Array[];
  /** Types of proposals that no client here supports. */
  readonly unsupported: readonly number[];
  readonly hasPath: boolean;
  readonly authenticatedData: Uint8Array;
}

/**
 * What a public proposal wants, without secrets and without the tree. Nothing is verified; never throws.
 *
 * @param sha256 handed in, so that a reducer stays synchronous
 */
export function summarizeProposal(bytes: Uint8Array, sha256: Sha256): ProposalMessageSummary {
  const message = publicMessage(bytes);
  if ('reason' in message) return message;
  const { content } = message;
  if (content.contentType !== 'proposal') return { kind: 'malformed', reason: 'not a proposal' };
  return {
    kind: 'proposal',
    groupId: content.groupId,
    epoch: Number(content.epoch),
    sender: senderOf(content.sender),
    ref: refOf(message, sha256),
    proposal: summaryOf(content.proposal, sha256),
  };
}

/**
 * What a public commit does to its group, without secrets and without the tree: enough for the roster, the roles and
 * the question who may do that. Nothing is verified; never throws.
 *
 * @param pending the proposals of this epoch that the commit may refer to
 */
export function summarizeCommit(
  bytes: Uint8Array,
  pending: readonly KnownProposal[],
  sha256: Sha256,
): CommitSummary | { readonly kind: 'malformed'; readonly reason: string } {
  const message = publicMessage(bytes);
  if ('reason' in message) return message;
  const { content } = message;
  if (content.contentType !== 'commit') return { kind: 'malformed', reason: 'not a commit' };

  const sender = senderOf(content.sender);
  const byRef = new Map(pending.map((known) => [toHex(known.ref), known]));
  const applied: Pick<KnownProposal, 'sender' | 'proposal'>[] = [];
  const referenced: Uint8Array[] = [];
  const unknownRefs: Uint8Array[] = [];
  for (const item of content.commit.proposals) {
    if (item.proposalOrRefType === 'proposal') {
      applied.push({ sender, proposal: summaryOf(item.proposal, sha256) });
      continue;
    }
    const known = byRef.get(toHex(item.reference));
    if (known === undefined) unknownRefs.push(item.reference);
    else {
      referenced.push(item.reference);
      applied.push(known);
    }
  }
  const { path } = content.commit;
  return {
    kind: 'commit',
    groupId: content.groupId,
    epoch: Number(content.epoch),
    sender,
    ...effectOf(applied),
    ...(path === undefined ? {} : { committer: leafSummary(path.leafNode) }),
    referenced,
    unknownRefs,
    hasPath: path !== undefined,
    authenticatedData: content.authenticatedData,
  };
}

/** ProposalRef of a public proposal (RFC 9420 §5.2); `undefined` when the bytes are none. */
export function proposalRef(bytes: Uint8Array, sha256: Sha256): Uint8Array | undefined {
  const message = publicMessage(bytes);
  if ('reason' in message || message.content.contentType !== 'proposal') return undefined;
  return refOf(message, sha256);
}

/** KeyPackageRef of a key package message (RFC 9420 §5.2); `undefined` when the bytes are none. */
export function keyPackageRef(bytes: Uint8Array, sha256: Sha256): Uint8Array | undefined {
  const decoded = decodeMessage(bytes);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_key_package') return undefined;
  return refHash('MLS 1.0 KeyPackage Reference', encodeKeyPackage(decoded.message.keyPackage), sha256);
}

/** The summary of a proposal that is already decoded. */
export function summaryOf(proposal: Proposal, sha256: Sha256): ProposalSummary {
  switch (proposal.proposalType) {
    case 'add': {
      const { keyPackage } = proposal.add;
      const ref = refHash('MLS 1.0 KeyPackage Reference', encodeKeyPackage(keyPackage), sha256);
      return { kind: 'add', ...leafSummary(keyPackage.leafNode), keyPackageRef: ref };
    }
    case 'remove':
      return { kind: 'remove', leaf: proposal.remove.removed };
    case 'update':
      return { kind: 'update', ...leafSummary(proposal.update.leafNode) };
    case 'group_context_extensions': {
      const roles = rolesIn(proposal.groupContextExtensions.extensions);
      return { kind: 'extensions', ...(roles === undefined ? {} : { roles }) };
    }
    default:
      return { kind: 'unsupported', type: proposalTypeNumber(proposal) };
  }
}

const EXTERNAL_INIT = 6;

function effectOf(applied: readonly Pick<KnownProposal, 'sender' | 'proposal'>[]) {
  const updates: (LeafSummary & { leaf: number })[] = [];
  const removes: number[] = [];
  const adds: (LeafSummary & { keyPackageRef: Uint8Array })[] = [];
  const unsupported: number[] = [];
  let changed: { roles?: GroupRoles } | undefined;
  let externalInit = false;
  for (const { sender, proposal } of applied) {
    switch (proposal.kind) {
      case 'add':
        adds.push({
          identity: proposal.identity,
          signatureKey: proposal.signatureKey,
          keyPackageRef: proposal.keyPackageRef,
        });
        break;
      case 'remove':
        removes.push(proposal.leaf);
        break;
      case 'update':
        if (sender.kind !== 'member') unsupported.push(2);
        else updates.push({ leaf: sender.leaf, identity: proposal.identity, signatureKey: proposal.signatureKey });
        break;
      case 'extensions':
        changed = proposal.roles === undefined ? {} : { roles: proposal.roles };
        break;
      case 'unsupported':
        if (proposal.type === EXTERNAL_INIT && sender.kind === 'new-member-commit') externalInit = true;
        else unsupported.push(proposal.type);
        break;
      default:
        proposal satisfies never;
    }
  }
  return { updates, removes, adds, unsupported, externalInit, rolesChanged: changed !== undefined, ...changed };
}

function publicMessage(bytes: Uint8Array): PublicMessage | { readonly kind: 'malformed'; readonly reason: string } {
  const decoded = decodeMessage(bytes);
  if ('malformed' in decoded) return { kind: 'malformed', reason: decoded.malformed };
  if (decoded.message.wireformat !== 'mls_public_message') return { kind: 'malformed', reason: 'not a PublicMessage' };
  return decoded.message.publicMessage;
}

function refOf({ content, auth }: PublicMessage, sha256: Sha256): Uint8Array {
  const encoded = encodeAuthenticatedContent({ wireformat: 'mls_public_message', content, auth });
  return refHash('MLS 1.0 Proposal Reference', encoded, sha256);
}

function leafSummary(leaf: Parameters<typeof identityOfLeaf>[0]): LeafSummary {
  return { identity: identityOfLeaf(leaf), signatureKey: leaf.signaturePublicKey.slice() };
}

/** Empty for credentials that are not basic and UTF-8; no identity of ours is empty. */
function identityOfLeaf(leaf: {
  readonly credential: Parameters<typeof identityOfCredential>[0];
  readonly signaturePublicKey: Uint8Array;
}): string {
  return identityOfCredential(leaf.credential) ?? '';
}
