import type { Extension, FramedContent, GroupInfo, KeyPackage, MLSMessage, PublicMessage, Welcome } from 'ts-mls';
import { defaultProposalTypes } from 'ts-mls';
import { extensionTypeToNumber } from 'ts-mls/extension.js';
import type { Sender } from 'ts-mls/sender.js';
import { identityOfCredential, LAST_RESORT_EXTENSION } from './config.ts';
import { decodeMessage, MESSAGE_MAX_BYTES } from './encoding/decode.ts';
import { decodeRoles, type GroupRoles, ROLES_EXTENSION } from './roles.ts';

/** Who sent a handshake (RFC 9420 §6.1). */
export type HandshakeSender =
  | { readonly kind: 'member'; readonly leaf: number }
  | { readonly kind: 'external'; readonly index: number }
  | { readonly kind: 'new-member-proposal' }
  | { readonly kind: 'new-member-commit' };

interface Framed {
  readonly groupId: Uint8Array;
  readonly epoch: number;
  readonly authenticatedData: Uint8Array;
}

/** A public commit (RFC 9420 §12.4), not verified. */
export interface InspectedCommit extends Framed {
  readonly kind: 'commit';
  readonly sender: HandshakeSender;
  readonly hasPath: boolean;
  readonly proposalCount: number;
}

/** A public proposal (RFC 9420 §12.1), not verified; `proposalType` is the number of §17.4. */
export interface InspectedProposal extends Framed {
  readonly kind: 'proposal';
  readonly sender: HandshakeSender;
  readonly proposalType: number;
}

/** A PrivateMessage (RFC 9420 §6.3): all that can be seen without keys. */
export interface InspectedPrivateMessage extends Framed {
  readonly kind: 'private';
  readonly contentType: 'application' | 'proposal' | 'commit';
}

/** A Welcome (RFC 9420 §12.4.3.1): the references of the key packages it is for. */
export interface InspectedWelcome {
  readonly kind: 'welcome';
  readonly suite: string;
  readonly refs: readonly Uint8Array[];
}

/** A GroupInfo (RFC 9420 §12.4.3), its signature not verified. */
export interface InspectedGroupInfo {
  readonly kind: 'group-info';
  readonly groupId: Uint8Array;
  readonly epoch: number;
  readonly suite: string;
  readonly treeHash: Uint8Array;
  readonly confirmedTranscriptHash: Uint8Array;
  readonly signer: number;
  /** The extensions of the group context, not those of the GroupInfo itself. */
  readonly extensions: readonly { readonly type: number; readonly data: Uint8Array }[];
  readonly roles?: GroupRoles;
  readonly hasTree: boolean;
  readonly hasExternalPub: boolean;
}

/** A key package (RFC 9420 §10), not verified: `checkKeyPackage` does that. Times in ms. */
export interface InspectedKeyPackage {
  readonly kind: 'key-package';
  readonly suite: string;
  readonly identity?: string;
  readonly signatureKey: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly lastResort: boolean;
}

export type InspectedMessage =
  | InspectedCommit
  | InspectedProposal
  | InspectedPrivateMessage
  | InspectedWelcome
  | InspectedGroupInfo
  | InspectedKeyPackage
  | { readonly kind: 'malformed'; readonly reason: string };

/**
 * What a message is, without keys and without trusting any of it. Never throws: everything that is not exactly one
 * well-formed MLSMessage of at most `maxBytes` is `malformed`. What comes back aliases nothing of `bytes`.
 */
export function inspectMessage(bytes: Uint8Array, maxBytes: number = MESSAGE_MAX_BYTES): InspectedMessage {
  const decoded = decodeMessage(bytes, maxBytes);
  return 'malformed' in decoded ? { kind: 'malformed', reason: decoded.malformed } : inspect(decoded.message);
}

/**
 * The ratchet tree that a GroupInfo carries, encoded as in its extension (RFC 9420 §12.4.3.3); `undefined` when it
 * carries none or when the bytes are no GroupInfo.
 */
export function extractTree(groupInfo: Uint8Array): Uint8Array | undefined {
  const decoded = decodeMessage(groupInfo);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_group_info') return undefined;
  const { extensions } = decoded.message.groupInfo;
  return extensions.find((extension) => extension.extensionType === 'ratchet_tree')?.extensionData.slice();
}

