import { nameLane } from '../../log/subjects.ts';
import { fromBase64Url, toBase64Url } from '../../wire/bytes.ts';
import type { AccountId, DeviceId, GroupId } from '../../wire/ids.ts';
import {
  accounts,
  claims,
  devices,
  keyPackages,
  laneId,
  lanes,
  lastClaims,
  names,
  type StockItem,
  stocks,
} from '../fold/rows.ts';
import type { AccountView, ClaimCandidate, ReadModel } from '../read-model.ts';
import type { Tables } from '../store/tables.ts';

type AccountReads = Pick<
  ReadModel,
  | 'account'
  | 'accountByName'
  | 'device'
  | 'isRevoked'
  | 'ownerOf'
  | 'nameLane'
  | 'stock'
  | 'hasKeyPackage'
  | 'claimCandidates'
  | 'claimOf'
>;

/** What is known of accounts, their devices, their names and their key packages. */
export function createAccountReads(tables: Tables): AccountReads {
  const account = (id: AccountId): AccountView | undefined => {
    const row = tables.get(accounts, id);
    if (row === undefined) return undefined;
    const { registeredAt, chain, statements } = row;
    const laneSequence = tables.get(lanes, laneId('account', id)) ?? 0;
    const valid = chain.devices.filter((device) => !device.revoked).map((device) => ({ ...device, account: id }));
    return { id, name: chain.name, devices: valid, registeredAt, chain, statements, laneSequence };
  };
  return {
    account,
    accountByName(name) {
      const holder = tables.get(names, nameLane('account', name).hash);
      return typeof holder === 'string' ? account(holder as AccountId) : undefined;
    },
    device(id) {
      const row = tables.get(devices, id);
      return row?.revoked === false ? row : undefined;
    },
    isRevoked: (id) => tables.get(devices, id)?.revoked === true,
    ownerOf: (id) => tables.get(devices, id)?.account,
    nameLane(kind, name) {
      const { hash } = nameLane(kind === 'user' ? 'account' : 'group', name);
      const sequence = tables.get(lanes, laneId('name', hash)) ?? 0;
      return { sequence, taken: tables.get(names, hash) !== undefined };
    },
    stock(device) {
      const stock = tables.get(stocks, device);
      return { available: stock?.oneTime.length ?? 0, lastResort: stock?.lastResort !== undefined };
    },
    hasKeyPackage: (ref) => tables.get(keyPackages, ref) !== undefined,
    claimCandidates: (id, now) =>
      (tables.get(accounts, id)?.chain.devices ?? [])
        .filter(({ revoked }) => !revoked)
        .map(({ id: device }) => candidateOf(tables, device, now)),
    claimOf(ref, group) {
      const row = tables.get(keyPackages, ref);
      const claimed = group === undefined ? tables.get(lastClaims, ref) : claimFor(tables, ref, group);
      if (row === undefined || claimed === undefined) return undefined;
      return { group: toBase64Url(claimed) as GroupId, device: row.device, keyPackage: row.keyPackage };
    },
  };
}

function candidateOf(tables: Tables, device: DeviceId, now: number): ClaimCandidate {
  const stock = tables.get(stocks, device);
  const alive = (item: StockItem) => item.notAfter > now;
  const oneTime = stock?.oneTime.find(alive);
  const lastResort = stock?.lastResort !== undefined && alive(stock.lastResort) ? stock.lastResort : undefined;
  const item = oneTime ?? lastResort;
  const row = item === undefined ? undefined : tables.get(keyPackages, item.ref);
  if (item === undefined || row === undefined) return { device, lastResort: false };
  return { device, ref: item.ref, keyPackage: row.keyPackage, lastResort: oneTime === undefined };
}

function claimFor(tables: Tables, ref: Uint8Array, group: GroupId): Uint8Array | undefined {
  const bytes = fromBase64Url(group);
  return bytes !== undefined && tables.get(claims, { ref, group: bytes }) !== undefined ? bytes : undefined;
}
