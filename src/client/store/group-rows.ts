import type { MlsConfig } from '../../mls/config.ts';
import { changedRows, decodeState } from '../../mls/session/state-codec.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import { groupIdOf } from '../../wire/ids.ts';
import { ClientError } from '../client-error.ts';
import type { Group, Intention, Leaving, OutboxItem, PendingCommit } from '../engine/types.ts';
import type { ClientStore, Write } from './client-store.ts';
import { epochAndLeafOf, keys, rangeOf } from './keys.ts';

/** The fields of a group that fit into one small row. */
interface GroupRecord {
  readonly v: 1;
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly phase: Group['phase'];
  readonly parkedReason?: string;
  readonly position: number;
  readonly head?: Uint8Array;
  readonly creation?: Group['creation'];
  readonly intentions: readonly Intention[];
  readonly leaving?: Leaving;
  readonly unread: number;
}

/**
 * The rows that differ between two values of a group, `undefined` for one that is not stored yet. After any number of
 * messages these are: the record, and one ratchet row and one counter for each of their senders.
 */
export function groupWrites(before: Group | undefined, after: Group): readonly Write[] {
  if (before === after) return [];
  const id = after.bytes;
  return [
    { key: keys.group(id), value: encodeCbor(recordOf(after)) },
    ...mlsWrites(before, after),
    ...generationWrites(before, after),
    ...pendingWrites(before, after),
    ...outboxWrites(before, after),
  ];
}

/** Removes every row of a group; its lines stay. */
export async function groupRemoval(store: ClientStore, group: Group): Promise<readonly Write[]> {
  const tables = ['group', 'epochRecord', 'ratchet', 'generation', 'pending', 'outbox'] as const;
  const rows = await Promise.all(tables.map((table) => store.range(rangeOf(table, group.bytes))));
  return rows.flat().map(([key]) => ({ key, value: undefined }));
}

/** Every group of the store, as it was after the last commit. */
export async function loadGroups(store: ClientStore, config: MlsConfig): Promise<readonly Group[]> {
  const records = await store.range(rangeOf('group'));
  return Promise.all(records.map(([, value]) => loadGroup(store, config, decode<GroupRecord>(value))));
}

async function loadGroup(store: ClientStore, config: MlsConfig, record: GroupRecord): Promise<Group> {
  const { v: _v, parkedReason, head, creation, leaving, ...fields } = record;
  const [epochRecord, ratchets, generations, pending, outbox] = await Promise.all([
    store.get(keys.epochRecord(record.bytes)),
    store.range(rangeOf('ratchet', record.bytes)),
    store.range(rangeOf('generation', record.bytes)),
    store.get(keys.pending(record.bytes)),
    store.range(rangeOf('outbox', record.bytes)),
  ]);
  const rows = ratchets.map(([key, bytes]) => ({ ...epochAndLeafOf(key), bytes }));
  const mls = epochRecord === undefined ? undefined : decodeState({ epochRecord, ratchets: rows }, config);
  return {
    ...fields,
    id: groupIdOf(record.bytes),
    ...optional({ parkedReason, head, creation, leaving }),
    ...(mls === undefined ? {} : { mls }),
    ...(pending === undefined ? {} : { pending: decode<PendingCommit>(pending) }),
    generations: new Map(
      generations.map(([key, value]) => {
        const { epoch, leaf } = epochAndLeafOf(key);
        return [`${epoch}/${leaf}`, decode<number>(value)];
      }),
    ),
    outbox: outbox.map(([, value]) => decode<OutboxItem>(value)),
  };
}

function recordOf(group: Group): GroupRecord {
  const { bytes, name, phase, parkedReason, position, head, creation, intentions, leaving, unread } = group;
  return {
    v: 1,
    bytes,
    name,
    phase,
    position,
    intentions,
    unread,
    ...optional({ parkedReason, head, creation, leaving }),
  };
}

function optional(fields: {
  parkedReason: Group['parkedReason'] | undefined;
  head: Group['head'] | undefined;
  creation: Group['creation'] | undefined;
  leaving: Group['leaving'] | undefined;
}): Pick<Group, 'parkedReason' | 'head' | 'creation' | 'leaving'> {
  const { parkedReason, head, creation, leaving } = fields;
  return {
    ...(parkedReason === undefined ? {} : { parkedReason }),
    ...(head === undefined ? {} : { head }),
    ...(creation === undefined ? {} : { creation }),
    ...(leaving === undefined ? {} : { leaving }),
  };
}

function mlsWrites(before: Group | undefined, after: Group): readonly Write[] {
  if (before?.mls === after.mls) return [];
  const id = after.bytes;
  if (after.mls === undefined) {
    // a removed member has nothing left to read: its keys go
    const rows = before?.mls === undefined ? [] : changedRows(undefined, before.mls).put;
    return [
      { key: keys.epochRecord(id), value: undefined },
      ...rows.map(({ epoch, leaf }) => ({ key: keys.ratchet(id, epoch, leaf), value: undefined })),
    ];
  }
  const changes = changedRows(before?.mls, after.mls);
  return [
    ...(changes.epochRecord === undefined ? [] : [{ key: keys.epochRecord(id), value: changes.epochRecord }]),
    ...changes.remove.map(({ epoch, leaf }) => ({ key: keys.ratchet(id, epoch, leaf), value: undefined })),
    ...changes.put.map(({ epoch, leaf, bytes }) => ({ key: keys.ratchet(id, epoch, leaf), value: bytes })),
  ];
}

function generationWrites(before: Group | undefined, after: Group): readonly Write[] {
  if (before?.generations === after.generations) return [];
  const writes: Write[] = [];
  const keyOf = (key: string): Uint8Array => {
    const [epoch, leaf] = key.split('/');
    return keys.generation(after.bytes, Number(epoch), Number(leaf));
  };
  for (const [key, next] of after.generations) {
    if (before?.generations.get(key) !== next) writes.push({ key: keyOf(key), value: encodeCbor(next) });
  }
  for (const key of before?.generations.keys() ?? []) {
    if (!after.generations.has(key)) writes.push({ key: keyOf(key), value: undefined });
  }
  return writes;
}

function pendingWrites(before: Group | undefined, after: Group): readonly Write[] {
  if (before?.pending === after.pending) return [];
  if (after.pending === undefined) return [{ key: keys.pending(after.bytes), value: undefined }];
  const { consumed: _consumed, ...stored } = after.pending;
  return [{ key: keys.pending(after.bytes), value: encodeCbor(stored) }];
}

function outboxWrites(before: Group | undefined, after: Group): readonly Write[] {
  if (before?.outbox === after.outbox) return [];
  const old = new Map((before?.outbox ?? []).map((item) => [item.ordinal, item]));
  const writes: Write[] = [];
  for (const item of after.outbox) {
    if (old.get(item.ordinal) !== item) {
      writes.push({ key: keys.outbox(after.bytes, item.ordinal), value: encodeCbor(item) });
    }
    old.delete(item.ordinal);
  }
  for (const ordinal of old.keys()) writes.push({ key: keys.outbox(after.bytes, ordinal), value: undefined });
  return writes;
}

function decode<Value>(bytes: Uint8Array): Value {
  try {
    return decodeCbor(bytes) as Value;
  } catch (cause) {
    throw new ClientError('storage', 'the local store holds something that cannot be read', cause);
  }
}
