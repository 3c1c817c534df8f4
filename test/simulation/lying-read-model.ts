import { unframe } from '../../src/projections/fold/entry-row.ts';
import type { ReadModel } from '../../src/projections/read-model.ts';
import { concatBytes, toBase64Url } from '../../src/wire/bytes.ts';
import { CURSOR_BLOCK_BYTES } from '../../src/wire/cursor.ts';
import { decodeEntry, type Entry, isGroupEntry } from '../../src/wire/entry.ts';
import type { DeviceId, GroupId } from '../../src/wire/ids.ts';
import type { Mutations } from './world.ts';

/** The tables as a server sees them that lies, in the ways of a history's mutations. */
export function asLiarsHaveIt(readModel: ReadModel, mutations: Mutations): ReadModel {
  if (mutations.servesRevoked === true) return withRevoked(readModel);
  return mutations.removalsHidden === true ? withoutRemovals(readModel) : readModel;
}

/** For a server that forgets to look whether a device was revoked. */
function withRevoked(readModel: ReadModel): ReadModel {
  const before = new Map<DeviceId, ReturnType<ReadModel['device']>>();
  return {
    ...readModel,
    isRevoked: () => false,
    device: (id) => {
      const known = readModel.device(id);
      if (known !== undefined) before.set(id, known);
      return known ?? before.get(id);
    },
  };
}

/** For a server that does not show the commit by which a device was taken out to that device. */
function withoutRemovals(readModel: ReadModel): ReadModel {
  return {
    ...readModel,
    syncPage(device, cursor, limits) {
      const result = readModel.syncPage(device, cursor, limits);
      if (result.kind !== 'page' || !result.page.upToDate) return result;
      const { framed, cursors } = result.page;
      const entries = framed.map((bytes) => decodeEntry(unframe(bytes)));
      const isShown = (at: number): boolean => !takesOut(readModel, device, entries, at);
      return {
        ...result,
        page: {
          ...result.page,
          framed: framed.filter((_, at) => isShown(at)),
          cursors: concatBytes(
            ...framed.flatMap((_, at) =>
              isShown(at) ? [cursors.subarray(at * CURSOR_BLOCK_BYTES, (at + 1) * CURSOR_BLOCK_BYTES)] : [],
            ),
          ),
        },
      };
    },
  };
}

/** The last that a device sees of a group that it is no member of is how that ended. */
function takesOut(readModel: ReadModel, device: DeviceId, entries: readonly Entry[], at: number): boolean {
  const entry = entries[at]!;
  if (!isGroupEntry(entry) || entry.kind !== 'commit') return false;
  const id = toBase64Url(entry.group) as GroupId;
  const isOfGroup = (other: Entry): boolean => isGroupEntry(other) && toBase64Url(other.group) === id;
  const isMember = readModel.group(id)?.roster.some((member) => member?.device === device) === true;
  return !isMember && !entries.slice(at + 1).some(isOfGroup);
}
