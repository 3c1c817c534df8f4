/**
 * The client as its user interfaces see it: the terminal, pipes, scripts and tests all stand on this. Everything in it
 * can cross a worker boundary (structured clone).
 */
import type { AccountId, Cursor, DeviceId, GroupId } from '../wire/ids.ts';
import type { FileNote, HistoryLine, Person } from './chat-history.ts';
import type {
  CatchUpProgress,
  ChatStatus,
  Connection,
  DeviceStatus,
  GroupPolicy,
  GroupStatus,
  LastHeard,
  MemberStatus,
  SafetyNumber,
} from './chat-status.ts';

export type * from './chat-history.ts';
export type * from './chat-status.ts';

export type FetchedFile =
  | { readonly kind: 'done'; readonly name: string; readonly mediaType: string; readonly bytes: Uint8Array }
  | { readonly kind: 'refused'; readonly reason: string };

/** A message as one device of an account hands it to another one: what its line says, and what opens its file. */
export interface PortableMessage {
  readonly position: number;
  /** Server time of acceptance, milliseconds since 1970. */
  readonly time: number;
  readonly id: string;
  readonly sender: Person;
  readonly text: string;
  readonly own: boolean;
  readonly messageId?: string;
  readonly inReplyTo?: string;
  readonly replaces?: string;
  readonly deleted?: true;
  readonly edited?: true;
  readonly changedAt?: number;
  readonly action?: true;
  readonly file?: FileNote;
  readonly fileKey?: { readonly key: Uint8Array; readonly nonce: Uint8Array; readonly hash: Uint8Array };
}

/** Ed25519 by the device key. */
export interface HistorySignature {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly signature: Uint8Array;
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

/** A new device that asks to be added; `label` is what it calls itself. */
export type OfferedDevice =
  | { readonly kind: 'offer'; readonly device: DeviceId; readonly label: string }
  | { readonly kind: 'refused'; readonly reason: string };

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
  /** The device that shows this code (`mlschat link`), as it describes itself. Nothing is changed. */
  readOffer(code: string): Promise<OfferedDevice>;
  /** Adds that device to the own account. */
  link(code: string): Promise<Done>;
  /** The recovery code of a new account, once a process, until it was shown; `undefined` ever after. */
  takeRecoveryCode(): Promise<string | undefined>;
  /** The person has the recovery code: it is deleted here. Until then it is given out again at every start. */
  recoveryCodeShown(): Promise<void>;
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
  /**
   * Local history after a cursor (`start` for all), oldest first, at most `limit` lines; of one group, with what was taken over
   * from another device, or of all that came to this one.
   */
  history(
    after: Cursor,
    options: { readonly group?: GroupId; readonly limit: number },
  ): Promise<readonly HistoryLine[]>;
  /** The newest `limit` lines of a group, oldest first. */
  recent(group: GroupId, limit: number): Promise<readonly HistoryLine[]>;
  /**
   * Messages of a group for another device of the account, oldest first, after a cursor of this device (`start` for all) up to
   * a position. `next`: where to go on; absent at the end.
   */
  portableHistory(
    group: GroupId,
    from: { readonly after: Cursor; readonly until: number; readonly limit: number },
  ): Promise<{ readonly messages: readonly PortableMessage[]; readonly next?: Cursor }>;
  /** Adds those from before this device's own first entry of the group; what is here stays. `added`: how many were new. */
  takeOver(group: GroupId, messages: readonly PortableMessage[]): Promise<{ readonly added: number }>;
  /** This device's word for a history that it gives away, by SHA-256 of it. */
  signHistory(digest: Uint8Array): Promise<HistorySignature>;
  /** Whether a device of the own account, one that was revoked since included, gave its word for it. */
  checkHistory(signed: HistorySignature, digest: Uint8Array): Promise<Done>;
  /** Resolves once everything that was in the log when it was called is processed. @throws when the server cannot be reached in time. */
  caughtUp(timeoutMs: number): Promise<void>;
  /** Resolves with the number of entries still unsent when the outbox is empty or the time is over. */
  flushed(timeoutMs: number): Promise<number>;
  /** Events from the moment of the call on, in order. */
  subscribe(listener: (event: ChatEvent) => void): () => void;
  close(): Promise<void>;
}
