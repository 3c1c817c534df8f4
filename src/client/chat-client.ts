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
      /** The id that replies, edits and deletions name it by, equal for everybody; absent in messages from before there were ids. */
      readonly messageId?: string;
      readonly inReplyTo?: string;
      /** What it replies to, as it is now, shortened; absent when that is not here. */
      readonly quote?: { readonly name: string; readonly text: string };
      /** This line tells that an earlier message of its sender was changed or, `deleted`, taken back. */
      readonly replaces?: string;
      /** Its sender took it back: there is no text any more. */
      readonly deleted?: true;
      /** Its sender changed it: `text` is what it says now. */
      readonly edited?: true;
      /** What the sender does, rather than says. */
      readonly action?: true;
      /** Present when the message is a file, which {@link ChatClient.fetchFile} gets by the line's position. */
      readonly file?: FileNote;
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
      readonly join?: 'invite' | 'open';
      readonly epoch: number;
    }
  /** `handshakes`: present for an opaque group, whose server does not know what its members do. */
  | { readonly kind: 'created'; readonly by: Person; readonly handshakes?: 'private' }
  /** What the group is about; also told again for those who came later. */
  | { readonly kind: 'topic'; readonly by: Person; readonly text: string }
  | AccountLine
  | { readonly kind: 'joined'; readonly by: Person; readonly epoch: number; readonly handshakes?: 'private' }
  | { readonly kind: 'removed-me'; readonly by: Person }
  /** Something a person should know: a gap, a failed entry, a message that could not be sent. */
  | { readonly kind: 'warning'; readonly text: string };

/** What is known of a file without fetching it. */
export interface FileNote {
  /** Harmless as a name in a folder. */
  readonly name: string;
  /** As its sender says. */
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
  /** When the server may have forgotten it, milliseconds since 1970; 0 before it has it. */
  readonly expires: number;
}

export type FetchedFile =
  | { readonly kind: 'done'; readonly name: string; readonly mediaType: string; readonly bytes: Uint8Array }
  | { readonly kind: 'refused'; readonly reason: string };

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
 */
export type Difference =
  | { readonly kind: 'split'; readonly position: number; readonly with: string }
  | { readonly kind: 'receipt' | 'unproven'; readonly position: number };

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

export type JoinOutcome =
  | { readonly kind: 'member' | 'joined'; readonly group: GroupId }
  /** The group exists, there is no invitation, and not everybody may join. */
  | { readonly kind: 'not-invited'; readonly administrators: readonly string[] }
  | { readonly kind: 'no-such-group' }
  | { readonly kind: 'refused'; readonly reason: string };

export interface Found {
  /** Oldest first. */
  readonly lines: readonly HistoryLine[];
  /** The search ended at its bound, and older lines were not looked at. */
  readonly stoppedEarly: boolean;
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

export type ChatEvent =
  /** A new line, live or while catching up; each line exactly once in the life of the local store. */
  | { readonly type: 'line'; readonly line: HistoryLine }
  /** An own message was accepted (its `line` follows), or given up: `refused` says why. */
  | { readonly type: 'sent'; readonly id: string; readonly refused?: string }
  | { readonly type: 'connection'; readonly connection: Connection }
  | { readonly type: 'caught-up'; readonly cursor: Cursor }
  /** Catching up takes longer than a moment. */
  | ({ readonly type: 'progress' } & CatchUpProgress)
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
  /** Invitations that can still be used: key packages of this device with their private keys, the last resort among them. */
  readonly keyPackages: number;
  /** See {@link ChatClient.setReceipts}. */
  readonly receipts: boolean;
}

export interface GroupPolicy {
  readonly invite?: 'admins' | 'members';
  readonly join?: 'invite' | 'open';
}

/** What a message is besides its text. Ids are those of `messageId`. */
export interface SendAs {
  readonly inReplyTo?: string;
  /** An own message that it changes or, with `deleted`, takes back. */
  readonly replaces?: string;
  readonly deleted?: true;
  readonly as?: 'action' | 'topic';
}

export interface ChatClient {
  status(): Promise<ChatStatus>;
  groups(): Promise<readonly GroupStatus[]>;
  members(group: GroupId): Promise<readonly MemberStatus[]>;
  /** Member already, else a pending invitation, else create when the name is free (an opaque one when `handshakes` says so). Waits until caught up, bounded by `signal`. */
  openGroup(name: string, options?: { readonly handshakes?: 'private' }): Promise<OpenOutcome>;
  /** Resolves when the ciphertext is durable in the outbox; delivery goes on in the background, across restarts. */
  send(group: GroupId, text: string, how?: SendAs): Promise<{ readonly id: string }>;
  /** Resolves when the file is stored here, encrypted; it is uploaded and then announced, also after a restart. */
  sendFile(
    group: GroupId,
    file: { readonly name: string; readonly mediaType: string; readonly bytes: Uint8Array },
  ): Promise<{ readonly id: string }>;
  /** The file that came with the entry at this position, when it is what was sent. */
  fetchFile(group: GroupId, position: number): Promise<FetchedFile>;
  invite(group: GroupId, names: readonly string[]): Promise<readonly PersonOutcome[]>;
  remove(group: GroupId, names: readonly string[]): Promise<readonly PersonOutcome[]>;
  /** Makes members administrators. */
  promote(group: GroupId, names: readonly string[]): Promise<readonly PersonOutcome[]>;
  /** Takes that role from them, never from the last one. */
  demote(group: GroupId, names: readonly string[]): Promise<readonly PersonOutcome[]>;
  /** Says who may invite, or who may join uninvited. */
  setPolicy(group: GroupId, policy: GroupPolicy): Promise<Done>;
  /** Joins a group that is there: by an invitation that waits, or because everybody may. Never makes one. */
  joinGroup(name: string): Promise<JoinOutcome>;
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
  /** Whether news of a group are announced; they are kept and counted in any case. */
  setMuted(group: GroupId, muted: boolean): Promise<void>;
  /** Whether this device tells others, in every group, what came and was read, and keeps what they tell. Off at first. */
  setReceipts(on: boolean): Promise<void>;
  /** By the newest that can be known of both accounts. `undefined`: nobody has this name. */
  safetyNumber(name: string): Promise<SafetyNumber | undefined>;
  /** Marks somebody whose number this process has given out before, if it is still the same. */
  markVerified(name: string): Promise<Done>;
  /** When each member was last heard of, as far as the newest lines here tell. */
  lastHeard(group: GroupId): Promise<readonly LastHeard[]>;
  /** The newest `limit` lines of a group that contain this text, whatever its case. */
  search(group: GroupId, text: string, limit: number): Promise<Found>;
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
