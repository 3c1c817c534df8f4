/**
 * What the rest of the server may ask of the projections. Everything is read at one checkpoint, synchronously: no read
 * transaction is held across an `await`.
 */
import type { GroupRoles } from '../mls/roles.ts';
import type { AccountChain, SignedStatement } from '../wire/account-chain.ts';
import type { AccountId, Cursor, DeviceId, GroupId, Position } from '../wire/ids.ts';
import type { Gap, Head } from '../wire/page.ts';
import type { ProblemCode } from '../wire/problems.ts';
import type { KeyPackageStock } from '../wire/schemas/key-packages.ts';

export interface DeviceView {
  readonly id: DeviceId;
  readonly account: AccountId;
  readonly key: Uint8Array;
  readonly label: string;
  readonly signatureKeys: readonly Uint8Array[];
}

export interface AccountView {
  readonly id: AccountId;
  readonly name: string;
  /** Without those that were revoked. */
  readonly devices: readonly DeviceView[];
  readonly registeredAt: number;
  /** What the signed history comes to, revoked devices included. */
  readonly chain: AccountChain;
  readonly statements: readonly SignedStatement[];
  /** Stream sequence of the last event of the account's lane, 0 when it has none: what the next one is compared with. */
  readonly laneSequence: number;
}

export interface MemberView {
  /** Of an opaque group: a number that the fold gave. */
  readonly leaf: number;
  readonly account: AccountId;
  readonly device: DeviceId;
  /** Empty in an opaque group. */
  readonly signatureKey: Uint8Array;
}

export interface GroupView {
  readonly id: GroupId;
  readonly bytes: Uint8Array;
  readonly name?: string;
  readonly epoch: number;
  readonly position: Position;
  readonly head: Uint8Array;
  /** First position that is kept: 1 as long as nothing was compacted. */
  readonly logStart: Position;
  /** The epoch that the entry at `logStart` is of; absent while all entries are kept. */
  readonly firstEpoch?: number;
  /** Head after the entry before `logStart`; absent while all entries are kept. */
  readonly headBeforeStart?: Uint8Array;
  /** Of an opaque group: as its last GroupInfo states them, on trust. */
  readonly roles: GroupRoles;
  /** Whether its handshakes are private: the server knows what its members declare, and checks nothing of it. */
  readonly opaque: boolean;
  /** By leaf index; blank leaves are `undefined`. */
  readonly roster: readonly (MemberView | undefined)[];
  /** Proposals of the current epoch that wait for a commit, by base64url of their reference. */
  readonly proposals: ReadonlyMap<string, PendingProposal>;
  /** Sequence of the last event on the group's commit lane, 0 when it has none. */
  readonly commitLaneSequence: number;
}

export interface PendingProposal {
  readonly ref: Uint8Array;
  readonly senderLeaf: number;
  readonly message: Uint8Array;
  readonly position: Position;
}

/** What an event came to. Kept by event id for ever, so that a repeated request gets the original answer. */
export interface RequestOutcome {
  /** SHA-256 of the request's body. */
  readonly digest: Uint8Array;
  readonly time: number;
  readonly result:
    | {
        readonly kind: 'placed';
        readonly group: GroupId;
        readonly position: Position;
        readonly head: Uint8Array;
        readonly epoch: number;
      }
    /** `refs`: of the key packages the event stored or took. */
    | { readonly kind: 'done'; readonly refs?: readonly Uint8Array[] }
    /** The fold found it overtaken: another event came first. */
    | { readonly kind: 'dropped'; readonly problem: ProblemCode; readonly detail: string };
}

export interface ClaimCandidate {
  readonly device: DeviceId;
  /** Absent: the device has nothing left. */
  readonly ref?: Uint8Array;
  readonly keyPackage?: Uint8Array;
  readonly lastResort: boolean;
}

