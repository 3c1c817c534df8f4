import type { MlsConfig } from '../../mls/config.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import { groupIdOf } from '../../wire/ids.ts';
import { ClientError } from '../client-error.ts';
import type { PendingCommit } from '../engine/commit-types.ts';
import { type HeadRow, headRowOf } from '../engine/recent-heads.ts';
import type { Group, OutboxItem } from '../engine/types.ts';
import type { ClientStore, Write } from './client-store.ts';
import { damagedIn } from './damage.ts';
import { epochAndLeafOf, keys, rangeOf } from './keys.ts';
import { loadMls, mlsWrites } from './mls-rows.ts';
import { decodeStored } from './stored-cbor.ts';

/** What stands in rows of its own, or is not stored. */
type Apart =
  | 'id'
  | 'heads'
  | 'mls'
  | 'generations'
  | 'pending'
  | 'outbox'
  | 'givenUp'
  | 'toExpel'
  | 'waitForEpoch'
  | 'heirsRefused';

/** The fields of a group that fit into one small row. */
type GroupRecord = { readonly v: 1 } & Omit<Group, Apart>;

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
    ...givenUpWrites(before, after),
    ...uploadWrites(before, after),
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
    'givenUp',
    'heads',
    'receipt',
    'upload',
    'attachment',
  ] as const;
  const rows = await Promise.all(tables.map((table) => store.range(rangeOf(table, group.bytes))));
  return rows.flat().map(([key]) => ({ key, value: undefined }));
}

/** Every group of the store, as it was after the last commit. @throws ClientError `storage`, with the name of the group where it is known */
export async function loadGroups(store: ClientStore, config: MlsConfig): Promise<readonly Group[]> {
  const records = await store.range(rangeOf('group'));
  const groups: Group[] = [];
  // one after the other: what is needed for reading one is garbage before the next
  for (const [, value] of records) groups.push(await loadNamed(store, config, groupOfRecord(value)));
  return groups;
}

async function loadNamed(store: ClientStore, config: MlsConfig, record: Group): Promise<Group> {
  try {
    return await loadGroup(store, config, record);
  } catch (error) {
    throw error instanceof ClientError && error.code === 'storage' ? damagedIn(record.name, error) : error;
  }
}

/** What the record of a group says, without what stands in rows of its own. @throws ClientError `storage` */
export function groupOfRecord(value: Uint8Array): Group {
  const { v: _v, ...fields } = decodeStored<GroupRecord>(value);
  return { ...fields, id: groupIdOf(fields.bytes), generations: new Map(), outbox: [] };
}

async function loadGroup(store: ClientStore, config: MlsConfig, record: Group): Promise<Group> {
  const [mls, generations, pending, outbox, givenUp, heads] = await Promise.all([
    loadMls(store, config, record.bytes),
    store.range(rangeOf('generation', record.bytes)),
    store.get(keys.pending(record.bytes)),
    store.range(rangeOf('outbox', record.bytes)),
    store.range(rangeOf('givenUp', record.bytes)),
    store.range(rangeOf('heads', record.bytes)),
  ]);
  return {
    ...record,
    ...(heads.length === 0 ? {} : { heads: heads.map(([, value]) => decodeStored<HeadRow>(value)) }),
    ...(mls === undefined ? {} : { mls }),
    ...(pending === undefined ? {} : { pending: decodeStored<PendingCommit>(pending) }),
    generations: new Map(
      generations.map(([key, value]) => {
        const { epoch, leaf } = epochAndLeafOf(key);
        return [`${epoch}/${leaf}`, decodeStored<number>(value)];
      }),
    ),
    outbox: outbox.map(([, value]) => decodeStored<OutboxItem>(value)),
    ...(givenUp.length === 0 ? {} : { givenUp: givenUp.map(([, value]) => decodeStored<OutboxItem>(value)) }),
  };
}

function recordOf(group: Group): GroupRecord {
  const { id, heads, mls, generations, pending, outbox, givenUp, toExpel, waitForEpoch, heirsRefused, ...fields } =
    group;
  return { v: 1, ...fields };
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

function givenUpWrites(before: Group | undefined, after: Group): readonly Write[] {
  if (before?.givenUp === after.givenUp) return [];
  const old = new Map((before?.givenUp ?? []).map((item) => [item.localId, item]));
  const writes: Write[] = [];
  for (const item of after.givenUp ?? []) {
    const { localId } = item;
    if (old.get(localId) !== item) writes.push({ key: keys.givenUp(after.bytes, localId), value: encodeCbor(item) });
    old.delete(localId);
  }
  for (const localId of old.keys()) writes.push({ key: keys.givenUp(after.bytes, localId), value: undefined });
  return writes;
}

/** The encrypted bytes of a file are of use only while it waits; whoever lets it wait writes them. */
function uploadWrites(before: Group | undefined, after: Group): readonly Write[] {
  if (before?.uploads === after.uploads) return [];
  const waiting = new Set(after.uploads?.map(({ localId }) => localId));
  const over = (before?.uploads ?? []).filter(({ localId }) => !waiting.has(localId));
  return over.map(({ localId }) => ({ key: keys.upload(after.bytes, localId), value: undefined }));
}
