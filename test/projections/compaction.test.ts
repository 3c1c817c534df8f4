import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { GroupCompacted, LogEvent } from '../../src/log/events.ts';
import type { Projections } from '../../src/projections/open-projections.ts';
import { removeMessages } from '../../src/tools/compact/remove-messages.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { type Entry, encodeEntry, isGroupEntry, nextHead } from '../../src/wire/entry.ts';
import type { ClientId, GroupId, Position } from '../../src/wire/ids.ts';
import { bytesOf, createScript, keyPackage, sha256, testDevice } from './builders.ts';
import { folded, ROOMY, readAll, unframed } from './open.ts';
import { GROUP_IDS, PEOPLE, randomLog } from './random-log.ts';

const id = (group: Uint8Array) => toBase64Url(group) as GroupId;
const TEA = bytesOf('tea', 16);

/** The compaction of a group up to a position, as the tables name its head. */
function compaction({ read }: Projections, group: Uint8Array, logStart: number, name = ''): GroupCompacted {
  const before = read.entryAt(id(group), (logStart - 1) as Position);
  if (before === undefined) throw new Error('nothing stands before it');
  const { head } = before;
  return {
    v: 1,
    type: 'group-compacted',
    id: `compacted ${id(group)} ${logStart}${name}`,
    time: 1,
    group,
    logStart,
    head,
  };
}

/** The log with every ciphertext gone that nobody is served any more. */
function withoutMessages(events: readonly LogEvent[], { read }: Projections): LogEvent[] {
  const placements = {
    positionOf: (group: Uint8Array, device: never, message: string) => read.messagePosition(id(group), device, message),
    logStartOf: (group: Uint8Array) => read.group(id(group))?.logStart ?? 1,
  };
  return events.map((event) => {
    if (event.type !== 'messages-sent' && event.type !== 'messages-compacted') return event;
    return removeMessages(event, placements as never, sha256) ?? event;
  });
}

