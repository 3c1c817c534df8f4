import type { KeyPackagesClaimed, KeyPackagesPublished, StoredKeyPackage } from '../../log/events.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { AccountId, DeviceId } from '../../wire/ids.ts';
import type { Draft } from './draft.ts';
import { frameEntry } from './entry-row.ts';
import { inboxKey } from './keys.ts';
import { done, dropped, type Place, type Result } from './place.ts';
import {
  accounts,
  claims,
  devices,
  findStockItem,
  keyPackages,
  lastClaims,
  type StockItem,
  type StockRow,
  stocks,
} from './rows.ts';

/** With fewer one-time packages than this the owner is asked for more. */
const STOCK_LOW = 10;

const EMPTY_STOCK: StockRow = { oneTime: [], lastResortUsed: false, signalled: 0 };

/** Packages join the device's stock; a reference seen before, or an expired one, is left out. */
export function foldKeyPackagesPublished(draft: Draft, event: KeyPackagesPublished): Result {
  const device = draft.get(devices, event.device);
  if (device?.account !== event.account || device.revoked) return dropped('not-found', 'no such device');
  return done(publish(draft, event));
}

/**
 * Adds packages to the stock of a device that is there. A new last-resort package takes the place of the old one. Gives
 * the references of those that were added.
 */
export function publish(
  draft: Draft,
  event: {
    readonly account: AccountId;
    readonly device: DeviceId;
    readonly keyPackages: readonly StoredKeyPackage[];
    readonly time: number;
  },
): readonly Uint8Array[] {
  const { account, device } = event;
  const added: Uint8Array[] = [];
  let stock = unexpired(draft, draft.get(stocks, device) ?? EMPTY_STOCK, event.time);
  for (const { ref, keyPackage, lastResort, notAfter } of event.keyPackages) {
    if (notAfter <= event.time || draft.get(keyPackages, ref) !== undefined) continue;
    draft.put(keyPackages, ref, { account, device, keyPackage, lastResort });
    added.push(ref);
    if (lastResort) stock = { ...stock, lastResort: { ref, notAfter }, lastResortUsed: false };
    else stock = { ...stock, oneTime: [...stock.oneTime, { ref, notAfter }] };
  }
  draft.put(stocks, device, { ...stock, signalled: Math.min(stock.signalled, alarmOf(stock)) });
  return added;
}

/** Takes everything that is left of a revoked device out of stock: it is never handed out again. */
export function withdraw(draft: Draft, device: DeviceId): void {
  draft.remove(stocks, device);
}

/**
 * Takes packages out of stock, each exactly once (D8); last-resort ones stay. All or nothing: when one of them is gone,
 * or two are of one device, the whole claim is dropped and none is spent. The account's lane is compared, so that
 * happens only to a claim that was decided on other tables than these.
 */
export function foldKeyPackagesClaimed(draft: Draft, event: KeyPackagesClaimed, place: Place): Result {
  if (draft.get(accounts, event.owner) === undefined) {
    return dropped('not-found', 'no such account');
  }
  const after = new Map<DeviceId, StockRow>();
  for (const ref of event.refs) {
    const row = draft.get(keyPackages, ref);
    const stock = row === undefined || after.has(row.device) ? undefined : draft.get(stocks, row.device);
    const left = stock === undefined ? undefined : without(stock, ref, event.time);
    if (row === undefined || row.account !== event.owner || left === undefined) {
      return dropped('invalid-key-package', 'a package of this claim is not in stock any more');
    }
    after.set(row.device, left);
  }
  for (const ref of event.refs) {
    draft.put(claims, { ref, group: event.group }, true);
    draft.put(lastClaims, ref, event.group);
  }
  for (const [device, stock] of after) draft.put(stocks, device, signal(draft, device, stock, event.time, place));
  return done(event.refs);
}

/** The stock after this package was claimed; `undefined` when it cannot be. */
function without(stock: StockRow, ref: Uint8Array, now: number): StockRow | undefined {
  const oneTime = findStockItem(stock.oneTime, ref);
  if (oneTime !== undefined && oneTime.notAfter > now) {
    return { ...stock, oneTime: stock.oneTime.filter((item) => item !== oneTime) };
  }
  const { lastResort } = stock;
  const usable = lastResort !== undefined && equalBytes(lastResort.ref, ref) && lastResort.notAfter > now;
  return usable ? { ...stock, lastResortUsed: true } : undefined;
}

function unexpired(draft: Draft, stock: StockRow, now: number): StockRow {
  const alive = (item: StockItem) => item.notAfter > now;
  for (const { ref } of stock.oneTime.filter((item) => !alive(item))) draft.remove(keyPackages, ref);
  const { lastResort, ...rest } = stock;
  const keep = lastResort !== undefined && alive(lastResort);
  return { ...rest, oneTime: stock.oneTime.filter(alive), ...(keep ? { lastResort } : {}) };
}

function alarmOf(stock: StockRow): number {
  return stock.lastResortUsed ? 2 : stock.oneTime.length < STOCK_LOW ? 1 : 0;
}

/** Tells the owner once when the stock falls low, and once more when its last resort is used. */
function signal(draft: Draft, device: DeviceId, claimed: StockRow, time: number, place: Place): StockRow {
  const stock = unexpired(draft, claimed, time);
  const alarm = alarmOf(stock);
  if (alarm <= stock.signalled) return stock;
  const payload = { available: stock.oneTime.length, lastResortUsed: stock.lastResortUsed };
  const entry = frameEntry({ kind: 'key-packages-low', time, payload });
  draft.append(inboxKey(draft.deviceNo(device), place.sequence, place.index), entry);
  draft.touchedDevices.add(device);
  place.index += 1;
  return { ...stock, signalled: alarm };
}
