import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { decodeEntry, EMPTY_HEAD, encodeEntry, type GroupEntry, isGroupEntry, nextHead } from '../../src/wire/entry.ts';
import type { DeviceId, GroupId, Position } from '../../src/wire/ids.ts';
import { groupIdOf } from '../../src/wire/ids.ts';
import type { FakeServer } from './fake-server.ts';

/**
 * Makes the server show one device another history of a group, with heads that fit it: `rewrite` gets the group's true entries
 * and gives those that are shown. What comes out is numbered anew. Entries that the device has seen must stay as they were.
 */
export function showDifferently(
  server: FakeServer,
  victim: DeviceId,
  group: GroupId,
  rewrite: (entries: readonly GroupEntry[]) => readonly GroupEntry[],
): void {
  let shown = server.groups.get(group)!.entries.length;
  server.tamper = (device, page) => {
    if (device !== victim) return page;
    const truth = server.groups.get(group)!.entries.map(({ entry }) => entry);
    const view = rewrite(truth).map((entry, index) => encodeEntry({ ...entry, position: (index + 1) as Position }));
    const others = page.entries.filter((bytes) => {
      const entry = decodeEntry(bytes);
      return !isGroupEntry(entry) || groupIdOf(entry.group) !== group;
    });
    if (others.length > 0) throw new Error('this server lies about one group at a time');
    const fresh = view.slice(shown);
    shown = view.length;
    let hash = EMPTY_HEAD;
    for (const bytes of view) hash = nextHead(hash, bytes, nodeSha256);
    const heads = page.heads.map((head) => ({ ...head, position: view.length as Position, hash }));
    // as many cursors as entries: a true entry may stand for none, or for two
    const block = page.cursors.length / Math.max(1, page.entries.length);
    const cursors = new Uint8Array(fresh.length * block);
    for (let i = 0; i < fresh.length; i += 1) {
      const from = Math.min(i, page.entries.length - 1) * block;
      cursors.set(page.cursors.subarray(from, from + block), i * block);
    }
    return { ...page, entries: fresh, cursors, heads: fresh.length === 0 ? [] : heads };
  };
}
