/**
 * The client as its user interfaces see it: the terminal, pipes, scripts and tests all stand on this. Everything in it
 * can cross a worker boundary (structured clone).
 */
import type { AccountId, Cursor, DeviceId, GroupId } from '../wire/ids.ts';

/** One line of history: what a person sees, in the order of the log. */
export type HistoryLine = {
  /**
   * Cursor just after the entry this line comes from, for the local history; strictly increasing. A line that no entry brought has
   * one of its own. `undefined`: own text that is not accepted yet.
   */
  readonly cursor?: Cursor;
  readonly group: GroupId;
  readonly groupName: string;
  /** Server time of acceptance (local time while unsent), milliseconds since 1970. */
  readonly time: number;
  /** Position in the group. */
  readonly position?: number;
} & HistoryContent;

export type HistoryContent =
  | {
      readonly kind: 'message';
      readonly id: string;
      readonly sender: Person;
      readonly text: string;
      readonly own: boolean;
    }
  /** Members came or went, or keys were renewed, by one commit. */
  | {
      readonly kind: 'membership';
      readonly by: Person;
      readonly added: readonly Person[];
      readonly removed: readonly Person[];
      readonly rotated: boolean;
      /** Present when the commit changed who administers the group, or who may invite. */
      readonly appointed?: readonly Person[];
      readonly dismissed?: readonly Person[];
      readonly invite?: 'admins' | 'members';
      readonly epoch: number;
    }
  /** `handshakes`: present for an opaque group, whose server does not know what its members do. */
  | { readonly kind: 'created'; readonly by: Person; readonly handshakes?: 'private' }
  | AccountLine
  | { readonly kind: 'joined'; readonly by: Person; readonly epoch: number; readonly handshakes?: 'private' }
  | { readonly kind: 'removed-me'; readonly by: Person }
  /** Something a person should know: a gap, a failed entry, a message that could not be sent. */
  | { readonly kind: 'warning'; readonly text: string };

/** A member's account changed; `by` has the name from before. */
export interface AccountLine {
  readonly kind: 'account';
  readonly by: Person;
  readonly change: 'renamed' | 'device-added' | 'device-revoked';
  /** The new name, or the label of the device. */
  readonly what: string;
}

export interface Person {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly name: string;
}

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
}

export interface MemberStatus {
  readonly name: string;
  readonly account: AccountId;
  readonly devices: readonly DeviceId[];
  readonly role: 'admin' | 'member';
  readonly me: boolean;
}

export type Connection =
  | { readonly state: 'online' }
  | { readonly state: 'connecting' }
  | { readonly state: 'offline'; readonly reason: string; readonly retryInMs: number };

export type ChatEvent =
  /** A new line, live or while catching up; each line exactly once in the life of the local store. */
  | { readonly type: 'line'; readonly line: HistoryLine }
  /** An own message was accepted (its `line` follows), or given up: `refused` says why. */
  | { readonly type: 'sent'; readonly id: string; readonly refused?: string }
  | { readonly type: 'connection'; readonly connection: Connection }
  | { readonly type: 'caught-up'; readonly cursor: Cursor }
  /** Catching up takes longer than a moment. */
  | { readonly type: 'progress'; readonly done: number }
  | { readonly type: 'group'; readonly group: GroupStatus };

export type OpenOutcome =
  | { readonly kind: 'member'; readonly group: GroupId }
  | { readonly kind: 'created'; readonly group: GroupId }
  | { readonly kind: 'joined'; readonly group: GroupId }
  /** The group exists and there is no invitation. */
  | { readonly kind: 'not-invited'; readonly administrators: readonly string[] };

export type PersonOutcome = { readonly name: string } & (
  | { readonly kind: 'done' | 'already' | 'unknown-user' | 'not-member' }
  | { readonly kind: 'refused'; readonly reason: string }
);

/** An operation that the caller's role or the group's state forbids, or that the server refused: a sentence for people. */
export type Done = { readonly kind: 'done' } | { readonly kind: 'refused'; readonly reason: string };

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
}

export interface ChatClient {
  status(): Promise<ChatStatus>;
  groups(): Promise<readonly GroupStatus[]>;
  members(group: GroupId): Promise<readonly MemberStatus[]>;
  /** Member already, else a pending invitation, else create when the name is free (an opaque one when `handshakes` says so). Waits until caught up, bounded by `signal`. */
  openGroup(name: string, options?: { readonly handshakes?: 'private' }): Promise<OpenOutcome>;
  /** Resolves when the ciphertext is durable in the outbox; delivery goes on in the background, across restarts. */
  send(group: GroupId, text: string): Promise<{ readonly id: string }>;
  invite(group: GroupId, names: readonly string[]): Promise<readonly PersonOutcome[]>;
  remove(group: GroupId, names: readonly string[]): Promise<readonly PersonOutcome[]>;
  /** Makes members administrators. */
  promote(group: GroupId, names: readonly string[]): Promise<readonly PersonOutcome[]>;
  /** Takes that role from them, never from the last one. */
  demote(group: GroupId, names: readonly string[]): Promise<readonly PersonOutcome[]>;
  /** Says who may invite. */
  setPolicy(group: GroupId, policy: { readonly invite: 'admins' | 'members' }): Promise<Done>;
  leave(group: GroupId): Promise<Done>;
  /** Own leaf and path renewed (self-update commit). */
  rotate(group: GroupId): Promise<Done>;
  /** Joins the group again by external commit, replacing the own leaf: the way out of `parked`. */
  rejoin(group: GroupId): Promise<Done>;
  /** Takes another user name; the old one becomes free. */
  rename(name: string): Promise<Done>;
  /** The devices of the own account, oldest first. */
  devices(): Promise<readonly DeviceStatus[]>;
  /** Ends a device of the own account, named by its label or the beginning of its id: never this one. */
  revoke(device: string): Promise<Done>;
  /** Adds the device that shows this code (`mlschat link`) to the own account. */
  link(code: string): Promise<Done>;
  /** The recovery code of an account that this process has just registered, once; `undefined` ever after. */
  takeRecoveryCode(): Promise<string | undefined>;
  markRead(group: GroupId): Promise<void>;
  /** Local history after a cursor (`start` for all), oldest first, at most `limit` lines; of one group or of all. */
  history(
    after: Cursor,
    options: { readonly group?: GroupId; readonly limit: number },
  ): Promise<readonly HistoryLine[]>;
  /** The newest `limit` lines of a group, oldest first. */
  recent(group: GroupId, limit: number): Promise<readonly HistoryLine[]>;
  /** Resolves once everything that was in the log when it was called is processed. @throws when the server cannot be reached in time. */
  caughtUp(timeoutMs: number): Promise<void>;
  /** Resolves with the number of entries still unsent when the outbox is empty or the time is over. */
  flushed(timeoutMs: number): Promise<number>;
  /** Events from the moment of the call on, in order. */
  subscribe(listener: (event: ChatEvent) => void): () => void;
  close(): Promise<void>;
}
