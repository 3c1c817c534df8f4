import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import type { VerifiedMark } from '../engine/verified.ts';
import type { ClientStore, Write } from './client-store.ts';
import { keys, rangeOf } from './keys.ts';

export function verifiedWrite(mark: VerifiedMark): Write {
  return { key: keys.verified(mark.account), value: encodeCbor(mark) };
}

export async function loadVerified(store: ClientStore): Promise<readonly VerifiedMark[]> {
  const rows = await store.range(rangeOf('verified'));
  return rows.map(([, value]) => decodeCbor(value) as VerifiedMark);
}
