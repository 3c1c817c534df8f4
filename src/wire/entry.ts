import { concatBytes } from './bytes.ts';
import { decodeCbor, decodeCborShared, encodeCbor } from './cbor.ts';
import { ENTRY_SHAPES } from './entry-shapes.ts';
import type { AccountId, DeviceId, Position, Sha256 } from './ids.ts';

/**
 * What a device reads: one thing that happened, as bytes that are the same for every reader. Entries of a group carry
 * `group` and `position` and form its hash chain; `welcome`, `key-packages-low`, and `account` without a position are for one
 * device alone.
 */
export type Entry =
  | GroupCreatedEntry
  | HandshakeEntry
  | MessageEntry
  | ReportEntry
  | AccountChangeEntry
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
  /** `handshakes`: `private` marks an opaque group; absent, they are public. */
  readonly payload: { readonly name?: string; readonly handshakes?: 'private' };
}

/**
 * An MLSMessage holding a PublicMessage (in an opaque group mostly a PrivateMessage), exactly as received; `epoch` is the
 * epoch it was made in.
 */
export interface HandshakeEntry extends GroupPlace {
  readonly kind: 'commit' | 'proposal';
  readonly epoch: number;
  readonly payload: Uint8Array;
  /** A commit of an opaque group: what its committer told the server about the roster. */
  readonly roster?: { readonly added: readonly DeviceId[]; readonly removed: readonly DeviceId[] };
}

/** A member could not process a commit that the group has accepted (D21). `sender` is who says so. */
export interface ReportEntry extends GroupPlace {
  readonly kind: 'report';
  readonly payload: {
    /** The epoch that the commit ended, its position, and SHA-256 of its MLSMessage. */
    readonly epoch: number;
    readonly position: Position;
    readonly commit: Uint8Array;
    readonly reason: 'cannot-process';
    /** What went wrong there, in the words of the reporting client. */
    readonly code: string;
    readonly reporter: AccountId;
    readonly committer: { readonly account: AccountId; readonly device: DeviceId };
  };
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
    /** Present for an opaque group. */
    readonly handshakes?: 'private';
    /** Position of the commit that added this device, and the head after it. */
    readonly position: Position;
    readonly head: Uint8Array;
    /** The epoch the Welcome leads into. */
    readonly epoch: number;
    readonly inviter: AccountId;
    readonly welcome: Uint8Array;
  };
}

/** A statement that now stands at the end of an account's chain, with all that is needed to verify it. */
export interface AccountChange {
  readonly account: AccountId;
  readonly statement: Uint8Array;
  readonly signature: Uint8Array;
  readonly countersignature?: Uint8Array;
}

/**
 * A member's account changed its name or its devices: in every group that one of its devices is a member of, so that all
 * members see it at the same place. From here on a revoked device neither commits nor joins.
 */
export interface AccountChangeEntry extends GroupPlace {
  readonly kind: 'account';
  readonly payload: AccountChange;
}

/** The same for the account's own devices, whatever groups they are in. */
export interface AccountEntry {
  readonly kind: 'account';
  readonly time: number;
  readonly payload: AccountChange;
}

/** Few key packages are left for others to claim; publish more. */
export interface KeyPackagesLowEntry {
  readonly kind: 'key-packages-low';
  readonly time: number;
  readonly payload: { readonly available: number; readonly lastResortUsed: boolean };
}

export type GroupEntry = GroupCreatedEntry | HandshakeEntry | MessageEntry | ReportEntry | AccountChangeEntry;

/** Whether this version knows entries of the kind. */
export function isEntryKind(kind: unknown): kind is Entry['kind'] {
  return typeof kind === 'string' && Object.hasOwn(ENTRY_SHAPES, kind);
}

export function isGroupEntry(entry: Entry): entry is GroupEntry {
  return 'position' in entry;
}

/** Deterministic CBOR; the bytes that are stored, served and hashed. */
export function encodeEntry(entry: Entry): Uint8Array {
  return encodeCbor(entry);
}

/**
 * Every member of what comes back has its type, whoever sent the bytes.
 *
 * @throws SyntaxError when the bytes are no entry of a kind this version knows, or not of its kind's shape.
 */
export function decodeEntry(bytes: Uint8Array): Entry {
  return asEntry(decodeCbor(bytes));
}

/**
 * As {@link decodeEntry}, for whoever is done with the entry before it keeps anything: its bytes are views of `bytes`.
 *
 * @throws SyntaxError
 */
export function decodeEntryShared(bytes: Uint8Array): Entry {
  return asEntry(decodeCborShared(bytes));
}

function asEntry(value: unknown): Entry {
  if (typeof value !== 'object' || value === null || !('kind' in value) || !isEntryKind(value.kind)) {
    throw new SyntaxError('not an entry of a known kind');
  }
  const shapes: Readonly<Record<Entry['kind'], (value: unknown) => boolean>> = ENTRY_SHAPES;
  if (!shapes[value.kind](value)) throw new SyntaxError(`not an entry of the kind "${value.kind}"`);
  return value as Entry;
}

/** Head of a group without entries. */
export const EMPTY_HEAD: Uint8Array = new Uint8Array(32);

/** `head(n) = SHA-256(head(n−1) ‖ SHA-256(entry bytes))`; anyone can recompute it, so a gap or a change shows. */
export function nextHead(previous: Uint8Array, entryBytes: Uint8Array, sha256: Sha256): Uint8Array {
  return sha256(concatBytes(previous, sha256(entryBytes)));
}
