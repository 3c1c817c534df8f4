import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseIdentity } from '../../src/mls/identity.ts';
import { createCursorSeal } from '../../src/projections/cursor-seal.ts';
import type { Projections } from '../../src/projections/open-projections.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';
import { cursorFromBlock } from '../../src/wire/cursor.ts';
import { decodeEntry, EMPTY_HEAD, type Entry, isGroupEntry, nextHead } from '../../src/wire/entry.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { bytesOf, createScript, keyPackage, sampleLog, sha256, testDevice } from './builders.ts';
import { createFakeLog } from './fake-log.ts';
import { CURSOR_KEY, folded, openTest, ROOMY, readAll, unframed } from './open.ts';
import { GROUP_IDS, PEOPLE, randomLog } from './random-log.ts';

const id = (group: Uint8Array) => toBase64Url(group) as GroupId;
const SIGNAL = () => AbortSignal.timeout(60_000);

/** Every entry of a group, through no device's eyes. */
function wholeGroup({ read }: Projections, group: Uint8Array): Entry[] {
  const entries: Entry[] = [];
  for (let position = 1; ; position += 1) {
    const entry = read.entryAt(id(group), position as never);
    if (entry === undefined) return entries;
    entries.push(decodeEntry(entry.bytes));
  }
}

test('pages of any size, joined, are what one page of everything is, and every cursor in them goes on from its entry', async () => {
  await fc.assert(
    fc.asyncProperty(
      randomLog,
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 3_000 }),
      async (events, maxEntries, maxBytes) => {
        const projections = await folded(events);
        for (const { device } of PEOPLE) {
          const whole = readAll(projections.read, device);
          const paged = readAll(projections.read, device, { maxEntries, maxBytes });
          expect(paged.entries).toEqual(whole.entries);
          expect(Buffer.compare(paged.cursors, whole.cursors)).toBe(0);
          expect(paged.cursor).toBe(whole.cursor);
          for (let i = 0; i < whole.entries.length; i += 5) {
            const rest = readAll(projections.read, device, ROOMY, cursorFromBlock(whole.cursors, i));
            expect(rest.entries).toEqual(whole.entries.slice(i + 1));
          }
        }
        await projections.close();
      },
    ),
    { numRuns: 15 },
  );
});

test('a device reads a group from the commit that added it to the commit that removed it, and nothing else (D11)', async () => {
  await fc.assert(
    fc.asyncProperty(randomLog, async (events) => {
      const projections = await folded(events);
      for (const group of GROUP_IDS) {
        const all = wholeGroup(projections, group);
        for (const { device } of PEOPLE) {
          const seen = readAll(projections.read, device).entries.filter(
            (entry) => isGroupEntry(entry) && id(entry.group) === id(group),
          );
          expect(seen).toEqual(all.filter((_, i) => visible(all, i, device)));
          const log = projections.read.groupLogPage(id(group), device, 0, ROOMY);
          expect(log.kind === 'page' ? unframed(log.framed) : []).toEqual(seen);
        }
      }
      await projections.close();
    }),
    { numRuns: 15 },
  );

  /** By the entries alone: who is in before or after the entry at `index`. */
  function visible(all: readonly Entry[], index: number, device: string): boolean {
    const roster = (upTo: number) => membersAfter(all.slice(0, upTo));
    return roster(index).has(device) || roster(index + 1).has(device);
  }
});

test('heads in a page are the chain over the entries that the reader was served (D4, D5)', async () => {
  const { events, groups } = sampleLog();
  const { read } = await folded(events);
  const [alice] = sampleLog().devices;
  const { entries, heads } = readAll(read, alice!.device);
  const tea = entries.filter((entry) => isGroupEntry(entry) && id(entry.group) === id(groups[0]!));
  let head = EMPTY_HEAD;
  tea.forEach((entry, i) => {
    expect(isGroupEntry(entry) && entry.position).toBe(i + 1);
    const stored = read.entryAt(id(groups[0]!), (i + 1) as never)!;
    head = nextHead(head, stored.bytes, sha256);
    expect(stored.head).toEqual(head);
  });
  expect(heads).toEqual([{ group: groups[0], position: tea.length, hash: head }]);
  expect(read.group(id(groups[0]!))).toMatchObject({ position: tea.length, head });
});

