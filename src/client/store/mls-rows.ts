import type { MlsConfig } from '../../mls/config.ts';
import { epochOf, type GroupState } from '../../mls/session/state.ts';
import { changedRows, decodeStateLazily, type RatchetRow } from '../../mls/session/state-codec.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import type { Group } from '../engine/types.ts';
import type { ClientStore, Write } from './client-store.ts';
import { epochAndLeafOf, keys, ordinalOf, rangeOf } from './keys.ts';
import { decodeStored } from './stored-cbor.ts';

/** The MLS state of a group, decoded when it is first used; `undefined` before the join and after the removal. */
export async function loadMls(
  store: ClientStore,
  config: MlsConfig,
  group: Uint8Array,
): Promise<GroupState | undefined> {
  const [epochRecord, packed, ratchets] = await Promise.all([
    store.get(keys.epochRecord(group)),
    store.range(rangeOf('ratchets', group)),
    store.range(rangeOf('ratchet', group)),
  ]);
  // copies: they stay until the group is used, and what a store gives is good for now
  const packs = packed.map(([key, bytes]) => ({ epoch: ordinalOf(key), bytes: bytes.slice() }));
  const moved = ratchets.map(([key, bytes]) => ({ ...epochAndLeafOf(key), bytes: bytes.slice() }));
  const rows = (): readonly RatchetRow[] => [...packs.flatMap(unpackRatchets), ...moved];
  return epochRecord === undefined ? undefined : decodeStateLazily({ epochRecord, ratchets: rows }, config);
}

/** The rows of a group's MLS state that differ between two of its values. */
export function mlsWrites(before: Group | undefined, after: Group): readonly Write[] {
  if (before?.mls === after.mls) return [];
  const id = after.bytes;
  if (after.mls === undefined) {
    // a removed member has nothing left to read: its keys go
    const rows = before?.mls === undefined ? [] : changedRows(undefined, before.mls).put;
    return [{ key: keys.epochRecord(id), value: undefined }, ...ratchetRemovals(id, rows)];
  }
  const changes = changedRows(before?.mls, after.mls);
  return [
    ...(changes.epochRecord === undefined
      ? []
      : [{ key: keys.epochRecord(id), value: changes.epochRecord, secret: true } as const]),
    ...ratchetRemovals(id, changes.remove),
    ...ratchetWrites(id, before?.mls, changes.put),
  ];
}

/** A commit brings a ratchet for every member, which go into one row; a message moves one, which gets a row of its own. */
function ratchetWrites(group: Uint8Array, before: GroupState | undefined, rows: readonly RatchetRow[]): Write[] {
  const known = before === undefined ? -1 : epochOf(before);
  const fresh = new Map<number, RatchetRow[]>();
  for (const row of rows) {
    if (row.epoch > known) fresh.set(row.epoch, [...(fresh.get(row.epoch) ?? []), row]);
  }
  return [
    ...[...fresh].map(
      ([epoch, of]) => ({ key: keys.ratchets(group, epoch), value: packRatchets(of), secret: true }) as const,
    ),
    // what an earlier state of the same epoch left, after a rejoin say, would count as newer
    ...rows.map(({ epoch, leaf, bytes }) => ({
      key: keys.ratchet(group, epoch, leaf),
      value: epoch > known ? undefined : bytes,
      secret: true as const,
    })),
  ];
}

function ratchetRemovals(
  group: Uint8Array,
  rows: readonly { readonly epoch: number; readonly leaf: number }[],
): Write[] {
  const epochs = new Set(rows.map(({ epoch }) => epoch));
  return [
    ...[...epochs].map((epoch) => ({ key: keys.ratchets(group, epoch), value: undefined })),
    ...rows.map(({ epoch, leaf }) => ({ key: keys.ratchet(group, epoch, leaf), value: undefined })),
  ];
}

function packRatchets(rows: readonly RatchetRow[]): Uint8Array {
  return encodeCbor(rows.map(({ leaf, bytes }) => [leaf, bytes]));
}

function unpackRatchets({ epoch, bytes }: { readonly epoch: number; readonly bytes: Uint8Array }): RatchetRow[] {
  return decodeStored<[number, Uint8Array][]>(bytes).map(([leaf, row]) => ({ epoch, leaf, bytes: row }));
}