test('a log whose ciphertexts were removed folds to the very tables of the whole one, in batches of any size', async () => {
  await fc.assert(
    fc.asyncProperty(
      randomLog,
      fc.array(fc.nat(1_000_000), { minLength: GROUP_IDS.length, maxLength: GROUP_IDS.length }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
      async (events, cuts, sizes) => {
        const before = await folded(events);
        const compactions = GROUP_IDS.flatMap((group, i) => {
          const view = before.read.group(id(group));
          const most = Math.min(view?.position ?? 0, ...[...(view?.proposals.values() ?? [])].map((it) => it.position));
          const logStart = most < 2 ? 1 : 2 + (cuts[i]! % (most - 1));
          const halfWay = Math.ceil(logStart / 2);
          return [halfWay, logStart].flatMap((at) => (at < 2 ? [] : [compaction(before, group, at)]));
        });
        await before.close();
        const whole = await folded([...events, ...compactions]);
        const without = await folded(withoutMessages([...events, ...compactions], whole), sizes);
        expect(without.dumpTables()).toBe(whole.dumpTables());
        const again = await folded(withoutMessages(withoutMessages([...events, ...compactions], whole), without), [3]);
        expect(again.dumpTables()).toBe(whole.dumpTables());
        for (const group of compactions) {
          expect(whole.read.entryAt(id(group.group), (group.logStart - 1) as Position)).toBeUndefined();
        }
        for (const { device } of PEOPLE) {
          const paged = readAll(whole.read, device, { maxEntries: 2, maxBytes: 2_000 });
          expect(paged.entries).toEqual(readAll(without.read, device).entries);
        }
        await Promise.all([whole.close(), without.close(), again.close()]);
      },
    ),
    { numRuns: 25 },
  );
});

/** Alice and bob, with messages before and after bob came, and a second epoch. */
async function talk() {
  const [alice, bob] = [testDevice('alice'), testDevice('bob')];
  const script = createScript();
  const repeated = script.clientId();
  const events: LogEvent[] = [
    script.started(),
    script.register(alice, [keyPackage('a1')]),
    script.register(bob, [keyPackage('b1')]),
    script.createGroup(alice, TEA, 'tea'), // 1
    script.send(script.batch(alice, TEA, 0, ['one', 'two'])), // 2, 3
    script.commit(alice, TEA, 0, 0, { adds: [bob] }), // 4
    script.send(script.batch(bob, TEA, 1, ['three', { id: repeated, text: 'four' }])), // 5, 6
    script.commit(alice, TEA, 1, 0), // 7
    script.send(script.batch(alice, TEA, 2, ['five', 'six'])), // 8, 9
  ];
  return { script, events, alice, bob, repeated };
}

test('what comes after the cut is chained to the head that the event names', async () => {
  const { events, alice } = await talk();
  const cut = compaction(await folded(events), TEA, 6);
  const { read } = await folded([...events, cut]);
  const { entries, heads } = readAll(read, alice.device);
  const kept = entries.filter((entry) => isGroupEntry(entry));
  expect(kept.map(({ position }) => position)).toEqual([6, 7, 8, 9]);
  const head = kept.reduce((last, entry) => nextHead(last, encodeEntry(entry), sha256), cut.head);
  expect(head).toEqual(read.group(id(TEA))!.head);
  expect(heads).toEqual([{ group: TEA, position: 9, hash: head }]);
});

test('a group says where its log begins, and the epoch to come from', async () => {
  const { events } = await talk();
  const whole = await folded(events);
  expect(whole.read.group(id(TEA))).toMatchObject({ logStart: 1 });
  const cuts = [6, 7, 8].map((at) => compaction(whole, TEA, at));
  const seen = cuts.map(async (cut) => {
    const { logStart, firstEpoch } = (await folded([...events, cut])).read.group(id(TEA))!;
    return [logStart, firstEpoch];
  });
  expect(await Promise.all(seen)).toEqual([
    [6, 1],
    [7, 1],
    [8, 2],
  ]);
});

test('a page names what its reader misses, once, and goes on behind it; a reader beyond it is told nothing', async () => {
  const { events, alice, bob } = await talk();
  const whole = await folded(events);
  const at = (position: number) => {
    const { cursors, entries } = readAll(whole.read, alice.device);
    const index = entries.findIndex((entry) => isGroupEntry(entry) && entry.position === position);
    return { block: cursors.subarray(index * 16, index * 16 + 16) };
  };
  const blocks = [4, 5, 6].map(at);
  const cut = compaction(whole, TEA, 6);
  const { read } = await folded([...events, cut]);
  const page = (device: typeof alice.device, cursor: string) => {
    const result = read.syncPage(device, cursor, ROOMY);
    if (result.kind !== 'page') throw new Error(result.reason);
    return result.page;
  };
  const { time } = positioned(unframed(page(alice.device, 'start').framed), 6);
  const next = { head: cut.head, epoch: 1, time };
  expect(page(alice.device, 'start').gaps).toEqual([{ group: TEA, from: 1, to: 5, next }]);
  expect(page(bob.device, 'start').gaps).toEqual([{ group: TEA, from: 4, to: 5, next }]);
  expect(page(bob.device, page(bob.device, 'start').cursor).gaps).toBeUndefined();
  const cursors = blocks.map(({ block }) => `c${toBase64Url(block)}`);
  expect(cursors.map((cursor) => page(alice.device, cursor).gaps?.length ?? 0)).toEqual([1, 0, 0]);
  expect(cursors.map((cursor) => unframed(page(alice.device, cursor).framed).length)).toEqual([4, 4, 3]);
});

test('one who was removed before the cut is told what is gone, and nothing of what came after', async () => {
  const { script, events, bob } = await talk();
  const all = [
    ...events,
    script.commit(testDevice('alice'), TEA, 2, 0, { removes: [1] }), // 10
    script.send(script.batch(testDevice('alice'), TEA, 3, ['not for bob', 'nor this'])), // 11, 12
  ];
  const cut = compaction(await folded(all), TEA, 12);
  const { read } = await folded([...all, cut]);
  const result = read.syncPage(bob.device, 'start', ROOMY);
  expect(result).toMatchObject({ kind: 'page', page: { gaps: [{ group: TEA, from: 4, to: 10 }], upToDate: true } });
  const { page } = result as Extract<typeof result, { kind: 'page' }>;
  expect(page.gaps![0]).not.toHaveProperty('next');
  expect(unframed(page.framed).filter((entry) => isGroupEntry(entry))).toEqual([]);
  expect(read.groupLogPage(id(TEA), bob.device, 4, ROOMY)).toMatchObject({ kind: 'expired' });
  expect(read.groupLogPage(id(TEA), bob.device, Number.MAX_SAFE_INTEGER, ROOMY)).toMatchObject({ kind: 'page' });
});

test('the log of a group is expired before its start, and a page from there on', async () => {
  const { events, alice } = await talk();
  const cut = compaction(await folded(events), TEA, 6);
  const { read } = await folded([...events, cut]);
  const page = (after: number) => read.groupLogPage(id(TEA), alice.device, after, ROOMY);
  expect(page(4)).toEqual({ kind: 'expired', logStart: 6, firstEpoch: 1, head: cut.head });
  expect(page(5)).toMatchObject({ kind: 'page', position: 9, upToDate: true, logStart: 6 });
  expect(read.entriesFromEpoch(id(TEA), 0, ROOMY)).toEqual({ entries: [], more: true });
  expect(read.entriesFromEpoch(id(TEA), 1, ROOMY)).toEqual({ entries: [], more: true });
  expect(read.entriesFromEpoch(id(TEA), 2, ROOMY).entries).toHaveLength(2);
});

test('a message that was sent again after its entry went is not placed a second time (D16)', async () => {
  const { script, events, bob, repeated } = await talk();
  const cut = compaction(await folded(events), TEA, 8);
  const again = script.send(script.batch(bob, TEA, 2, [{ id: repeated, text: 'four' }]));
  for (const log of [[...events, cut], withoutMessages([...events, cut], await folded([...events, cut]))]) {
    const { read } = await folded([...log, again]);
    expect(read.group(id(TEA))!.position).toBe(9);
    expect(read.messagePosition(id(TEA), bob.device, repeated as ClientId)).toBe(6);
  }
});

test('a compaction that does not fit changes nothing: further back, past the end, over a proposal that waits, of another history', async () => {
  const { script, events, bob } = await talk();
  const whole = await folded(events);
  const all = [...events, compaction(whole, TEA, 8)];
  const proposal = script.propose(bob, TEA, 2, 1, { kind: 'remove', leaf: 1 });
  const more = [...all, proposal, script.send(script.batch(bob, TEA, 2, ['seven']))];
  const expected = (await folded(more)).dumpTables();
  const fits = compaction(await folded(more), TEA, 9);
  const wrong: GroupCompacted[] = [
    compaction(whole, TEA, 6, ' back'),
    { ...fits, id: 'past the end', logStart: 12 },
    { ...compaction(await folded(more), TEA, 11), id: 'over a proposal' },
    { ...fits, id: 'another history', head: bytesOf('another') },
    { ...fits, id: 'nowhere', group: bytesOf('nowhere', 16) },
  ];
  for (const event of wrong) expect((await folded([...more, event])).dumpTables()).toBe(expected);
  expect((await folded([...more, fits])).read.group(id(TEA))!.logStart).toBe(9);
});

function positioned(entries: readonly Entry[], position: number) {
  const found = entries.find((entry) => isGroupEntry(entry) && entry.position === position);
  if (found === undefined) throw new Error('no such entry');
  return found;
}

test('a removed message takes a fraction of the bytes it had', () => {
  const script = createScript();
  const alice = testDevice('alice');
  const event = script.send({
    ...script.batch(alice, TEA, 0, ['one']),
    messages: [[script.clientId(), 0, bytesOf('x', 4_000)]],
  });
  const compacted = removeMessages(event, { positionOf: () => 2, logStartOf: () => 3 }, sha256);
  expect(encodeCbor(compacted).length).toBeLessThan(encodeCbor(event).length / 10);
});
