import type { MlsConfig } from '../../mls/config.ts';
import type { Consumed, GroupState as MlsState } from '../../mls/session/state.ts';
import type { Suite } from '../../mls/suite.ts';
import type { AccountId, ClientId, DeviceId, GroupId, Sha256 } from '../../wire/ids.ts';
import type { HistoryContent, Person } from '../chat-client.ts';
import type { Attachment, Upload } from './attachment.ts';
import type { Intention, PendingCommit } from './commit-types.ts';
import type { Directory, KnownAccount } from './directory.ts';
import type { Evidence, SettledReceipt } from './evidence.ts';
import type { HeadRow } from './recent-heads.ts';

/** What the engine may use of the world; everything in it is handed in, nothing of it does I/O. */
export interface EngineEnv {
  readonly suite: Suite;
  readonly config: MlsConfig;
  readonly sha256: Sha256;
  readonly directory: Directory;
  readonly me: Me;
  /** Local time, milliseconds since 1970. */
  readonly now: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  /** Whether the person tells others what came and was read, and wants to know it of them. */
  readonly marks?: () => boolean;
}

export interface Me {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly name: string;
  readonly domain: string;
  /** The text of our credential. */
  readonly identity: string;
  readonly keys: { readonly signPrivate: Uint8Array; readonly signPublic: Uint8Array };
}

/**
 * - `creating`: made here, the server has not placed it yet.
 * - `joining`: nothing is known but the id; an external commit of ours is on its way, or was never asked for.
 * - `member`, `parked` (an entry could not be processed; nothing after it is), `removed`.
 */
export type GroupPhase = 'creating' | 'joining' | 'member' | 'parked' | 'removed';

/** Everything this device knows about one group: a value, replaced by each step and stored as the difference. */
export interface Group {
  readonly id: GroupId;
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly phase: GroupPhase;
  readonly parkedReason?: string;
  /** Position of the last entry that counted, 0 before the first. */
  readonly position: number;
  /** Head of the chain after `position`; absent when this device did not see where its window begins. */
  readonly head?: Uint8Array;
  /** The last of the chain's heads, up to `head`. */
  readonly heads?: readonly HeadRow[];
  /** What was read here is of a history that the server's log no longer has: no epoch of it says how far the group is. */
  readonly isOfLost?: true;
  readonly evidence?: Evidence;
  readonly topic?: Topic;
  /** Present while the person wants receipts. */
  readonly marks?: Marks;
  /** Somebody was let in who cannot have read the topic: it is to be told again. */
  readonly topicDue?: true;
  /** Absent before the join and after the removal. */
  readonly mls?: MlsState;
  /** Present for an opaque group, as far as the server said so. */
  readonly handshakes?: 'private';
  /** Of a group that was parked by a commit which could not be processed. */
  readonly recovery?: Recovery;
  /** Own generations of an epoch that were used for messages which will never be in the log. */
  readonly voided?: { readonly epoch: number; readonly generations: readonly number[] };
  /** Next expected generation by `epoch/leaf` of the sender. */
  readonly generations: ReadonlyMap<string, number>;
  /** `asked`: how often the log was replaced since, so that it is asked for again. */
  readonly creation?: { readonly id: ClientId; readonly groupInfo: Uint8Array; readonly asked?: number };
  readonly pending?: PendingCommit;
  /** What is still to be committed, oldest first. */
  readonly intentions: readonly Intention[];
  readonly outbox: readonly OutboxItem[];
  /** Texts that were said to be not sent, and of which a copy may be on its way still, see given-up.ts. */
  readonly givenUp?: readonly OutboxItem[];
  /** Files on their way to the server, oldest first; each becomes an item of the outbox when it is there. */
  readonly uploads?: readonly Upload[];
  readonly leaving?: Leaving;
  readonly unread: number;
  /** Its news are not announced. */
  readonly muted?: true;
  /** How long the own leaf's keys have been in use; absent where they never were renewed by this version. */
  readonly leafUse?: LeafUse;
  /** Devices whose revocation stands in this group's log as far as it was read. */
  readonly revoked?: readonly DeviceId[];
  /**
   * Up to this position account changes stand in the log that were not shown to this device: it was let in there, or they are no longer
   * on the server. What is known of the members' accounts may be older, so the server is asked.
   */
  readonly membersDue?: number;
  /** Members that are revoked devices, to be removed. Not stored. */
  readonly toExpel?: readonly DeviceId[];
  /** No new commit before this epoch: the server said that the group is there. Not stored. */
  readonly waitForEpoch?: number;
  /** Epoch and account of the heirs who could not be named in the newest epoch that had any, see leave.ts. Not stored. */
  readonly heirsRefused?: readonly string[];
}

/** What has been done with the keys of the own leaf, see rotation.ts. */
export interface LeafUse {
  /** Local time they came into use, milliseconds since 1970. */
  readonly since: number;
  /** Own messages since. */
  readonly messages: number;
  /** They are those of a key package, which others have had for a while. */
  readonly fromPackage?: true;
}

/** What came and was read, see marks.ts. */
export interface Marks {
  /** Messages of others, oldest first; `told`: what the others know of it. */
  readonly heard: readonly {
    readonly id: string;
    readonly is: 'delivered' | 'read';
    readonly told?: 'delivered' | 'read';
  }[];
  readonly own: readonly { readonly id: string; readonly position: number }[];
  /** Up to where others got and read own messages, 0 before the first. */
  readonly by: readonly { readonly account: AccountId; readonly delivered: number; readonly read: number }[];
}

