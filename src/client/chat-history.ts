/** What is said in groups, as people see it. Everything here can cross a worker boundary (structured clone). */
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
      /** Position of the entry that changed it last. */
      readonly changedAt?: number;
      /** `messageId` of the line that tells of that change. */
      readonly changedBy?: string;
      /** What the sender does, rather than says. */
      readonly action?: true;
      /** Of an own text that is not accepted yet: it is to be what the group is about. */
      readonly topic?: true;
      /** Present when the message is a file, which `ChatClient.fetchFile` gets by the line's position. */
      readonly file?: FileNote;
    }
  /** Members came or went, or keys were renewed, by one commit. */
  | {
      readonly kind: 'membership';
      readonly by: Person;
      readonly added: readonly Person[];
      readonly removed: readonly Person[];
      /** Those of `removed` that had asked to go. Present when there are any. */
      readonly left?: readonly Person[];
      /** Those of `added` and `removed` whose account was a member before and is one still. Present when there are any. */
      readonly devices?: readonly Person[];
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
