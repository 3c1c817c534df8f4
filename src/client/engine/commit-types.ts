import type { Consumed } from '../../mls/session/state.ts';
import type { AccountId, ClientId, DeviceId } from '../../wire/ids.ts';

/** What the server of an opaque group is told about a commit. */
export interface DeclaredRoster {
  readonly added: readonly { readonly device: DeviceId; readonly ref: Uint8Array }[];
  readonly removed: readonly DeviceId[];
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
  /** In an opaque group. */
  readonly roster?: DeclaredRoster;
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
  /** Where the server says that it stands. */
  readonly promisedAt?: number;
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
  /** Revoked devices that are members still. */
  | { readonly kind: 'expel'; readonly devices: readonly DeviceId[] }
  | { readonly kind: 'rotate' }
  /** `leaveOut`: what the commit passes over, so that it ends with the epoch, and what people are told then, see passed-over.ts. */
  | {
      readonly kind: 'commit-proposals';
      readonly leaveOut?: { readonly what: 'own-removal' | 'everything'; readonly told: string };
    }
  /** Made from the roles as they are when it is committed. */
  | {
      readonly kind: 'roles';
      readonly appoint: readonly AccountId[];
      readonly dismiss: readonly AccountId[];
      readonly invite?: 'admins' | 'members';
      readonly join?: 'invite' | 'open';
    }
  | { readonly kind: 'rejoin' };

export interface AddedPackage {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly identity: string;
  readonly keyPackage: Uint8Array;
}