function inspect(message: MLSMessage): InspectedMessage {
  switch (message.wireformat) {
    case 'mls_public_message':
      return inspectPublic(message.publicMessage);
    case 'mls_private_message': {
      const { contentType } = message.privateMessage;
      return { kind: 'private', ...framed(message.privateMessage), contentType };
    }
    case 'mls_welcome':
      return inspectWelcome(message.welcome);
    case 'mls_group_info':
      return inspectGroupInfo(message.groupInfo);
    case 'mls_key_package':
      return inspectKeyPackage(message.keyPackage);
    default:
      return message satisfies never;
  }
}

function inspectPublic({ content }: PublicMessage): InspectedMessage {
  const sender = senderOf(content.sender);
  switch (content.contentType) {
    case 'commit': {
      const { path, proposals } = content.commit;
      const about = { hasPath: path !== undefined, proposalCount: proposals.length };
      return { kind: 'commit', ...framed(content), sender, ...about };
    }
    case 'proposal':
      return { kind: 'proposal', ...framed(content), sender, proposalType: proposalTypeNumber(content.proposal) };
    case 'application':
      return { kind: 'malformed', reason: 'application data in a PublicMessage' };
    default:
      return content satisfies never;
  }
}

function framed(content: Pick<FramedContent, 'groupId' | 'epoch' | 'authenticatedData'>): Framed {
  const { groupId, epoch, authenticatedData } = content;
  return { groupId, epoch: Number(epoch), authenticatedData };
}

/** The sender in our own words. */
export function senderOf(sender: Sender): HandshakeSender {
  switch (sender.senderType) {
    case 'member':
      return { kind: 'member', leaf: sender.leafIndex };
    case 'external':
      return { kind: 'external', index: sender.senderIndex };
    case 'new_member_proposal':
      return { kind: 'new-member-proposal' };
    case 'new_member_commit':
      return { kind: 'new-member-commit' };
    default:
      return sender satisfies never;
  }
}

/** The number of a proposal's type (RFC 9420 §17.4). */
export function proposalTypeNumber(proposal: { readonly proposalType: number | string }): number {
  const { proposalType } = proposal;
  return typeof proposalType === 'number'
    ? proposalType
    : defaultProposalTypes[proposalType as keyof typeof defaultProposalTypes];
}

/** The roles among the extensions of a group context; `undefined` when there are none or they are not well formed. */
export function rolesIn(extensions: readonly Extension[]): GroupRoles | undefined {
  const found = extensions.filter((extension) => extension.extensionType === ROLES_EXTENSION);
  return found.length === 1 ? decodeRoles(found[0]!.extensionData) : undefined;
}

function inspectWelcome(welcome: Welcome): InspectedWelcome {
  return { kind: 'welcome', suite: welcome.cipherSuite, refs: welcome.secrets.map((secret) => secret.newMember) };
}

function inspectGroupInfo(groupInfo: GroupInfo): InspectedGroupInfo {
  const { groupContext: context, extensions } = groupInfo;
  const roles = rolesIn(context.extensions);
  return {
    kind: 'group-info',
    groupId: context.groupId,
    epoch: Number(context.epoch),
    suite: context.cipherSuite,
    treeHash: context.treeHash,
    confirmedTranscriptHash: context.confirmedTranscriptHash,
    signer: groupInfo.signer,
    extensions: context.extensions.map((extension) => ({
      type: extensionTypeToNumber(extension.extensionType),
      data: extension.extensionData,
    })),
    ...(roles === undefined ? {} : { roles }),
    hasTree: extensions.some((extension) => extension.extensionType === 'ratchet_tree'),
    hasExternalPub: extensions.some((extension) => extension.extensionType === 'external_pub'),
  };
}

function inspectKeyPackage(keyPackage: KeyPackage): InspectedMessage {
  const { leafNode } = keyPackage;
  if (leafNode.leafNodeSource !== 'key_package') return { kind: 'malformed', reason: 'the leaf is of no key package' };
  const identity = identityOfCredential(leafNode.credential);
  return {
    kind: 'key-package',
    suite: keyPackage.cipherSuite,
    ...(identity === undefined ? {} : { identity }),
    signatureKey: leafNode.signaturePublicKey,
    notBefore: Number(leafNode.lifetime.notBefore) * 1000,
    notAfter: Number(leafNode.lifetime.notAfter) * 1000,
    lastResort: isLastResort(keyPackage),
  };
}

/** Whether the package may be handed out more than once (RFC 9420 §17.3, `last_resort`). */
export function isLastResort(keyPackage: KeyPackage): boolean {
  return keyPackage.extensions.some((extension) => extension.extensionType === LAST_RESORT_EXTENSION);
}
