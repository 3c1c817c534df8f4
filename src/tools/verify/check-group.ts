import { equalBytes, toBase64Url, toHex } from '../../wire/bytes.ts';
import { decodeEntry, EMPTY_HEAD, encodeEntry, type GroupEntry, isGroupEntry, nextHead } from '../../wire/entry.ts';
import type { Sha256 } from '../../wire/ids.ts';

/** One group's entries, one after the other, held against the rules that every reader relies on. */
export interface GroupCheck {
  /** Takes the next entry; what is wrong with it, or `undefined`. */
  add(entry: { readonly position: number; readonly head: Uint8Array; readonly bytes: Uint8Array }): string | undefined;
  readonly position: number;
  /** The epoch after the entries so far. */
  readonly epoch: number;
  readonly head: Uint8Array;
  readonly commits: number;
}

/** What stands before the first entry of a check: of a compacted group its newest entry that is not kept any more. */
export interface CheckedUpTo {
  readonly position: number;
  readonly head: Uint8Array;
  readonly epoch: number;
}

const BEGINNING: CheckedUpTo = { position: 0, head: EMPTY_HEAD, epoch: 0 };

/**
 * Positions are 1, 2, 3, …; each head follows from the head before and the entry's bytes; each entry is in its one form and
 * says its own place; the group begins once, and every epoch is ended by exactly one commit. Shares no code with the
 * fold that made the entries.
 */
export function createGroupCheck(group: Uint8Array, sha256: Sha256, after: CheckedUpTo = BEGINNING): GroupCheck {
  let { position, epoch, head } = after;
  let commits = 0;

  const placed = (bytes: Uint8Array): GroupEntry | string => {
    try {
      const entry = decodeEntry(bytes);
      if (!isGroupEntry(entry)) return `is a ${entry.kind} entry, which no group has`;
      if (!equalBytes(encodeEntry(entry), bytes)) return 'is not in the one form that CBOR has for it';
      return entry;
    } catch {
      return 'cannot be decoded';
    }
  };
  const orderProblem = (entry: GroupEntry): string | undefined => {
    if (!equalBytes(entry.group, group)) return `says that it is of group ${toBase64Url(entry.group)}`;
    if (entry.position !== position + 1) return `says that it stands at position ${entry.position}`;
    if ((entry.kind === 'group-created') !== (position === 0)) return `is a ${entry.kind} entry`;
    if (!('epoch' in entry)) return undefined;
    const isFit = entry.kind === 'message' ? entry.epoch <= epoch : entry.epoch === epoch;
    if (!isFit) return `is a ${entry.kind} of epoch ${entry.epoch} where the group is in epoch ${epoch}`;
    return undefined;
  };
  return {
    add(next) {
      const here = `entry ${position + 1} of group ${toBase64Url(group)}`;
      if (next.position !== position + 1) return `${here} is missing; entry ${next.position} comes next`;
      const entry = placed(next.bytes);
      if (typeof entry === 'string') return `${here} ${entry}`;
      const problem = orderProblem(entry);
      if (problem !== undefined) return `${here} ${problem}`;
      const expected = nextHead(head, next.bytes, sha256);
      if (!equalBytes(expected, next.head)) {
        return `${here} has the head ${toHex(next.head)}, but its bytes give ${toHex(expected)}`;
      }
      position += 1;
      head = next.head;
      if (entry.kind === 'commit') {
        epoch += 1;
        commits += 1;
      }
      return undefined;
    },
    get position() {
      return position;
    },
    get epoch() {
      return epoch;
    },
    get head() {
      return head;
    },
    get commits() {
      return commits;
    },
  };
}
