import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import type { SettledReceipt } from '../engine/evidence.ts';
import type { ClientStore, Write } from './client-store.ts';
import { keys, rangeOf } from './keys.ts';

export function receiptWrite(group: Uint8Array, settled: SettledReceipt): Write {
  return { key: keys.receipt(group, settled.slot), value: encodeCbor(settled) };
}

/** The receipts of a group that are kept, in the order of their positions. */
export async function readReceipts(store: ClientStore, group: Uint8Array): Promise<readonly SettledReceipt[]> {
  const rows = await store.range(rangeOf('receipt', group));
  return rows.map(([, value]) => decodeCbor(value) as SettledReceipt).sort((a, b) => a.position - b.position);
}

/** The key that signs the server's receipts, as this device learned it first; `undefined` before that. */
export async function loadServerKey(store: ClientStore): Promise<Uint8Array | undefined> {
  const value = await store.get(keys.serverKey());
  return value === undefined ? undefined : (decodeCbor(value) as { readonly key: Uint8Array }).key;
}

/** Pins the key for as long as the folder is this device's. */
export async function pinServerKey(store: ClientStore, key: Uint8Array): Promise<Uint8Array> {
  await store.commit([{ key: keys.serverKey(), value: encodeCbor({ v: 1, key }) }]);
  return key;
}
