import { type PublicGroup, publicEpochOf, publicGroupIdOf } from '../../mls/public-group/group.ts';
import { foldGroupInfo } from '../../mls/public-group/open.ts';
import { foldProposal } from '../../mls/public-group/proposal.ts';
import type { GroupView, ReadModel } from '../../projections/read-model.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { type GroupId, groupIdOf } from '../../wire/ids.ts';
import { sha256 } from '../sha256.ts';

/** Groups that are kept opened, at most, and the bytes of GroupInfo that they were opened from, taken together. */
const GROUPS_MAX = 512;
const BYTES_MAX = 32 * 1024 * 1024;

/**
 * The public state of groups, to judge commits and proposals by. A cache and nothing more: the tables hold each group's
 * GroupInfo, and whatever is not here is opened from that.
 */
export interface PublicGroups {
  /**
   * A group in its current epoch, with the proposals that wait in it. Synchronous; opened without verifying signatures,
   * because its GroupInfo was verified when it was accepted.
   */
  current(readModel: Pick<ReadModel, 'groupInfo'>, group: GroupView): PublicGroup;
  /** Keeps a group without pending proposals, when the log has taken what led to it, for as long as there is room. */
  keep(group: PublicGroup, groupInfo: Uint8Array): void;
}

interface Kept {
  readonly group: PublicGroup;
  readonly epoch: number;
  /** Of the GroupInfo: a log that was rolled back may come to the same epoch by another way. */
  readonly hash: Uint8Array;
  readonly bytes: number;
}

/** @param bounds smaller ones for tests */
export function createPublicGroups(bounds = { groups: GROUPS_MAX, bytes: BYTES_MAX }): PublicGroups {
  const kept = new Map<GroupId, Kept>(); // the least recently used first
  let bytes = 0;

  function drop(id: GroupId): void {
    bytes -= kept.get(id)?.bytes ?? 0;
    kept.delete(id);
  }

  function put(id: GroupId, entry: Kept): void {
    drop(id);
    kept.set(id, entry);
    bytes += entry.bytes;
    for (const oldest of kept.keys()) {
      if (kept.size <= bounds.groups && bytes <= bounds.bytes) return;
      drop(oldest);
    }
  }

  function opened(readModel: Pick<ReadModel, 'groupInfo'>, { id, epoch }: GroupView): PublicGroup {
    const stored = readModel.groupInfo(id);
    if (stored?.epoch !== epoch) throw new Error('group and GroupInfo are of different epochs');
    const { groupInfo } = stored;
    const hash = sha256(groupInfo);
    const known = kept.get(id);
    if (known?.epoch === epoch && equalBytes(known.hash, hash)) {
      put(id, known);
      return known.group;
    }
    const fresh = foldGroupInfo({ groupInfo }, sha256);
    if (fresh.kind === 'refused') throw new Error(`a stored GroupInfo cannot be opened: ${fresh.reason}`);
    put(id, { group: fresh.group, epoch, hash, bytes: groupInfo.length });
    return fresh.group;
  }

  return {
    current(readModel, group) {
      const waiting = [...group.proposals.values()].sort((a, b) => a.position - b.position);
      let current = opened(readModel, group);
      for (const { message } of waiting) {
        const folded = foldProposal(current, message, sha256);
        // one beyond the number that may wait is as good as not there: no commit has to contain it
        if (folded.kind === 'accepted') current = folded.group;
      }
      return current;
    },
    keep(group, groupInfo) {
      const id = groupIdOf(publicGroupIdOf(group));
      put(id, { group, epoch: publicEpochOf(group), hash: sha256(groupInfo), bytes: groupInfo.length });
    },
  };
}
