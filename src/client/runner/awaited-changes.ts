import type { ClientStore } from '../store/client-store.ts';
import type { LinePlace } from '../store/line-place.ts';
import { awaitedPlaces, type MessageLine, messageAt } from '../store/message-rows.ts';
import { withoutText } from './rewritten-lines.ts';

/** A change of a message that is not here, and where its line is. */
export interface AwaitedChange {
  readonly place: LinePlace;
  readonly line: MessageLine;
}

/** What is kept of the changes of a message that is not here. */
export async function readAwaited(
  store: ClientStore,
  group: Uint8Array,
  messageId: string,
): Promise<readonly AwaitedChange[]> {
  const changes: AwaitedChange[] = [];
  for (const place of await awaitedPlaces(store, group, messageId)) {
    const line = await messageAt(store, group, place);
    if (line !== undefined) changes.push({ place, line });
  }
  return changes;
}

/**
 * One more of the changes of a message that is not here. Nobody knows here whose message that is, so of each account one change is
 * kept: its newest, or the one that took the message back. However often somebody changes a message, it is one row of few places.
 *
 * @returns `line`: what the new change says from now on; `outdated`: the changes that it takes the place of
 */
export function withChange(
  known: readonly AwaitedChange[],
  change: AwaitedChange,
): {
  readonly kept: readonly AwaitedChange[];
  readonly line: MessageLine;
  readonly outdated: readonly AwaitedChange[];
} {
  const { line } = change;
  const same = known.filter((each) => each.line.sender.account === line.sender.account);
  const isFinal = ({ line: { deleted } }: AwaitedChange): boolean => deleted === true;
  const newest = (a: AwaitedChange, b: AwaitedChange): AwaitedChange =>
    (a.line.position ?? 0) > (b.line.position ?? Number.POSITIVE_INFINITY) ? a : b;
  const taken = [...same, change];
  const final = taken.filter(isFinal);
  const winner = (final.length > 0 ? final : taken).reduce(newest);
  const kept = [...known.filter((each) => !same.includes(each)), winner];
  if (winner === change) return { kept, line, outdated: same };
  const outdated = same.filter((each) => each !== winner);
  // what was taken back stays so, whatever comes later
  const said = isFinal(winner) ? ({ ...line, text: '', deleted: true } as const) : withoutText(line, line);
  return { kept, line: said, outdated };
}
