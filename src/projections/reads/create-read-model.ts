import type { Position } from '../../wire/ids.ts';
import type { CursorSeal } from '../cursor-seal.ts';
import { requests } from '../fold/rows.ts';
import type { Readiness, ReadModel, Restarts } from '../read-model.ts';
import type { RecentBatches } from '../recent-batches.ts';
import type { SequenceWaiters } from '../sequence-waiters.ts';
import type { Tables } from '../store/tables.ts';
import type { Watchers } from '../watchers.ts';
import { createAccountReads } from './accounts.ts';
import { readEntriesFromEpoch, readEntryAt, readGroupLogPage } from './group-log.ts';
import { createGroupReads } from './groups.ts';
import { readSyncPage } from './sync-page.ts';

const NO_RESTARTS: Restarts = { resumed: 0, rebuilt: 0 };

/** The one face the tables show to the rest of the server. */
export function createReadModel(parts: {
  readonly tables: Tables;
  readonly seal: CursorSeal;
  readonly waiters: SequenceWaiters;
  readonly watchers: Watchers;
  readonly recent: RecentBatches;
  readonly readiness: () => Readiness;
  readonly restarts?: () => Restarts;
}): ReadModel {
  const { tables, seal, waiters, watchers, recent, readiness, restarts = () => NO_RESTARTS } = parts;
  return {
    ...createAccountReads(tables),
    ...createGroupReads(tables),
    checkpoint: () => ({ incarnation: tables.standing.incarnation, sequence: tables.standing.sequence }),
    readiness,
    restarts,
    request: (eventId) => tables.get(requests, eventId),
    placedBatch(sequence, index) {
      const place = recent.get(sequence, index);
      if (place === undefined) return undefined;
      return { id: place.id, first: place.first as Position, head: place.head, epoch: place.epoch };
    },
    entryAt: (group, position) => readEntryAt(tables, group, position),
    entriesFromEpoch: (group, epoch, limits) => readEntriesFromEpoch(tables, group, epoch, limits),
    syncPage: (device, cursor, limits) => readSyncPage(tables, seal, device, cursor, limits),
    groupLogPage: (group, device, after, limits) => readGroupLogPage(tables, group, device, after, limits),
    waitForSequence: (sequence, signal) => waiters.wait(sequence, signal),
    sequenceOfCursor(cursor) {
      const opened = seal.open(tables.standing.incarnation, cursor);
      return opened.kind === 'order' ? opened.order.sequence : undefined;
    },
    watch: (device, wake) => watchers.watch(device, wake),
  };
}
