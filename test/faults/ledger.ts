import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { equalBytes, toHex } from '../../src/wire/bytes.ts';
import { decodeEntry, EMPTY_HEAD, type Entry, isGroupEntry, nextHead } from '../../src/wire/entry.ts';
import { okValue } from '../support/signed-client.ts';
import { pathOf, type TestDevice } from '../support/test-device.ts';

/** A member as far as it reads; a device of this key may write elsewhere. */
type Reader = Pick<TestDevice, 'name' | 'http' | 'cursor' | 'syncAll'>;

/** What servers acknowledged: id and position of every message of one group that got a 201. */
export interface Ledger {
  readonly size: number;
  acknowledge(id: string, position: number): void;
  /**
   * Reads everything again as each of these members, who joined before the first of them: by the group's log and by the
   * sync from `start`. Heads are chained where the member sees the group from its creation on.
   *
   * @returns every difference, a sentence each. None: what was acknowledged stands at its position, once, for every
   *   member; positions have no hole, no id stands twice, the chain of heads holds and ends equally for all
   * @param after the last position of the group that is not served any more; 0 when all are
   */
  differences(group: Uint8Array, members: readonly Reader[], after?: number): Promise<string[]>;
}

const PAGE_ENTRIES = 1_000;

export function createLedger(): Ledger {
  const acknowledged = new Map<string, number>();
  const contradictions: string[] = [];
  return {
    get size() {
      return acknowledged.size;
    },
    acknowledge(id, position) {
      const before = acknowledged.get(id) ?? position;
      if (before !== position) contradictions.push(`${id} was acknowledged at ${before} and at ${position}`);
      acknowledged.set(id, position);
    },
    async differences(group, members, after = 0) {
      const found = [...contradictions];
      const ends = new Set<string>();
      for (const member of members) {
        const tell = (text: string): void => void found.push(`${member.name}: ${text}`);
        const log = await groupLog(member, group, after);
        ends.add(`${log.position} ${toHex(log.head)}`);
        compare(acknowledged, log.entries.map(decodeEntry), (text) => tell(`in the group's log ${text}`));
        if (log.entries.length === log.position) {
          const chained = log.entries.reduce((head, bytes) => nextHead(head, bytes, nodeSha256), EMPTY_HEAD);
          if (!equalBytes(chained, log.head)) tell('the chain of heads is broken');
        }
        compare(acknowledged, await syncFromStart(member, group), (text) => tell(`in its sync ${text}`));
      }
      if (ends.size > 1) found.push(`histories end differently: ${[...ends].join(', ')}`);
      return found;
    },
  };
}

function compare(
  acknowledged: ReadonlyMap<string, number>,
  entries: readonly Entry[],
  tell: (difference: string) => void,
): void {
  const places = new Map<string, number>();
  let last: number | undefined;
  for (const entry of entries) {
    if (!isGroupEntry(entry)) continue;
    const position = Number(entry.position);
    if (last !== undefined && position !== last + 1) tell(`position ${position} follows ${last}`);
    last = position;
    if (entry.kind !== 'message') continue;
    if (places.has(entry.id)) tell(`${entry.id} stands at ${places.get(entry.id)} and at ${position}`);
    places.set(entry.id, position);
  }
  for (const [id, position] of acknowledged) {
    if (places.get(id) !== position) tell(`${id}, acknowledged at ${position}, is at ${places.get(id) ?? 'no place'}`);
  }
}

async function groupLog(member: Reader, group: Uint8Array, from: number) {
  const entries: Uint8Array[] = [];
  let after = from;
  for (;;) {
    const target = `${pathOf(group)}/log?after=${after}&limit=${PAGE_ENTRIES}`;
    const page = okValue(await member.http.request('GET', target));
    entries.push(...(page.entries as Uint8Array[]));
    after = page.position;
    if (page.upToDate) return { entries, position: after, head: page.head as Uint8Array };
  }
}

/** From the beginning, whatever the member has read already; its own cursor stays where it is. */
async function syncFromStart(member: Reader, group: Uint8Array): Promise<Entry[]> {
  const { cursor } = member;
  member.cursor = 'start';
  try {
    const all = await member.syncAll(PAGE_ENTRIES);
    return all.filter((entry) => isGroupEntry(entry) && equalBytes(entry.group, group));
  } finally {
    member.cursor = cursor;
  }
}
