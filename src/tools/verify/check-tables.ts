import { nodeSha256 } from '../../mls/suite-node.ts';
import type { NumberedHead, TablesFile } from '../../projections/store/tables-file.ts';
import { equalBytes, toBase64Url, toHex } from '../../wire/bytes.ts';
import type { Progress } from '../progress.ts';
import { createGroupCheck } from './check-group.ts';
import { Found } from './report.ts';

/** What was counted on the way. */
export interface GroupCounts {
  readonly groups: number;
  readonly entries: number;
  readonly commits: number;
}

const SLICE_ENTRIES = 500;

/**
 * Walks every group's entries, and holds head, position and epoch of the group against them.
 *
 * @throws Found; the signal's reason
 */
export async function checkGroups(
  tables: TablesFile,
  options: { readonly progress: Progress; readonly signal?: AbortSignal | undefined },
): Promise<GroupCounts> {
  const { heads } = tables.standing();
  const total = heads.reduce((sum, { position }) => sum + position, 0);
  let entries = 0;
  let commits = 0;
  for (const head of heads) {
    const start = tables.logStartOf(head.number);
    const after = start === undefined ? undefined : { ...start, position: start.position - 1 };
    const check = createGroupCheck(head.group, nodeSha256, after);
    while (check.position < head.position) {
      const slice = tables.entries(head.number, check.position + 1, SLICE_ENTRIES);
      for (const entry of slice) {
        const problem = check.add(entry);
        if (problem !== undefined) throw new Found('entries', problem);
      }
      entries += slice.length;
      options.progress.report('checking entries', entries, total);
      await new Promise((resolve) => setImmediate(resolve));
      options.signal?.throwIfAborted();
      if (slice.length === 0) break;
    }
    commits += check.commits;
    checkEnd(tables, head, check);
  }
  return { groups: heads.length, entries, commits };
}

function checkEnd(tables: TablesFile, stored: NumberedHead, check: ReturnType<typeof createGroupCheck>): void {
  const group = `group ${toBase64Url(stored.group)}`;
  if (check.position !== stored.position) {
    throw new Found('heads', `${group} says that it has ${stored.position} entries, and has ${check.position}`);
  }
  if (!equalBytes(check.head, stored.hash)) {
    throw new Found('heads', `${group} has the head ${toHex(stored.hash)}, but its entries give ${toHex(check.head)}`);
  }
  const epoch = tables.epochOf(stored.group);
  if (epoch !== check.epoch) {
    throw new Found('epochs', `${group} says that it is in epoch ${epoch}, but ${check.epoch} commits were accepted`);
  }
}
