import type { ClientState } from 'ts-mls';
import { encodeGroupContext, type GroupContext } from 'ts-mls/groupContext.js';
import { concatBytes, equalBytes, toUtf8 } from '../../wire/bytes.ts';
import { MESSAGE_MAX_BYTES } from '../encoding/decode.ts';
import { readOpaque } from '../encoding/opaque.ts';
import type { DirectCrypto, Suite } from '../suite.ts';

/**
 * The short way of the usual message: an application message of the present epoch, its sender's next one, with nothing
 * wrong about it. That is what catching up consists of, and without a promise, an encoder and a copy at each step it
 * costs little more than its cryptography. Anything else is left to the library's way (`receive`), so this one never
 * decides what is wrong with a message; a property test holds it to the results of the other.
 */
export interface OpenedDirectly {
  readonly plaintext: Uint8Array;
  readonly authenticatedData: Uint8Array;
  readonly leaf: number;
  readonly generation: number;
  readonly state: ClientState;
  readonly consumed: readonly Uint8Array[];
}

/** protocol_version mls10, wire_format mls_private_message (RFC 9420 §6). */
const HEAD = Uint8Array.of(0, 1, 0, 2);
const EPOCH_BYTES = 8;
const APPLICATION = 1;
/** SenderData: leaf_index, generation, reuse_guard (RFC 9420 §6.3.2). */
const SENDER_DATA_BYTES = 12;
const GUARD_AT = 8;
const SENDER_MEMBER = 1;
const TBS_LABEL = labelOf('FramedContentTBS');
const EXPAND_LABELS = {
  key: labelOf('key'),
  nonce: labelOf('nonce'),
  secret: labelOf('secret'),
} as const;

/** `undefined`: not for the short way. `state` stays as it is. */
export function openDirectly(suite: Suite, state: ClientState, bytes: Uint8Array): OpenedDirectly | undefined {
  const { direct } = suite;
  if (direct === undefined || bytes.length > MESSAGE_MAX_BYTES) return undefined;
  try {
    return open(direct, state, bytes);
  } catch {
    return undefined; // a wrong tag, say: the library's way finds the same, and has a name for it
  }
}

function open(direct: DirectCrypto, state: ClientState, bytes: Uint8Array): OpenedDirectly | undefined {
  const message = readMessage(bytes);
  if (message === undefined) return undefined;
  const { groupContext, secretTree, ratchetTree, privatePath } = state;
  const { groupId, epoch, authenticatedData, encryptedSenderData, ciphertext } = message;
  if (epoch !== groupContext.epoch || !equalBytes(groupId, groupContext.groupId)) return undefined;

  // RFC 9420 §6.3.2
  const sample = ciphertext.subarray(0, direct.hashBytes);
  const { senderDataSecret } = state.keySchedule;
  const senderKey = expandWithLabel(direct, senderDataSecret, 'key', sample, direct.keyBytes);
  const senderNonce = expandWithLabel(direct, senderDataSecret, 'nonce', sample, direct.nonceBytes);
  const senderData = direct.open(senderKey, senderNonce, message.senderDataAad, encryptedSenderData);
  if (senderData.length !== SENDER_DATA_BYTES) return undefined;
  const view = new DataView(senderData.buffer, senderData.byteOffset);
  const leaf = view.getUint32(0);
  const generation = view.getUint32(4);
  const member = ratchetTree[leaf * 2];
  const ratchets = secretTree[leaf * 2];
  if (member?.nodeType !== 'leaf' || ratchets === undefined || leaf === privatePath.leafIndex) return undefined;
  const { secret, generation: next } = ratchets.application;
  if (generation !== next) return undefined;

  // RFC 9420 §9.1, §6.3.1
  const context = uint32(generation);
  const key = expandWithLabel(direct, secret, 'key', context, direct.keyBytes);
  const nonce = expandWithLabel(direct, secret, 'nonce', context, direct.nonceBytes);
  for (let i = 0; i < 4; i += 1) nonce[i]! ^= senderData[GUARD_AT + i]!;
  const content = direct.open(key, nonce, message.contentAad, ciphertext);
  const data = readOpaque(content, 0);
  const signature = data && readOpaque(content, data.end);
  if (data === undefined || signature === undefined || !isZero(content, signature.end)) return undefined;

  // RFC 9420 §6.1: what is signed is the message's own beginning, the sender, and what was inside
  const signed = [
    bytes.subarray(0, message.epochEnd),
    Uint8Array.of(SENDER_MEMBER),
    uint32(leaf),
    bytes.subarray(message.dataAt, message.dataEnd),
    Uint8Array.of(APPLICATION),
    content.subarray(0, data.end),
    encodedContext(groupContext),
  ];
  const signedLength = signed.reduce((sum, part) => sum + part.length, 0);
  const toVerify = concatBytes(TBS_LABEL, opaqueLength(signedLength), ...signed);
  if (!direct.verify(member.leaf.signaturePublicKey, toVerify, signature.bytes)) return undefined;

  const tree = secretTree.slice();
  const advanced = expandWithLabel(direct, secret, 'secret', context, direct.hashBytes);
  tree[leaf * 2] = { ...ratchets, application: { ...ratchets.application, secret: advanced, generation: next + 1 } };
  return {
    plaintext: data.bytes, // of what was just decrypted, which nobody else has
    authenticatedData: authenticatedData.slice(),
    leaf,
    generation,
    state: { ...state, secretTree: tree },
    consumed: [secret, key],
  };
}

