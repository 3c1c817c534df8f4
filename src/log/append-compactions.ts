import { createHash } from 'node:crypto';
import { appendEvent } from './append.ts';
import type { LogConnection } from './connection.ts';
import type { GroupCompacted } from './events.ts';
import { createPublisher } from './publisher.ts';

/** Where a group's log is to begin from now on; `head` is the one after the entry before `logStart`. */
export interface GroupCut {
  readonly group: Uint8Array;
  readonly logStart: number;
  readonly head: Uint8Array;
}

/**
 * Appends the end of what is served of some groups, one event each, in order. The same cut has the same event id.
 *
 * @returns sequence of the last one
 * @throws LogError as `appendEvent` does; those before the one that failed are in the log then
 */
export async function appendCompactions(
  connection: LogConnection,
  cuts: readonly GroupCut[],
  signal: AbortSignal | undefined,
): Promise<number> {
  const publisher = createPublisher(connection);
  try {
    let last = 0;
    for (const cut of cuts) {
      const event: GroupCompacted = { v: 1, type: 'group-compacted', id: cutId(cut), time: Date.now(), ...cut };
      const lane = { kind: 'group-proposal', group: cut.group } as const;
      const result = await appendEvent(connection, publisher, { lane, event }, signal);
      if (result.kind !== 'conflict') last = result.sequence;
    }
    return last;
  } finally {
    publisher.close();
  }
}

function cutId({ group, logStart, head }: GroupCut): string {
  return createHash('sha256').update(`mlsd compact v1\0${logStart}\0`).update(group).update(head).digest('base64url');
}
