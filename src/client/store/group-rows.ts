import type { MlsConfig } from '../../mls/config.ts';
import { epochOf, type GroupState } from '../../mls/session/state.ts';
import { changedRows, decodeStateLazily, type RatchetRow } from '../../mls/session/state-codec.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import { groupIdOf } from '../../wire/ids.ts';
import { ClientError } from '../client-error.ts';
import { type HeadRow, headRowOf } from '../engine/recent-heads.ts';
import type {
  Evidence,
  Group,
  Intention,
  LeafUse,
  Leaving,
  Marks,
  OutboxItem,
  PendingCommit,
  Recovery,
  Topic,
} from '../engine/types.ts';
import type { ClientStore, Write } from './client-store.ts';
import { epochAndLeafOf, keys, ordinalOf, rangeOf } from './keys.ts';

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
  readonly handshakes?: 'private';
  readonly recovery?: Recovery;
  readonly voided?: Group['voided'];
  readonly unread: number;
  readonly revoked?: Group['revoked'];
  readonly uploads?: Group['uploads'];
  readonly evidence?: Evidence;
  readonly muted?: true;
  readonly leafUse?: LeafUse;
  readonly topic?: Topic;
  readonly topicDue?: true;
  readonly marks?: Marks;
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
    ...headWrites(before, after),
  ];
}

/** Removes every row of a group; its lines stay. */
export async function groupRemoval(store: ClientStore, group: Group): Promise<readonly Write[]> {
  const tables = [
    'group',
    'epochRecord',
    'ratchets',
    'ratchet',
    'generation',
    'pending',
    'outbox',
    'heads',
    'receipt',
    'upload',
    'attachment',
  ] as const;
  const rows = await Promise.all(tables.map((table) => store.range(rangeOf(table, group.bytes))));
  return rows.flat().map(([key]) => ({ key, value: undefined }));
}

/** Every group of the store, as it was after the last commit. */
export async function loadGroups(store: ClientStore, config: MlsConfig): Promise<readonly Group[]> {
  const records = await store.range(rangeOf('group'));
  const groups: Group[] = [];
  // one after the other: what is needed for reading one is garbage before the next
  for (const [, value] of records) groups.push(await loadGroup(store, config, decode<GroupRecord>(value)));
  return groups;
}

async function loadGroup(store: ClientStore, config: MlsConfig, record: GroupRecord): Promise<Group> {
  const {
    v: _v,
    parkedReason,
    head,
    creation,
    leaving,
    handshakes,
    recovery,
    voided,
    revoked,
    uploads,
    evidence,
    muted,
    leafUse,
    ...fields
  } = record;
  const [epochRecord, packed, ratchets, generations, pending, outbox, heads] = await Promise.all([
    store.get(keys.epochRecord(record.bytes)),
    store.range(rangeOf('ratchets', record.bytes)),
    store.range(rangeOf('ratchet', record.bytes)),
    store.range(rangeOf('generation', record.bytes)),
    store.get(keys.pending(record.bytes)),
    store.range(rangeOf('outbox', record.bytes)),
    store.range(rangeOf('heads', record.bytes)),
  ]);
  // copies: they stay until the group is used, and what a store gives is good for now
  const packs = packed.map(([key, bytes]) => ({ epoch: ordinalOf(key), bytes: bytes.slice() }));
  const moved = ratchets.map(([key, bytes]) => ({ ...epochAndLeafOf(key), bytes: bytes.slice() }));
  const rows = (): readonly RatchetRow[] => [...packs.flatMap(unpackRatchets), ...moved];
  const mls = epochRecord === undefined ? undefined : decodeStateLazily({ epochRecord, ratchets: rows }, config);
  return {
    ...fields,
    id: groupIdOf(record.bytes),
    ...optional({ parkedReason, head, creation, leaving, handshakes, recovery, voided, revoked }),
    ...(evidence === undefined ? {} : { evidence }),
    ...(uploads === undefined ? {} : { uploads }),
    ...(muted === undefined ? {} : { muted }),
    ...(leafUse === undefined ? {} : { leafUse }),
    ...(heads.length === 0 ? {} : { heads: heads.map(([, value]) => decode<HeadRow>(value)) }),
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
  const { uploads, handshakes, recovery, voided, revoked, evidence, muted, leafUse, topic, topicDue, marks } = group;
  return {
    v: 1,
    bytes,
    name,
    phase,
    position,
    intentions,
    unread,
    ...optional({ parkedReason, head, creation, leaving, handshakes, recovery, voided, revoked }),
    ...(evidence === undefined ? {} : { evidence }),
    ...(uploads === undefined ? {} : { uploads }),
    ...(muted === undefined ? {} : { muted }),
    ...(leafUse === undefined ? {} : { leafUse }),
    ...(topic === undefined ? {} : { topic }),
    ...(topicDue === undefined ? {} : { topicDue }),
    ...(marks === undefined ? {} : { marks }),
  };
}

function optional(fields: {
  parkedReason: Group['parkedReason'] | undefined;
  head: Group['head'] | undefined;
  creation: Group['creation'] | undefined;
  leaving: Group['leaving'] | undefined;
  handshakes: Group['handshakes'] | undefined;
  recovery: Group['recovery'] | undefined;
  voided: Group['voided'] | undefined;
  revoked: Group['revoked'] | undefined;
}): Pick<Group, 'parkedReason' | 'head' | 'creation' | 'leaving' | 'handshakes' | 'recovery' | 'voided' | 'revoked'> {
  const { parkedReason, head, creation, leaving, handshakes, recovery, voided, revoked } = fields;
  return {
    ...(parkedReason === undefined ? {} : { parkedReason }),
    ...(head === undefined ? {} : { head }),
    ...(creation === undefined ? {} : { creation }),
    ...(leaving === undefined ? {} : { leaving }),
    ...(handshakes === undefined ? {} : { handshakes }),
    ...(recovery === undefined ? {} : { recovery }),
    ...(voided === undefined ? {} : { voided }),
    ...(revoked === undefined ? {} : { revoked }),
  };
}

function mlsWrites(before: Group | undefined, after: Group): readonly Write[] {
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
  return decode<[number, Uint8Array][]>(bytes).map(([leaf, row]) => ({ epoch, leaf, bytes: row }));
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
  return [{ key: keys.pending(after.bytes), value: encodeCbor(stored), secret: true }];
}

function headWrites(before: Group | undefined, after: Group): readonly Write[] {
  if (before?.heads === after.heads) return [];
  const old = new Map((before?.heads ?? []).map((row) => [headRowOf(row.first), row]));
  const writes: Write[] = [];
  for (const row of after.heads ?? []) {
    const number = headRowOf(row.first);
    if (old.get(number) !== row) writes.push({ key: keys.heads(after.bytes, number), value: encodeCbor(row) });
    old.delete(number);
  }
  for (const number of old.keys()) writes.push({ key: keys.heads(after.bytes, number), value: undefined });
  return writes;
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
