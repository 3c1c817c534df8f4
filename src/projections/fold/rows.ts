import type { KnownProposal } from '../../mls/handshake.ts';
import type { GroupRoles } from '../../mls/roles.ts';
import type { Roster } from '../../mls/roster.ts';
import type { AccountChain, SignedStatement } from '../../wire/account-chain.ts';
import { concatBytes, equalBytes } from '../../wire/bytes.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import type { AccountId, DeviceId } from '../../wire/ids.ts';
import { readOrder, readUint48, writeOrder, writeUint48 } from '../order.ts';
import type { DeviceView, RequestOutcome } from '../read-model.ts';
import { createGroupState, type GroupState } from './group-state.ts';
import { bytesKey, bytesKeyPair, numberKey, numberLargeKey, pairKey, TABLE, textKey } from './keys.ts';
import { bytesTable, plainTable, type Table } from './table.ts';

/** An account; its devices have rows of their own beside, for the hot path. */
export interface AccountRow {
  readonly registeredAt: number;
  readonly chain: AccountChain;
  /** What the chain was folded from. */
  readonly statements: readonly SignedStatement[];
}

/** A revoked device keeps its row: its key belongs to no other account for ever. */
export interface DeviceRow extends DeviceView {
  readonly revoked: boolean;
}

/** A stored key package, whether it is still in stock or not: a reference is never used twice. */
export interface KeyPackageRow {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly keyPackage: Uint8Array;
  readonly lastResort: boolean;
}

/** A package that can be claimed. Times in ms. */
export interface StockItem {
  readonly ref: Uint8Array;
  readonly notAfter: number;
}

/** What one device has in stock, oldest first. */
export interface StockRow {
  readonly oneTime: readonly StockItem[];
  readonly lastResort?: StockItem;
  readonly lastResortUsed: boolean;
  /** How far its owner was told: 0 not at all, 1 stock low, 2 last resort used. */
  readonly signalled: number;
}

export interface PendingProposalRow extends KnownProposal {
  readonly position: number;
}

/** A Welcome that its device has shown no sign of having used. */
export interface UnusedWelcome {
  readonly device: number;
  readonly epoch: number;
  /** ms */
  readonly time: number;
}

/** What a device may read of one group: positions `from` to `to`, both included; open while `to` is absent. */
export interface Window {
  readonly from: number;
  readonly openedSequence: number;
  readonly openedIndex: number;
  readonly to?: number;
  readonly closedSequence?: number;
  readonly closedIndex?: number;
}

/** The newest place of a group. */
export interface GroupHead {
  readonly position: number;
  readonly sequence: number;
  readonly index: number;
  readonly hash: Uint8Array;
  /** MLS group_id. */
  readonly group: Uint8Array;
}

/** From where on a group's entries are kept, and the last one that is not. */
export interface LogStart {
  /** First position that is served. */
  readonly position: number;
  /** Where the entry before it stood among everything, and the head after it. */
  readonly sequence: number;
  readonly index: number;
  readonly head: Uint8Array;
  /** The epoch that the entry at `position` is of: who reads on from there has to come from it. */
  readonly epoch: number;
}

export const accounts: Table<AccountId, AccountRow> = plainTable((id) => textKey(TABLE.account, id));
export const devices: Table<DeviceId, DeviceRow> = plainTable((id) => textKey(TABLE.device, id));
export const deviceNumbers: Table<DeviceId, number> = plainTable((id) => textKey(TABLE.deviceNumber, id));
/** By the hash of the name's lane; the holder is an account id, or a group id as bytes. */
export const names: Table<string, string | Uint8Array> = plainTable((hash) => textKey(TABLE.name, hash));
/** Sequence of a lane's last event, by {@link laneId}. */
export const lanes: Table<string, number> = plainTable((lane) => textKey(TABLE.lane, lane), {
  absenceCached: true,
});
export const requests: Table<string, RequestOutcome> = plainTable((id) => textKey(TABLE.request, id));
export const keyPackages: Table<Uint8Array, KeyPackageRow> = plainTable((ref) => bytesKey(TABLE.keyPackage, ref));
export const stocks: Table<DeviceId, StockRow> = plainTable((id) => textKey(TABLE.stock, id));
/** The group a package was claimed for last. */
export const lastClaims: Table<Uint8Array, Uint8Array> = plainTable((ref) => bytesKeyPair(TABLE.claim, ref));
/** Whether a package was claimed for a group. */
export const claims: Table<{ ref: Uint8Array; group: Uint8Array }, true> = plainTable(({ ref, group }) =>
  bytesKeyPair(TABLE.claim, ref, group),
);
export const groupInfos: Table<{ group: number; epoch: number }, Uint8Array> = bytesTable(({ group, epoch }) =>
  numberLargeKey(TABLE.groupInfo, group, epoch),
);
/** Position of the first entry of an epoch. */
export const epochStarts: Table<{ group: number; epoch: number }, number> = plainTable(({ group, epoch }) =>
  numberLargeKey(TABLE.epochStart, group, epoch),
);
export const pendingProposals: Table<number, readonly PendingProposalRow[]> = plainTable(
  (group) => numberKey(TABLE.pendingProposals, group),
  { absenceCached: true },
);
export const unusedWelcomes: Table<number, readonly UnusedWelcome[]> = plainTable(
  (group) => numberKey(TABLE.unusedWelcomes, group),
  { absenceCached: true },
);
/** Absent: all of the group's entries are kept. */
export const logStarts: Table<number, LogStart> = plainTable((group) => numberKey(TABLE.logStart, group), {
  absenceCached: true,
});
export const windows: Table<{ device: number; group: number }, readonly Window[]> = plainTable(({ device, group }) =>
  pairKey(TABLE.window, device, group),
);

export const groups: Table<Uint8Array, GroupState> = {
  key: (id) => bytesKey(TABLE.group, id),
  encode: ({ no, id, name, epoch, roles, roster, declared }) =>
    encodeCbor({ no, id, name, epoch, roles, roster, declared }),
  decode: (bytes) =>
    createGroupState(
      decodeCbor(bytes) as {
        no: number;
        id: Uint8Array;
        name?: string;
        epoch: number;
        roles: GroupRoles;
        roster: Roster;
        declared?: NonNullable<GroupState['declared']>;
      },
    ),
  cached: true,
};

const POSITION_BYTES = 6;
const ORDER_AT = POSITION_BYTES;
const HASH_AT = ORDER_AT + 12;
const GROUP_AT = HASH_AT + 32;

export const groupHeads: Table<number, GroupHead> = {
  key: (group) => numberKey(TABLE.head, group),
  encode({ position, sequence, index, hash, group }) {
    const row = concatBytes(new Uint8Array(HASH_AT), hash, group);
    writeUint48(row, 0, position);
    writeOrder(row, ORDER_AT, sequence, index);
    return row;
  },
  decode(bytes) {
    const { sequence, index } = readOrder(bytes, ORDER_AT);
    const hash = bytes.slice(HASH_AT, GROUP_AT);
    return { position: readUint48(bytes, 0), sequence, index, hash, group: bytes.slice(GROUP_AT) };
  },
  cached: false,
};

/** The key of {@link lanes} for an account's, a group's commit or a name's lane. */
export function laneId(kind: 'account' | 'group-commit' | 'name', id: string): string {
  return `${kind}:${id}`;
}

/** The package with this reference, if it is among these. */
export function findStockItem(items: readonly StockItem[], ref: Uint8Array): StockItem | undefined {
  return items.find((item) => equalBytes(item.ref, ref));
}
