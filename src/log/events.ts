/**
 * What the log holds. Past-tense facts; MLS bytes exactly as received. Change only by addition: a new type, or a new
 * version of a type with its own golden fixture. `id` is unique for ever and is what makes an append idempotent.
 */
import type { AccountId, ClientId, DeviceId } from '../wire/ids.ts';

interface EventBase {
  readonly v: 1;
  /** Unique id of this event; also JetStream's `Nats-Msg-Id`. */
  readonly id: string;
  /** Server time, milliseconds since 1970. */
  readonly time: number;
}

/** Who asked: the device whose signature the request carried, and the idempotency key it chose. */
interface Requested extends EventBase {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly requestId: ClientId;
  /** SHA-256 of the request's body: the same key with another body is a conflict. */
  readonly requestDigest: Uint8Array;
}

export interface StoredKeyPackage {
  readonly ref: Uint8Array;
  /** MLSMessage holding the KeyPackage. */
  readonly keyPackage: Uint8Array;
  readonly lastResort: boolean;
  /** Milliseconds since 1970. */
  readonly notAfter: number;
}

/** Lane: the user name's. */
export interface AccountRegistered extends Requested {
  readonly type: 'account-registered';
  readonly name: string;
  readonly statement: Uint8Array;
  readonly signature: Uint8Array;
  readonly keyPackages: readonly StoredKeyPackage[];
}

/**
 * A later statement of an account. Lane: the new name's for a rename, else the account's. The fold takes it only where it
 * follows the account's newest statement, because two lanes can bring two at once.
 */
export interface AccountChanged extends Requested {
  readonly type: 'account-changed';
  /** The account that changes. */
  readonly owner: AccountId;
  /** Of a rename: the new name. */
  readonly name?: string;
  readonly statement: Uint8Array;
  readonly signature: Uint8Array;
  /** Of a device that is added, with its first key packages. */
  readonly countersignature?: Uint8Array;
  readonly keyPackages: readonly StoredKeyPackage[];
}

/** Lane: the account's. */
export interface KeyPackagesPublished extends Requested {
  readonly type: 'key-packages-published';
  readonly keyPackages: readonly StoredKeyPackage[];
}

/** Lane: the account's whose packages are claimed (`owner`). The fold picks: at most one package a device. */
export interface KeyPackagesClaimed extends Requested {
  readonly type: 'key-packages-claimed';
  readonly owner: AccountId;
  readonly group: Uint8Array;
  /** The packages taken, one a device at most. */
  readonly refs: readonly Uint8Array[];
}

/** Lane: the group name's, or the group's commit lane when it has no name. */
export interface GroupCreated extends Requested {
  readonly type: 'group-created';
  readonly group: Uint8Array;
  readonly name?: string;
  readonly groupInfo: Uint8Array;
}

/** Lane: the group's commit lane. Welcome and GroupInfo travel with their commit. */
export interface CommitAccepted extends Requested {
  readonly type: 'commit-accepted';
  readonly group: Uint8Array;
  /** The epoch the commit ends. */
  readonly epoch: number;
  readonly commit: Uint8Array;
  readonly welcome?: Uint8Array;
  readonly groupInfo: Uint8Array;
}

/** Lane: the group's proposal lane, not compared. */
export interface ProposalReceived extends Requested {
  readonly type: 'proposal-received';
  readonly group: Uint8Array;
  readonly epoch: number;
  readonly proposal: Uint8Array;
}

/** Lane: as of {@link GroupCreated}. A group with private handshakes: its roster is what its members declare. */
export interface OpaqueGroupCreated extends Requested {
  readonly type: 'opaque-group-created';
  readonly group: Uint8Array;
  readonly name?: string;
  /** Without it nobody can join by external commit. */
  readonly groupInfo?: Uint8Array;
}

/** Lane: the group's commit lane. What the committer declares travels with what nobody else can read. */
export interface OpaqueCommitAccepted extends Requested {
  readonly type: 'opaque-commit-accepted';
  readonly group: Uint8Array;
  /** The epoch the commit ends. */
  readonly epoch: number;
  readonly commit: Uint8Array;
  readonly welcome?: Uint8Array;
  readonly groupInfo?: Uint8Array;
  readonly added: readonly { readonly account: AccountId; readonly device: DeviceId }[];
  readonly removed: readonly DeviceId[];
}

/** Lane: the group's proposal lane, not compared. A member of `epoch` could not process the commit that ended it. */
export interface CommitReported extends Requested {
  readonly type: 'commit-reported';
  readonly group: Uint8Array;
  readonly epoch: number;
  /** Of the commit: its position, and SHA-256 of its MLSMessage. */
  readonly position: number;
  readonly commit: Uint8Array;
  readonly committer: { readonly account: AccountId; readonly device: DeviceId };
  readonly reason: 'cannot-process';
  readonly code: string;
}

/** `[id, epoch, PrivateMessage]`; a tuple because there are hundreds in one event. */
export type SentMessage = readonly [id: ClientId, epoch: number, message: Uint8Array];

export interface MessageBatch {
  readonly group: Uint8Array;
  readonly account: AccountId;
  readonly device: DeviceId;
  /** When the server took the request, milliseconds since 1970. */
  readonly time: number;
  readonly messages: readonly SentMessage[];
}

/** Lane: an application shard, not compared. Batches of several requests and groups travel together. */
export interface MessagesSent extends EventBase {
  readonly type: 'messages-sent';
  readonly batches: readonly MessageBatch[];
}

/** `[id, epoch, null, SHA-256 of its entry]`: its ciphertext is gone, its place and its link of the chain stay. */
export type RemovedMessage = readonly [id: ClientId, epoch: number, message: null, entry: Uint8Array];

export interface CompactedBatch extends Omit<MessageBatch, 'messages'> {
  readonly messages: readonly (SentMessage | RemovedMessage)[];
}

/**
 * Stands where a {@link MessagesSent} of the same id stood, in a log whose ciphertexts before some groups' `logStart` were
 * removed: folds to the same positions, ids and heads.
 */
export interface MessagesCompacted extends EventBase {
  readonly type: 'messages-compacted';
  readonly batches: readonly CompactedBatch[];
}

/**
 * Lane: the group's proposal lane, not compared. Entries before position `logStart` are no longer served; `head` is the
 * group's head after the last of them. The fold takes it only where that is so.
 */
export interface GroupCompacted extends EventBase {
  readonly type: 'group-compacted';
  readonly group: Uint8Array;
  readonly logStart: number;
  readonly head: Uint8Array;
}

/** First event of every incarnation of the log. Lane: the log's own. */
export interface LogStarted extends EventBase {
  readonly type: 'log-started';
  readonly incarnation: string;
  readonly domain: string;
  /**
   * Placement rule: how many epochs before the current one a message may be from. The log's first event decides for the
   * whole log; where it says nothing it is 5.
   */
  readonly pastEpochs?: number;
}

export type LogEvent =
  | AccountRegistered
  | AccountChanged
  | KeyPackagesPublished
  | KeyPackagesClaimed
  | GroupCreated
  | CommitAccepted
  | ProposalReceived
  | OpaqueGroupCreated
  | OpaqueCommitAccepted
  | CommitReported
  | MessagesSent
  | MessagesCompacted
  | GroupCompacted
  | LogStarted;

export type LogEventType = LogEvent['type'];