/** What the group is about, as a member has said. */
export interface Topic {
  readonly text: string;
  readonly by: Person;
  /** Where it was set: the newest counts. */
  readonly position: number;
}

/** A commit that could not be processed here, and what was done about it. */
export interface Recovery {
  /** The epoch that the commit ended, its position, and SHA-256 of its MLSMessage. */
  readonly epoch: number;
  readonly position: number;
  readonly commit: Uint8Array;
  /** What went wrong: a rejection of src/mls. */
  readonly code: string;
  /** For people. */
  readonly committer: string;
  readonly reported: boolean;
  /** Rejoins asked for so far. */
  readonly attempts: number;
  readonly gaveUp: boolean;
  /** Position of the last entry that came since, and could not be read. */
  readonly passed?: number;
  /** It was no commit: entries are no longer on the server, and were never read here. */
  readonly missed?: Missed;
}

/** Entries that the server kept no longer when this device came for them. */
export interface Missed {
  readonly count: number;
  /** Position of the last of them. */
  readonly to: number;
  /** When the first entry behind them was taken, milliseconds since 1970; absent when nothing comes behind them. */
  readonly before?: number;
}

export interface OutboxItem {
  /** What {@link OutboxItem.sealed} was made for: stays the same when the text has to be encrypted anew. */
  readonly localId: ClientId;
  /** Order of all unsent texts of this device. */
  readonly ordinal: number;
  readonly text: string;
  /** What is encrypted: made once, so that the message keeps its id. Absent in rows from before there were ids. */
  readonly content?: Uint8Array;
  /** Local time of typing, milliseconds since 1970. */
  readonly time: number;
  /** The message is this file, which the server has; the text is for people. */
  readonly attachment?: Attachment;
  readonly sealed?: {
    readonly id: ClientId;
    readonly epoch: number;
    readonly message: Uint8Array;
    /** Of the sender's ratchet in `epoch`. */
    readonly generation?: number;
  };
  /** The last position that was read when it was first encrypted: it stands behind that. */
  readonly sealedAfter?: number;
  /** The server has it; the entry is still to come. */
  readonly accepted: boolean;
  /** Where the server says that it stands. */
  readonly promisedAt?: number;
  /** The server refused the epoch; encrypt anew once the log up to then is read without the entry. */
  readonly stale: boolean;
  /**
   * Encrypted anew without having been refused: the first ciphertext may still be placed, and only the entry tells which of the two
   * stands. What follows waits for that.
   */
  readonly twofold?: true;
  /** It may be among entries that are gone: it was encrypted before them, and the server has not refused that ciphertext. */
  readonly unheard?: true;
}

export interface Leaving {
  readonly id: ClientId;
  readonly epoch: number;
  readonly proposal?: Uint8Array;
  /** ProposalRef of a private proposal. */
  readonly ref?: Uint8Array;
  readonly accepted: boolean;
}

/** A line without what only the store knows: cursor and group name. */
export type LineDraft = { readonly time: number; readonly position?: number } & HistoryContent;

/** What a step tells people that wait for something. */
export type Signal =
  /** `refused`: it never will be, and why. */
  | { readonly kind: 'sent'; readonly localId: string; readonly refused?: string }
  | { readonly kind: 'intention'; readonly id: string; readonly outcome: IntentionOutcome }
  | { readonly kind: 'created' }
  | { readonly kind: 'name-taken' }
  | { readonly kind: 'creation-refused'; readonly reason: string }
  | {
      readonly kind: 'leave';
      readonly outcome: { readonly kind: 'done' } | { readonly kind: 'refused'; readonly reason: string };
    };

export type IntentionOutcome =
  | { readonly kind: 'done'; readonly settled: Intention['settled'] }
  | { readonly kind: 'refused'; readonly reason: string; readonly settled: Intention['settled'] };

/** The result of a step: the group's new value, and what goes with it into one transaction or comes after it. */
export interface Step {
  readonly group: Group;
  readonly lines: readonly LineDraft[];
  readonly signals: readonly Signal[];
  /** To be zeroed once the step is stored. */
  readonly consumed: readonly Consumed[];
  /** Accounts that are known better now, to be stored with it. */
  readonly accounts?: readonly KnownAccount[];
  /** Receipts that were compared, to be stored with it. */
  readonly receipts?: readonly SettledReceipt[];
  /** Files that came, to be stored with it. */
  readonly attachments?: readonly { readonly position: number; readonly attachment: Attachment }[];
}

/** A step that cannot be taken before something is fetched; nothing has changed. */
export type Needs =
  /** `group`: where it came up. */
  | { readonly kind: 'needs-accounts'; readonly accounts: readonly AccountId[]; readonly group?: GroupId }
  | { readonly kind: 'needs-tree'; readonly group: GroupId; readonly epoch: number };

/** A step that cannot be taken before the server has said whether it took the group's pending commit; nothing has changed. */
export interface NeedsAnswer {
  readonly kind: 'needs-answer';
  readonly group: GroupId;
}

export function step(group: Group, more: Partial<Omit<Step, 'group'>> = {}): Step {
  const { lines = [], signals = [], consumed = [], accounts, receipts, attachments } = more;
  return {
    ...{ group, lines, signals, consumed },
    ...(accounts === undefined ? {} : { accounts }),
    ...(receipts === undefined ? {} : { receipts }),
    ...(attachments === undefined ? {} : { attachments }),
  };
}
