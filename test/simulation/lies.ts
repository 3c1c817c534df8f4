import { decodeCbor, encodeCbor } from '../../src/wire/cbor.ts';
import { CURSOR_BLOCK_BYTES } from '../../src/wire/cursor.ts';
import type { Position } from '../../src/wire/ids.ts';
import type { Page, StreamItem } from '../../src/wire/page.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import type { CommitRequest } from '../../src/wire/schemas/groups.ts';
import type { Exchange } from './client-network.ts';
import { CURSOR_SEAL, INCARNATION } from './server-node.ts';
import type { World } from './world.ts';

const FIRST_CURSOR = CURSOR_SEAL.seal(INCARNATION, { sequence: 1, index: 0 });

/** What a server or a client that lies, in the ways of a history's mutations, makes of what it should say. */
export interface Lies {
  ofItem(item: StreamItem): StreamItem;
  /** What a client says. */
  ofRequest(operation: string, body: Uint8Array): Uint8Array;
  ofAnswer(asked: Exchange, body: Uint8Array): Uint8Array;
  /** An answer instead of a refusal. */
  ofRefusal(asked: Exchange, problem: unknown): Uint8Array | undefined;
  /** The answer to messages that never arrived. */
  ofNothing(body: Uint8Array): Uint8Array;
}

interface Claimed {
  readonly account: string;
  readonly keyPackage?: Uint8Array;
}

/** What was claimed first of each account: all clients of one history are told the same. */
const claimed = new WeakMap<World, Map<string, Claimed>>();

export function liesOf(world: World): Lies {
  const { mutations, chance } = world;
  const first = claimed.get(world) ?? new Map<string, Claimed>();
  claimed.set(world, first);
  return {
    ofItem(item) {
      if (item.type !== 'page') return item;
      if (mutations.cursorsGoBack === true && chance.hits(0.3)) return { ...item, cursor: FIRST_CURSOR };
      if (mutations.gapsHidden === true) return withoutGaps(item);
      if (mutations.gapsTooWide === true) return withWiderGaps(item);
      const { entries, cursors } = item;
      if (mutations.skipsEntries !== true || entries.length < 2) return item;
      return { ...item, entries: entries.slice(1), cursors: cursors.subarray(CURSOR_BLOCK_BYTES) };
    },
    ofRequest(operation, body) {
      if (mutations.declaresLess !== true || operation !== 'postCommit') return body;
      const { roster, ...rest } = decodeCbor(body) as CommitRequest;
      return roster === undefined ? body : encodeCbor({ ...rest, roster: { ...roster, removed: [] } });
    },
    ofAnswer(asked, body) {
      if (mutations.claimsAgain !== true || asked.operation !== 'claimKeyPackages') return body;
      const { results } = decodeCbor(body) as { results: readonly Claimed[] };
      const again = results.map((result) => {
        const before = first.get(result.account);
        if (before === undefined && result.keyPackage !== undefined) first.set(result.account, result);
        return before ?? result;
      });
      return encodeCbor({ results: again });
    },
    ofRefusal({ operation }, problem) {
      const isTaken = problem instanceof ProblemError && problem.code === 'name-taken';
      return mutations.namesForAll === true && operation === 'registerAccount' && isTaken
        ? encodeCbor({ keyPackages: [] })
        : undefined;
    },
    ofNothing(body) {
      const { messages } = decodeCbor(body) as { messages: { id: string }[] };
      return encodeCbor({ results: messages.map(({ id }) => ({ id, position: 1 })) });
    },
  };
}

type PageItem = Page & { readonly type: 'page' };

function withoutGaps({ gaps: _gaps, ...rest }: PageItem): PageItem {
  return rest;
}

function withWiderGaps(item: PageItem): PageItem {
  const { gaps } = item;
  if (gaps === undefined) return item;
  return { ...item, gaps: gaps.map(({ next: _next, ...gap }) => ({ ...gap, to: (gap.to + 1) as Position })) };
}
