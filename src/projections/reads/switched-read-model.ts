import type { ReadModel } from '../read-model.ts';

/** What is answered without reading rows, whichever tables there are. */
export type Standing = Pick<ReadModel, 'checkpoint' | 'readiness' | 'restarts' | 'waitForSequence' | 'watch'>;

/**
 * One read model over tables that may be replaced. `current` gives that of the tables in use, and throws while there are none
 * that anything may be read from.
 */
export function createSwitchedReadModel(current: () => ReadModel, standing: Standing): ReadModel {
  return {
    ...standing,
    account: (id) => current().account(id),
    accountByName: (name) => current().accountByName(name),
    device: (id) => current().device(id),
    isRevoked: (id) => current().isRevoked(id),
    ownerOf: (id) => current().ownerOf(id),
    nameLane: (kind, name) => current().nameLane(kind, name),
    stock: (device) => current().stock(device),
    hasKeyPackage: (ref) => current().hasKeyPackage(ref),
    claimCandidates: (account, now) => current().claimCandidates(account, now),
    claimOf: (ref, group) => current().claimOf(ref, group),
    group: (id) => current().group(id),
    groupByName: (name) => current().groupByName(name),
    groupsOf: (device) => current().groupsOf(device),
    groupInfo: (id) => current().groupInfo(id),
    tree: (id, epoch, device) => current().tree(id, epoch, device),
    request: (eventId) => current().request(eventId),
    messagePosition: (group, device, id) => current().messagePosition(group, device, id),
    placedBatch: (sequence, index) => current().placedBatch(sequence, index),
    entryAt: (group, position) => current().entryAt(group, position),
    entriesFromEpoch: (group, epoch, limits) => current().entriesFromEpoch(group, epoch, limits),
    syncPage: (device, cursor, limits) => current().syncPage(device, cursor, limits),
    groupLogPage: (group, device, after, limits) => current().groupLogPage(group, device, after, limits),
    sequenceOfCursor: (cursor) => current().sequenceOfCursor(cursor),
  };
}
