import { concatBytes } from './bytes.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import type { AccountId, DeviceId, Position, Sha256 } from './ids.ts';

/**
 * What a device reads: one thing that happened, as bytes that are the same for every reader. Entries of a group carry
 * `group` and `position` and form its hash chain; `welcome`, `account` and `key-packages-low` are for one device alone.
 */
export type Entry =
  | GroupCreatedEntry
  | HandshakeEntry
  | MessageEntry
  | WelcomeEntry
  | AccountEntry
  | KeyPackagesLowEntry;

interface GroupPlace {
  /** MLS `group_id`. */
  readonly group: Uint8Array;
  /** Dense within the group, from 1. */
  readonly position: Position;
  /** The id its sender chose: idempotency key of the request, or id of the message. */
  readonly id: string;
  readonly sender: DeviceId;
  /** Server time of acceptance, milliseconds since 1970. */
  readonly time: number;
}

export interface GroupCreatedEntry extends GroupPlace {
  readonly kind: 'group-created';
  readonly payload: { readonly name?: string };
}

/** An MLSMessage holding a PublicMessage, exactly as received; `epoch` is the epoch it was made in. */
export interface HandshakeEntry extends GroupPlace {
  readonly kind: 'commit' | 'proposal';
  readonly epoch: number;
  readonly payload: Uint8Array;
}

/** An MLSMessage holding a PrivateMessage, exactly as received. */
export interface MessageEntry extends GroupPlace {
  readonly kind: 'message';
  readonly epoch: number;
  readonly payload: Uint8Array;
}

/** An invitation for this device: the Welcome, and where in the group's chain it stands. */
export interface WelcomeEntry {
  readonly kind: 'welcome';
  readonly time: number;
  readonly sender: DeviceId;
  readonly payload: {
    readonly group: Uint8Array;
    readonly name?: string;
    /** Position of the commit that added this device, and the head after it. */
    readonly position: Position;
    readonly head: Uint8Array;
    /** The epoch the Welcome leads into. */
    readonly epoch: number;
    readonly inviter: AccountId;
    readonly welcome: Uint8Array;
  };
}

/** Something happened to this device's own account. */
export interface AccountEntry {
  readonly kind: 'account';
  readonly time: number;
  readonly payload: {
    readonly change: string;
    readonly account: AccountId;
    readonly device?: DeviceId;
    readonly name?: string;
  };
}

/** Few key packages are left for others to claim; publish more. */
export interface KeyPackagesLowEntry {
  readonly kind: 'key-packages-low';
  readonly time: number;
  readonly payload: { readonly available: number; readonly lastResortUsed: boolean };
}

export type GroupEntry = GroupCreatedEntry | HandshakeEntry | MessageEntry;

const KINDS: ReadonlySet<string> = new Set([
  'group-created',
  'commit',
  'proposal',
  'message',
  'welcome',
  'account',
  'key-packages-low',
]);

export function isGroupEntry(entry: Entry): entry is GroupEntry {
  return 'position' in entry;
}

/** Deterministic CBOR; the bytes that are stored, served and hashed. */
export function encodeEntry(entry: Entry): Uint8Array {
  return encodeCbor(entry);
}

/** @throws SyntaxError when the bytes are no entry of a kind this version knows. */
export function decodeEntry(bytes: Uint8Array): Entry {
  const value = decodeCbor(bytes);
  if (typeof value !== 'object' || value === null || !('kind' in value) || !KINDS.has(String(value.kind))) {
    throw new SyntaxError('not an entry of a known kind');
  }
  return value as Entry;
}

/** Head of a group without entries. */
export const EMPTY_HEAD: Uint8Array = new Uint8Array(32);

/** `head(n) = SHA-256(head(n−1) ‖ SHA-256(entry bytes))`; anyone can recompute it, so a gap or a change shows. */
export function nextHead(previous: Uint8Array, entryBytes: Uint8Array, sha256: Sha256): Uint8Array {
  return sha256(concatBytes(previous, sha256(entryBytes)));
}