interface PrivateParts {
  readonly groupId: Uint8Array;
  readonly epoch: bigint;
  readonly epochEnd: number;
  /** Where authenticated_data stands, its length included. */
  readonly dataAt: number;
  readonly dataEnd: number;
  readonly authenticatedData: Uint8Array;
  readonly encryptedSenderData: Uint8Array;
  readonly ciphertext: Uint8Array;
  /** SenderDataAAD and PrivateContentAAD stand in the message as they are hashed (RFC 9420 §6.3.1, §6.3.2). */
  readonly senderDataAad: Uint8Array;
  readonly contentAad: Uint8Array;
}

/** A PrivateMessage of an application in its one valid encoding; views into `bytes`. */
function readMessage(bytes: Uint8Array): PrivateParts | undefined {
  if (!equalBytes(bytes.subarray(0, HEAD.length), HEAD)) return undefined;
  const groupId = readOpaque(bytes, HEAD.length);
  if (groupId === undefined) return undefined;
  const epochEnd = groupId.end + EPOCH_BYTES;
  if (bytes[epochEnd] !== APPLICATION) return undefined;
  const dataAt = epochEnd + 1;
  const data = readOpaque(bytes, dataAt);
  const sender = data && readOpaque(bytes, data.end);
  const content = sender && readOpaque(bytes, sender.end);
  if (data === undefined || sender === undefined || content?.end !== bytes.length) return undefined;
  return {
    groupId: groupId.bytes,
    epoch: new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(groupId.end),
    epochEnd,
    dataAt,
    dataEnd: data.end,
    authenticatedData: data.bytes,
    encryptedSenderData: sender.bytes,
    ciphertext: content.bytes,
    senderDataAad: bytes.subarray(HEAD.length, dataAt),
    contentAad: bytes.subarray(HEAD.length, data.end),
  };
}

/** ExpandWithLabel, RFC 9420 §8. */
function expandWithLabel(
  direct: DirectCrypto,
  secret: Uint8Array,
  label: keyof typeof EXPAND_LABELS,
  context: Uint8Array,
  length: number,
): Uint8Array {
  const name = EXPAND_LABELS[label];
  const info = new Uint8Array(2 + name.length + 1 + context.length);
  info[1] = length; // at most one block
  info.set(name, 2);
  info[2 + name.length] = context.length; // at most 32 bytes: one byte of length
  info.set(context, 3 + name.length);
  return direct.expand(secret, info, length);
}

const contexts = new WeakMap<GroupContext, Uint8Array>();

/** A group context never changes, and every message of its epoch is signed over it. */
function encodedContext(context: GroupContext): Uint8Array {
  let encoded = contexts.get(context);
  if (encoded === undefined) {
    encoded = encodeGroupContext(context);
    contexts.set(context, encoded);
  }
  return encoded;
}

function labelOf(label: string): Uint8Array {
  const text = toUtf8(`MLS 1.0 ${label}`);
  return concatBytes(Uint8Array.of(text.length), text);
}

function opaqueLength(length: number): Uint8Array {
  if (length < 0x40) return Uint8Array.of(length);
  if (length < 0x4000) return Uint8Array.of(0x40 | (length >> 8), length & 255);
  return Uint8Array.of(0x80 | (length >>> 24), (length >> 16) & 255, (length >> 8) & 255, length & 255);
}

function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255);
}

function isZero(bytes: Uint8Array, from: number): boolean {
  for (let i = from; i < bytes.length; i += 1) if (bytes[i] !== 0) return false;
  return true;
}
