/** Reading messages without the network: whether they cost more behind many others, and in an encrypted store. */
import type { ClientStore } from '../src/client/store/client-store.ts';
import { createSealedStore } from '../src/client/store/sealed-store.ts';
import { encodeState } from '../src/mls/session/state-codec.ts';
import type { Page } from '../src/wire/page.ts';
import { type BenchReader, openReader } from './client-reader.ts';
import { createMember, groupOfAll, messagesOf, someBytes } from './client-world.ts';
import { type Figure, round } from './figure.ts';
import { inTurn, type Pair, sum, summarize } from './paired.ts';

const MESSAGES = 1_000;
const ROUNDS = 9;
const SEALED_MAX = 1.3;

const GROWTH_MESSAGES = 10_000;
/** Read at the end of one store and, beside it, at the beginning of another. */
const GROWTH_COMPARED = 2_500;
const GROWTH_MAX = 1.2;
/** So that what is compared takes moments, in which the machine stays as it is. */
const PAGE_ENTRIES = 250;

export async function run(): Promise<readonly Figure[]> {
  return [await growth(), await sealed()];
}

/** A device that reads one log again and again, each time from nothing. */
async function createReading(messages: number) {
  const members = [await createMember(), await createMember()];
  const group = await groupOfAll(members);
  const { pages } = await messagesOf(group, members[0]!, messages, PAGE_ENTRIES);
  const rows = encodeState(group.last);
  const open = (over?: (store: ClientStore) => ClientStore): Promise<BenchReader> =>
    openReader(members.at(-1)!, members, group.bytes, rows, over);
  return { pages, open };
}

/** Whether a message costs the same when many came before it. */
async function growth(): Promise<Figure> {
  const { pages, open } = await createReading(GROWTH_MESSAGES);
  const behind = pages.length - GROWTH_COMPARED / PAGE_ENTRIES;
  const rounds: Pair[] = [];
  {
    // what comes first is compiled while it runs
    await using first = await open();
    for (const page of pages.slice(0, behind / 2)) await first.read(page);
  }
  await using full = await open();
  for (const page of pages.slice(0, behind)) await full.read(page);
  await using empty = await open();
  for (const [i, page] of pages.slice(behind).entries()) {
    rounds.push(
      await inTurn(
        i,
        () => full.read(page),
        () => empty.read(pages[i]!),
      ),
    );
  }
  expectUnread(full, GROWTH_MESSAGES);
  const { ours, theirs, ratio, spread } = summarize(rounds);
  return {
    name: `a message near the end of ${GROWTH_MESSAGES.toLocaleString('en')} of one group, without the network`,
    value: `${round(ours / PAGE_ENTRIES, 3)} ms of CPU`,
    against: { what: `one near the beginning (${round(theirs / PAGE_ENTRIES, 3)} ms; ${spread})`, ratio },
    target: `< ${GROWTH_MAX} of it`,
    met: ratio < GROWTH_MAX,
  };
}

/** What an encrypted store adds to reading messages. */
async function sealed(): Promise<Figure> {
  const { pages, open } = await createReading(MESSAGES);
  const dataKey = someBytes(32);
  const readBoth = async (): Promise<Pair> => {
    await using plain = await open();
    await using encrypted = await open((store) => createSealedStore(store, dataKey));
    const costs = await readSideBySide(pages, encrypted, plain);
    for (const reader of [plain, encrypted]) expectUnread(reader, MESSAGES);
    return costs;
  };
  await readBoth();
  const rounds: Pair[] = [];
  for (let i = 0; i < ROUNDS; i += 1) rounds.push(await readBoth());
  const { ours, theirs, ratio, spread } = summarize(rounds);
  return {
    name: `catching up ${MESSAGES} messages into an encrypted store, without the network`,
    value: `${round(ours / MESSAGES, 3)} ms of CPU a message`,
    against: { what: `into a plain one (${round(theirs / MESSAGES, 3)} ms; ${spread})`, ratio },
    target: `< ${SEALED_MAX} of it`,
    met: ratio < SEALED_MAX,
  };
}

async function readSideBySide(pages: readonly Page[], ours: BenchReader, theirs: BenchReader): Promise<Pair> {
  const costs: Pair[] = [];
  for (const [i, page] of pages.entries()) {
    costs.push(
      await inTurn(
        i,
        () => ours.read(page),
        () => theirs.read(page),
      ),
    );
  }
  return sum(costs);
}

function expectUnread(reader: BenchReader, messages: number): void {
  const { unread } = reader.group();
  if (unread !== messages) throw new Error(`read ${unread} of ${messages} messages`);
}