test('a Welcome stands behind its commit and is in nobody else’s inbox (D2)', async () => {
  const { events, devices, groups } = sampleLog();
  const { read } = await folded(events);
  const [alice, bob, carol] = devices.map(({ device }) => readAll(read, device).entries);
  expect(alice!.filter(({ kind }) => kind === 'welcome')).toEqual([]);
  for (const mine of [bob!, carol!]) {
    const at = mine.findIndex(({ kind }) => kind === 'welcome');
    const welcome = mine[at]!;
    const commit = mine[at - 1]!;
    expect(mine.filter(({ kind }) => kind === 'welcome')).toHaveLength(1);
    if (welcome.kind !== 'welcome' || commit.kind !== 'commit') throw new Error('not a Welcome behind a commit');
    expect(commit.position).toBe(welcome.payload.position);
    expect(welcome.payload.head).toEqual(read.entryAt(id(groups[0]!), commit.position)!.head);
    expect(welcome.payload.epoch).toBe(commit.epoch + 1);
  }
});

test('a Welcome of a commit that lost its epoch is never readable (D2)', async () => {
  const script = createScript();
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map(testDevice) as [
    ReturnType<typeof testDevice>,
    ReturnType<typeof testDevice>,
    ReturnType<typeof testDevice>,
  ];
  const group = bytesOf('g', 16);
  const { read } = await folded([
    script.started(),
    ...[alice, bob, carol].map((device) => script.register(device)),
    script.createGroup(alice, group),
    script.commit(alice, group, 0, 0, { adds: [bob] }),
    script.commit(alice, group, 0, 0, { adds: [carol] }),
  ]);
  expect(readAll(read, carol.device).entries).toEqual([]);
  expect(readAll(read, bob.device).entries.map(({ kind }) => kind)).toEqual(['commit', 'welcome']);
});

test('an empty page has a cursor that goes on when something comes', async () => {
  const { events, devices } = sampleLog();
  const log = createFakeLog(events.slice(0, 10));
  const { read, ready } = await openTest(log);
  await ready;
  const { device } = devices[0]!;
  const first = readAll(read, device);
  const empty = read.syncPage(device, first.cursor, ROOMY);
  expect(empty).toMatchObject({ kind: 'page', page: { framed: [], upToDate: true, cursor: first.cursor, heads: [] } });
  await read.waitForSequence(log.append(...events.slice(10)), SIGNAL());
  const rest = readAll(read, device, ROOMY, first.cursor);
  expect([...first.entries, ...rest.entries]).toEqual(readAll(read, device).entries);
  expect(rest.entries.length).toBeGreaterThan(0);
});

test('one entry larger than a page is a page of its own', async () => {
  const { events, devices } = sampleLog();
  const { read } = await folded(events);
  const result = read.syncPage(devices[0]!.device, 'start', { maxEntries: 10, maxBytes: 1 });
  expect(result).toMatchObject({ kind: 'page', page: { upToDate: false } });
  expect(result.kind === 'page' && result.page.framed).toHaveLength(1);
});

test('a cursor of another incarnation, of the future, or of nobody is invalid; a node that is behind can tell', async () => {
  const { events, devices } = sampleLog();
  const { read } = await folded(events);
  const { device } = devices[0]!;
  const seal = createCursorSeal(CURSOR_KEY);
  const foreign = seal.seal('another', { sequence: 3, index: 0 });
  const future = seal.seal('first', { sequence: events.length + 1, index: 0 });
  expect(read.syncPage(device, foreign, ROOMY)).toEqual({ kind: 'cursor-invalid', reason: 'foreign' });
  expect(read.syncPage(device, future, ROOMY)).toEqual({ kind: 'cursor-invalid', reason: 'future' });
  expect(read.syncPage(device, 'x', ROOMY)).toEqual({ kind: 'cursor-invalid', reason: 'malformed' });
  expect(read.sequenceOfCursor(future)).toBe(events.length + 1);
  expect(read.sequenceOfCursor('start')).toBe(0);
  expect(read.sequenceOfCursor(foreign)).toBeUndefined();
});

