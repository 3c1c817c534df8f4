/** How things stand: groups, members, devices, the connection. Everything here can cross a worker boundary. */
import type { AccountId, Cursor, DeviceId, GroupId } from '../wire/ids.ts';
import type { Person } from './chat-history.ts';

export interface GroupStatus {
  readonly group: GroupId;
  readonly name: string;
  readonly epoch: number;
  readonly position: number;
  readonly unread: number;
  readonly members: number;
  /** `member`, or why nothing can be sent there now. */
  readonly state: 'member' | 'removed' | 'parked';
  readonly parkedReason?: string;
  /** Present for an opaque group. */
  readonly handshakes?: 'private';
  /** Who may invite; absent in a group without roles. */
  readonly invite?: 'admins' | 'members';
  /** Who may join uninvited; absent in a group without roles. */
  readonly join?: 'invite' | 'open';
  /** Its news are not announced. */
  readonly muted?: true;
  readonly topic?: string;
  /** Head of the chain after `position`, hexadecimal; absent when this device did not see where its window begins. */
  readonly head?: string;
  /** What speaks against the server in this group; absent when nothing does. */
  readonly differences?: readonly Difference[];
}

/**
 * What speaks against the server; `position`: the entry at which it was noticed first.
 *
 * - `split`: a member signed another head than the one that was shown here.
 * - `receipt`: the server signed another history than it showed.
 * - `unproven`: the server gave a receipt that proves nothing.
 * - `history`: the server showed another history than it did before.
 */
export type Difference =
  | { readonly kind: 'split'; readonly position: number; readonly with: string }
  | { readonly kind: 'receipt' | 'unproven' | 'history'; readonly position: number };

export interface MemberStatus {
  readonly name: string;
  readonly account: AccountId;
  readonly devices: readonly DeviceId[];
  readonly role: 'admin' | 'member';
  readonly me: boolean;
  /** `changed`: was verified, and has other keys since. */
  readonly verified: Verified;
  /** Positions up to which they say that own messages came and were read, 0 before the first; absent when nothing is known. */
  readonly marks?: { readonly delivered: number; readonly read: number };
}

/** Whether the safety number with somebody was compared. */
export type Verified = 'yes' | 'no' | 'changed';

/** Two people who read the same number to each other talk to nobody else. */
export interface SafetyNumber {
  /** As the account's own history says. */
  readonly name: string;
  readonly account: AccountId;
  /** Sixty digits in twelve groups. */
  readonly number: string;
  readonly verified: Verified;
  readonly me: boolean;
}

/** Where somebody was last heard of in a group. */
export interface LastHeard {
  readonly account: AccountId;
  readonly position: number;
  /** Server time, milliseconds since 1970. */
  readonly time: number;
}

export type Connection =
  | { readonly state: 'online' }
  | { readonly state: 'connecting' }
  /** Without `retryInMs` nothing is tried again in this process. */
  | { readonly state: 'offline'; readonly reason: string; readonly retryInMs?: number };

/** `done`: entries read since the catch-up began; `group`: the one that is being read most, and how much of it there is. */
export interface CatchUpProgress {
  readonly done: number;
  readonly group?: { readonly name: string; readonly done: number; readonly of: number };
}

/** A device of the own account. */
export interface DeviceStatus {
  readonly device: DeviceId;
  readonly label: string;
  /** This one. */
  readonly me: boolean;
  readonly revoked: boolean;
}

export interface ChatStatus {
  readonly me: Person;
  readonly server: string;
  readonly connection: Connection;
  readonly cursor: Cursor;
  readonly unsent: number;
  /** Invitations that can still be used: key packages of this device with their private keys, the last resort among them. */
  readonly keyPackages: number;
  /** See `ChatClient.setReceipts`. */
  readonly receipts: boolean;
}

export interface GroupPolicy {
  readonly invite?: 'admins' | 'members';
  readonly join?: 'invite' | 'open';
}
