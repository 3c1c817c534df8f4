import type { AccountId, ClientId, Cursor, DeviceId, GroupId } from '../../wire/ids.ts';
import type { DeviceOfferId } from '../../wire/link-code.ts';
import type { Page, StreamItem } from '../../wire/page.ts';
import type {
  Account,
  AddDeviceRequest,
  ChangeRequest,
  ChangeResponse,
  RegisterRequest,
  RegisterResponse,
} from '../../wire/schemas/accounts.ts';
import type { StoredBlobAnswer } from '../../wire/schemas/blobs.ts';
import type { StoredOfferAnswer } from '../../wire/schemas/device-offers.ts';
import type {
  Accepted,
  GroupInfoResponse,
  GroupListResponse,
  GroupLookupResponse,
  MessagesResponse,
  ReportRequest,
  TreeResponse,
} from '../../wire/schemas/groups.ts';
import type { ClaimResponse, KeyPackageStock, PublishResult } from '../../wire/schemas/key-packages.ts';
import type { ServerInfo } from '../../wire/schemas/server-info.ts';

/** What is sent where bytes stand in a schema: the schemas are stricter than needed about their buffers. */
type Loose<Value> = Value extends Uint8Array
  ? Uint8Array
  : Value extends readonly (infer Item)[]
    ? readonly Loose<Item>[]
    : Value extends object
      ? { readonly [Key in keyof Value]: Loose<Value[Key]> }
      : Value;

export interface CommitBody {
  readonly commit: Uint8Array;
  readonly welcome?: Uint8Array;
  readonly groupInfo: Uint8Array;
  /** In an opaque group. */
  readonly roster?: {
    readonly added: readonly { readonly device: DeviceId; readonly ref: Uint8Array }[];
    readonly removed: readonly DeviceId[];
  };
}

export interface MessageBody {
  readonly id: ClientId;
  readonly message: Uint8Array;
}

/**
 * The server as the client uses it: one method a resource, signed by this device. Everything that changes something
 * carries its idempotency key, so it may be repeated until it was answered.
 *
 * Every method throws `ProblemError` for an answer that is a problem, and {@link TransportError} when there was none.
 */
export interface ServerApi {
  serverInfo(): Promise<ServerInfo>;
  register(key: ClientId, body: Loose<RegisterRequest>): Promise<RegisterResponse>;
  renameAccount(key: ClientId, body: Loose<ChangeRequest>): Promise<ChangeResponse>;
  addDevice(key: ClientId, body: Loose<AddDeviceRequest>): Promise<RegisterResponse>;
  /** By a device that is not known yet. */
  recoverAccount(key: ClientId, account: AccountId, body: Loose<AddDeviceRequest>): Promise<RegisterResponse>;
  /** Leaves the offer of this device, which is not known yet, on the server for a while. Needs no key: the id is of the offer. */
  putDeviceOffer(id: DeviceOfferId, offer: Uint8Array): Promise<StoredOfferAnswer>;
  /** `undefined` when no such offer waits for the account of this device. */
  deviceOffer(id: DeviceOfferId): Promise<Uint8Array | undefined>;
  revokeDevice(key: ClientId, device: DeviceId, body: Loose<ChangeRequest>): Promise<ChangeResponse>;
  /** Groups that any device of the account is a member of. */
  accountGroups(): Promise<GroupListResponse>;
  /** `undefined` when there is no such account. */
  accountByName(name: string): Promise<Account | undefined>;
  /**
   * `undefined` when there is no such account.
   *
   * @param newest as it is at the end of the log by now: what else of it was seen anywhere is in this answer, or never was in the
   *   log. A node that does not come so far throws `not-ready` instead.
   */
  account(id: AccountId, newest?: 'newest'): Promise<Account | undefined>;
  stock(): Promise<KeyPackageStock>;
  publishKeyPackages(key: ClientId, keyPackages: readonly Uint8Array[]): Promise<PublishResult>;
  claimKeyPackages(key: ClientId, group: Uint8Array, accounts: readonly AccountId[]): Promise<ClaimResponse>;
  createGroup(
    key: ClientId,
    body: {
      readonly group: Uint8Array;
      readonly name?: string;
      readonly handshakes?: 'private';
      readonly groupInfo: Uint8Array;
    },
  ): Promise<Accepted>;
  groupsByName(name: string): Promise<GroupLookupResponse>;
  postCommit(key: ClientId, group: GroupId, body: CommitBody): Promise<Accepted>;
  postProposal(key: ClientId, group: GroupId, proposal: Uint8Array): Promise<Accepted>;
  postMessages(key: ClientId, group: GroupId, messages: readonly MessageBody[]): Promise<MessagesResponse>;
  /** A commit that cannot be processed here; needs no key, it is one a device and epoch. */
  postReport(group: GroupId, report: Loose<ReportRequest>): Promise<Accepted>;
  /** Needs no key: it has its hash (base64url of SHA-256). */
  putBlob(group: GroupId, hash: string, blob: Uint8Array): Promise<StoredBlobAnswer>;
  /** `undefined` when the server has no such blob in this group, or no longer. */
  blob(group: GroupId, hash: string): Promise<Uint8Array | undefined>;
  tree(group: GroupId, epoch: number): Promise<TreeResponse>;
  groupInfo(group: GroupId): Promise<GroupInfoResponse>;
  /** Position of the group's last entry; `undefined` when the server has no such group for this device. */
  endOf(group: GroupId): Promise<number | undefined>;
  /**
   * Head of the group after this position; `undefined` when the server's log of it, as it is by now, does not reach there, and `later`
   * when this device is shown nothing of it there, but of what comes behind. A node that has not come so far throws `not-ready` instead.
   */
  headAt(group: GroupId, position: number): Promise<Uint8Array | 'later' | undefined>;
  syncPage(cursor: Cursor, limit: number): Promise<Page>;
  /** Replays from the cursor, marks `caught-up`, goes on. Ends when the server ends it; throws when it breaks. */
  syncStream(cursor: Cursor, signal: AbortSignal): AsyncIterable<StreamItem>;
  close(): Promise<void>;
}

/**
 * No answer, or none that this protocol has. `malformed`: something answered that speaks otherwise.
 */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly code: 'unreachable' | 'malformed';

  constructor(code: TransportError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