test('who never was a member does not see that a group has a log; a group log goes on by position', async () => {
  const { events, devices, groups } = sampleLog();
  const { read } = await folded(events);
  const [alice, bob] = devices;
  const [tea, ink] = groups.map(id);
  expect(read.groupLogPage(ink!, alice!.device, 0, ROOMY)).toEqual({ kind: 'not-visible' });
  expect(read.groupLogPage(tea!, testDevice('stranger').device, 0, ROOMY)).toEqual({ kind: 'not-visible' });
  expect(read.groupLogPage(id(bytesOf('nowhere', 16)), alice!.device, 0, ROOMY)).toEqual({ kind: 'not-visible' });
  const entries: Entry[] = [];
  for (let after = 0; ; ) {
    const page = read.groupLogPage(tea!, bob!.device, after, { maxEntries: 2, maxBytes: 1 << 20 });
    if (page.kind !== 'page') throw new Error(page.kind);
    entries.push(...unframed(page.framed));
    after = page.position;
    expect(page.head).toEqual(read.entryAt(tea!, page.position)!.head);
    if (page.upToDate) break;
  }
  expect(entries).toEqual(readAll(read, bob!.device).entries.filter(isGroupEntry));
});

test('the entries from an epoch on are what the loser of that epoch has missed', async () => {
  const { events, groups } = sampleLog();
  const { read } = await folded(events);
  const tea = id(groups[0]!);
  const from = (epoch: number) => {
    const { entries, more } = read.entriesFromEpoch(tea, epoch, ROOMY);
    expect(more).toBe(false);
    return entries.map(decodeEntry).map((entry) => isGroupEntry(entry) && entry.position);
  };
  expect(from(0)[0]).toBe(1);
  expect(from(1)).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  expect(from(4)).toEqual([14]);
  expect(from(5)).toEqual([]);
  expect(read.entriesFromEpoch(tea, 1, { maxEntries: 2, maxBytes: 1 << 20 })).toMatchObject({ more: true });
});

test('an inbox of many entries is read through, in pages and in whole', async () => {
  const script = createScript();
  const [alice, bob] = [testDevice('alice'), testDevice('bob')];
  const groups = Array.from({ length: 30 }, (_, i) => bytesOf(`g ${i}`, 16));
  const { read } = await folded([
    script.started(),
    script.register(alice),
    script.register(bob, [keyPackage('b')]),
    ...groups.flatMap((group) => [
      script.createGroup(alice, group),
      script.commit(alice, group, 0, 0, { adds: [bob] }),
    ]),
  ]);
  const whole = readAll(read, bob.device);
  expect(whole.entries.filter(({ kind }) => kind === 'welcome')).toHaveLength(30);
  expect(readAll(read, bob.device, { maxEntries: 7, maxBytes: 1 << 20 }).entries).toEqual(whole.entries);
  expect(read.groupsOf(bob.device)).toHaveLength(30);
});

interface FakeCommit {
  readonly sender: { readonly kind: string };
  readonly committer: { readonly identity: string };
  readonly adds: readonly { readonly identity: string }[];
  readonly removes: readonly number[];
  readonly refs: readonly Uint8Array[];
}

/** Devices in a group after these entries, worked out from nothing else: the commits of these tests can be read. */
function membersAfter(entries: readonly Entry[]): Set<string | undefined> {
  const leaves: (string | undefined)[] = [];
  const removals = new Map<string, number>();
  const place = ({ identity }: { readonly identity: string }): void => {
    while (leaves.length > 0 && leaves.at(-1) === undefined) leaves.pop();
    const blank = leaves.indexOf(undefined);
    leaves[blank === -1 ? leaves.length : blank] = parseIdentity(identity)!.device;
  };
  for (const entry of entries) {
    if (entry.kind === 'group-created') leaves.push(entry.sender);
    if (entry.kind === 'proposal') {
      const { proposal } = decodeCbor(entry.payload) as { proposal: { leaf: number } };
      removals.set(toBase64Url(sha256(entry.payload)), proposal.leaf);
    }
    if (entry.kind !== 'commit') continue;
    const { sender, committer, adds, removes, refs } = decodeCbor(entry.payload) as FakeCommit;
    for (const leaf of removes) leaves[leaf] = undefined;
    for (const ref of refs) leaves[removals.get(toBase64Url(ref))!] = undefined;
    for (const added of adds) place(added);
    if (sender.kind === 'new-member-commit') place(committer);
  }
  return new Set(leaves);
}
