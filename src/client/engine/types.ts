import type { MlsConfig } from '../../mls/config.ts';
import type { Consumed, GroupState as MlsState } from '../../mls/session/state.ts';
import type { Suite } from '../../mls/suite.ts';
import type { AccountId, ClientId, DeviceId, GroupId, Sha256 } from '../../wire/ids.ts';
import type { HistoryContent } from '../chat-client.ts';
import type { Directory } from './directory.ts';

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
  /** Absent before the join and after the removal. */
  readonly mls?: MlsState;
  /** Next expected generation by `epoch/leaf` of the sender. */
  readonly generations: ReadonlyMap<string, number>;
  readonly creation?: { readonly id: ClientId; readonly groupInfo: Uint8Array };
  readonly pending?: PendingCommit;
  /** What is still to be committed, oldest first. */
  readonly intentions: readonly Intention[];
  readonly outbox: readonly OutboxItem[];
  readonly leaving?: Leaving;
  readonly unread: number;
  /** No new commit before this epoch: the server said that the group is there. Not stored. */
  readonly waitForEpoch?: number;
}

/** Secrets of an epoch that does not exist yet, as rows: in memory they would alias the present ones. */
export interface StoredState {
  readonly epochRecord: Uint8Array;
  readonly ratchets: readonly { readonly epoch: number; readonly leaf: number; readonly bytes: Uint8Array }[];
}

/** What travels with a commit; all MLSMessages. */
export interface CommitBundle {
  readonly commit: Uint8Array;
  readonly welcome?: Uint8Array;
  readonly groupInfo: Uint8Array;
}

export interface PendingCommit {
  /** Idempotency key of the request and id of the entry. */
  readonly id: ClientId;
  readonly kind: 'commit' | 'external';
  readonly intention: string;
  /** The epoch it ends. */
  readonly epoch: number;
  readonly body: CommitBundle;
  readonly next: StoredState;
  /** The server's answer came; the entry is still to come. */
  readonly accepted: boolean;
  /** Of the epoch it ends; to be zeroed when the entry is in. Not stored. */
  readonly consumed?: Consumed;
}

export type Intention = {
  readonly id: string;
  /** Commits made for it so far. */
  readonly attempts: number;
  /** Refusals that may have come from a proposal we had not seen. */
  readonly refusals: number;
  readonly settled: readonly { readonly account: AccountId; readonly kind: 'done' | 'already' | 'not-member' }[];
} & IntentionKind;

export type IntentionKind =
  | { readonly kind: 'add'; readonly packages: readonly AddedPackage[] }
  | { readonly kind: 'remove'; readonly accounts: readonly AccountId[] }
  | { readonly kind: 'rotate' }
  | { readonly kind: 'commit-proposals' }
  | { readonly kind: 'rejoin' };

export interface AddedPackage {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly identity: string;
  readonly keyPackage: Uint8Array;
}

export interface OutboxItem {
  /** What {@link OutboxItem.sealed} was made for: stays the same when the text has to be encrypted anew. */
  readonly localId: ClientId;
  /** Order of all unsent texts of this device. */
  readonly ordinal: number;
  readonly text: string;
  /** Local time of typing, milliseconds since 1970. */
  readonly time: number;
  readonly sealed?: { readonly id: ClientId; readonly epoch: number; readonly message: Uint8Array };
  /** The server has it; the entry is still to come. */
  readonly accepted: boolean;
  /** The server refused the epoch; encrypt anew once the log up to then is read without the entry. */
  readonly stale: boolean;
}

export interface Leaving {
  readonly id: ClientId;
  readonly epoch: number;
  readonly proposal?: Uint8Array;
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
}

/** A step that cannot be taken before something is fetched; nothing has changed. */
export type Needs =
  | { readonly kind: 'needs-accounts'; readonly accounts: readonly AccountId[] }
  | { readonly kind: 'needs-tree'; readonly group: GroupId; readonly epoch: number };

export function step(group: Group, more: Partial<Omit<Step, 'group'>> = {}): Step {
  return { group, lines: more.lines ?? [], signals: more.signals ?? [], consumed: more.consumed ?? [] };
}