export interface PageLimits {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** Entries framed as CBOR byte strings, ready to be joined (see `encodePageParts`). */
export interface FramedPage {
  readonly framed: readonly Uint8Array[];
  readonly cursors: Uint8Array;
  readonly cursor: Cursor;
  readonly upToDate: boolean;
  readonly heads: readonly Head[];
  /** What the device should see after the cursor, and is not kept any more; absent when there is nothing. */
  readonly gaps?: readonly Gap[];
}

export type SyncResult =
  | { readonly kind: 'page'; readonly page: FramedPage }
  | { readonly kind: 'cursor-invalid'; readonly reason: string };

export type GroupLogResult =
  | {
      readonly kind: 'page';
      readonly framed: readonly Uint8Array[];
      readonly position: Position;
      readonly upToDate: boolean;
      readonly head: Uint8Array;
      /** First position that is kept. */
      readonly logStart: Position;
    }
  /** What comes after the position is not kept any more. `head`: the one after the last entry before `logStart`. */
  | { readonly kind: 'expired'; readonly logStart: Position; readonly firstEpoch: number; readonly head: Uint8Array }
  /** The device has never been a member. */
  | { readonly kind: 'not-visible' };

export type Readiness = { readonly ready: true } | { readonly ready: false; readonly reasons: readonly string[] };

/** How often the projections started again by themselves, since the process began. */
export interface Restarts {
  /** With the same tables, after they could not be written. */
  readonly resumed: number;
  /** With new ones, after a row was found that was not what had been written. */
  readonly rebuilt: number;
}

export interface Checkpoint {
  readonly incarnation: string;
  /** Stream sequence of the last folded event, 0 before the first. */
  readonly sequence: number;
}

export interface ReadModel {
  checkpoint(): Checkpoint;
  readiness(): Readiness;
  restarts(): Restarts;

  account(id: AccountId): AccountView | undefined;
  accountByName(name: string): AccountView | undefined;
  /** Known, not revoked device; hot path of authentication. */
  device(id: DeviceId): DeviceView | undefined;
  /** Whether the device belonged to an account and was revoked. */
  isRevoked(id: DeviceId): boolean;
  /** The account of a device, revoked or not. */
  ownerOf(id: DeviceId): AccountId | undefined;
  /** Sequence of the last event on a name's lane, 0 when it has none; `taken` says whether somebody holds it now. */
  nameLane(kind: 'user' | 'group', name: string): { readonly sequence: number; readonly taken: boolean };

  stock(device: DeviceId): KeyPackageStock;
  hasKeyPackage(ref: Uint8Array): boolean;
  /** For each device of the account the package the next claim takes; unexpired at `now` (ms). */
  claimCandidates(account: AccountId, now: number): readonly ClaimCandidate[];
  /**
   * The group a claimed package was claimed for, and the device it is of. A last-resort package can be claimed for several
   * groups: with `group` it is that claim, without it the newest.
   */
  claimOf(
    ref: Uint8Array,
    group?: GroupId,
  ): { readonly group: GroupId; readonly device: DeviceId; readonly keyPackage: Uint8Array } | undefined;

  group(id: GroupId): GroupView | undefined;
  groupByName(name: string): GroupView | undefined;
  groupsOf(device: DeviceId): readonly GroupView[];
  groupInfo(
    id: GroupId,
  ): { readonly epoch: number; readonly groupInfo: Uint8Array; readonly ratchetTree: Uint8Array } | undefined;
  /** Tree of an epoch that the current GroupInfo or an unused Welcome of this device belongs to. */
  tree(id: GroupId, epoch: number, device: DeviceId): Uint8Array | undefined;

  request(eventId: string): RequestOutcome | undefined;
  /** Where a message with this id of this device stands. */
  messagePosition(group: GroupId, device: DeviceId, id: string): Position | undefined;
  /**
   * Where batch `index` of the event at `sequence` stands, when all of it was placed, and lately: in a row from `first`, with
   * the head after its last message, and the group's epoch; `id` is its first message's. `undefined` says nothing; then `messagePosition` knows.
   */
  placedBatch(
    sequence: number,
    index: number,
  ): { readonly id: string; readonly first: Position; readonly head: Uint8Array; readonly epoch: number } | undefined;
  /** The stored entry and the head after it; `undefined` where none is, or none is kept. */
  entryAt(group: GroupId, position: Position): { readonly bytes: Uint8Array; readonly head: Uint8Array } | undefined;
  /** Entries from the first one of `epoch` on, for an `epoch-conflict` answer; not checked for visibility. */
  entriesFromEpoch(
    group: GroupId,
    epoch: number,
    limits: PageLimits,
  ): { readonly entries: readonly Uint8Array[]; readonly more: boolean };

  /** Everything for this device after the cursor, in log order. `cursor` is `start` or one that a page returned. */
  syncPage(device: DeviceId, cursor: string, limits: PageLimits): SyncResult;
  groupLogPage(group: GroupId, device: DeviceId, after: number, limits: PageLimits): GroupLogResult;

  /** Resolves when the checkpoint is at least `sequence`. @throws the projector's failure, or the signal's reason. */
  waitForSequence(sequence: number, signal: AbortSignal): Promise<void>;
  /** Whether the node has folded what this cursor stands on, for read-your-writes; `undefined` when it is invalid. */
  sequenceOfCursor(cursor: string): number | undefined;
  /** Calls back (coalesced, asynchronously) whenever there may be something new for this device. The call carries no data. */
  watch(device: DeviceId, wake: () => void): { close(): void };
}
