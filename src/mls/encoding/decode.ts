import { decodeMlsMessage, encodeMlsMessage, type MLSMessage, type Proposal } from 'ts-mls';
import { withItemBudget } from 'ts-mls/codec/variableLength.js';
import { equalBytes } from '../../wire/bytes.ts';

/** Longer messages are refused unread: the largest thing the server takes is a commit bundle of this size. */
export const MESSAGE_MAX_BYTES = 8 * 1024 * 1024;
/**
 * Items of all lists in one message together: a commit that adds 2,000 members has 16,000. Without a bound a megabyte of
 * two-byte items costs seconds and half a gigabyte before anybody can say what it is.
 */
const MESSAGE_ITEMS_MAX = 20_000;
/** version, wire format, epoch, content type (RFC 9420 §6, §6.3). */
const PRIVATE_FIXED_BYTES = 2 + 2 + 8 + 1;
/** Types of RFC 9420 §17.4 that the library must have read as such. */
const RFC_PROPOSAL_TYPES_MAX = 7;

export type Decoded = { readonly message: MLSMessage } | { readonly malformed: string };

/**
 * Reads one MLSMessage, strictly: exactly one, nothing after it, every length in its shortest form, nothing that the
 * library silently reads as something else. All of that is one test, because a message that says the same thing in
 * other bytes does not encode to itself again. What comes back aliases nothing of the caller's.
 */
export function decodeMessage(bytes: Uint8Array, maxBytes: number = MESSAGE_MAX_BYTES): Decoded {
  if (bytes.length > maxBytes) return { malformed: `longer than ${maxBytes} bytes` };
  try {
    // the library answers undefined, throws CodecError or TypeError, or ignores what follows, by the kind of damage
    const decoded = withItemBudget(MESSAGE_ITEMS_MAX, () => decodeMlsMessage(bytes.slice(), 0));
    if (decoded === undefined) return { malformed: 'not an MLSMessage' };
    const [message] = decoded;
    if (!isCanonical(message, bytes)) return { malformed: 'not in its one valid encoding' };
    const reason = unsound(message);
    return reason === undefined ? { message } : { malformed: reason };
  } catch (error) {
    return { malformed: error instanceof Error ? error.message : String(error) };
  }
}

/** A PrivateMessage is four opaque fields and no choice but their lengths: its size alone tells that each is shortest. */
function isCanonical(message: MLSMessage, bytes: Uint8Array): boolean {
  if (message.wireformat !== 'mls_private_message') return equalBytes(encodeMlsMessage(message), bytes);
  const { groupId, authenticatedData, encryptedSenderData, ciphertext } = message.privateMessage;
  let length = PRIVATE_FIXED_BYTES;
  for (const field of [groupId, authenticatedData, encryptedSenderData, ciphertext]) {
    length += (field.length < 0x40 ? 1 : field.length < 0x4000 ? 2 : 4) + field.length;
  }
  return length === bytes.length;
}

/** Whether an epoch, 64 bits on the wire, fits the plain numbers that everything above this folder counts in. */
function isCountable(epoch: bigint): boolean {
  return epoch <= BigInt(Number.MAX_SAFE_INTEGER);
}

function unsound(message: MLSMessage): string | undefined {
  switch (message.wireformat) {
    case 'mls_private_message':
      return isCountable(message.privateMessage.epoch) ? undefined : 'epoch out of range';
    case 'mls_group_info':
      return isCountable(message.groupInfo.groupContext.epoch) ? undefined : 'epoch out of range';
    case 'mls_public_message': {
      const { content } = message.publicMessage;
      if (!isCountable(content.epoch)) return 'epoch out of range';
      if (content.contentType === 'application') return 'application data in a PublicMessage (RFC 9420 §6.2)';
      return proposalsIn(content).some(isMisread) ? 'a proposal that cannot be read' : undefined;
    }
    case 'mls_welcome':
    case 'mls_key_package':
      return undefined;
    default:
      return message satisfies never;
  }
}

function proposalsIn(content: { proposal: Proposal } | { commit: { proposals: readonly unknown[] } }): Proposal[] {
  if ('proposal' in content) return [content.proposal];
  const items = content.commit.proposals as readonly ({ proposal: Proposal } | { reference: Uint8Array })[];
  return items.flatMap((item) => ('proposal' in item ? [item.proposal] : []));
}

/** The library takes an Add that it cannot read for a custom proposal of type 1. */
function isMisread(proposal: Proposal): boolean {
  return typeof proposal.proposalType === 'number' && proposal.proposalType <= RFC_PROPOSAL_TYPES_MAX;
}
