import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { HistoryContent, HistoryLine, PortableMessage } from '../../../src/client/chat-client.ts';
import { createDirectory } from '../../../src/client/engine/directory.ts';
import { step } from '../../../src/client/engine/types.ts';
import { emptyGroup } from '../../../src/client/engine/welcome.ts';
import { openChatState } from '../../../src/client/runner/chat-state.ts';
import type { StoredIdentity } from '../../../src/client/runner/identity.ts';
import { createPortableHistory } from '../../../src/client/runner/portable-history.ts';
import { createSerial } from '../../../src/client/runner/serial.ts';
import { readHistory, readRecent, scanRecent } from '../../../src/client/store/history-rows.ts';
import { rangeOf } from '../../../src/client/store/keys.ts';
import { createMemoryStore } from '../../../src/client/store/memory-store.ts';
import { createNodeSuite, nodeSha256 } from '../../../src/mls/suite-node.ts';
import { cursorFromBlock } from '../../../src/wire/cursor.ts';
import { type Cursor, type GroupId, groupIdOf, START_CURSOR } from '../../../src/wire/ids.ts';
import { fakePerson } from '../../support/fake-chat-client.ts';

const BYTES = new Uint8Array(16).fill(5);
const GROUP: GroupId = groupIdOf(BYTES);
const ALL = 1_000;
const cursorAt = (position: number): Cursor => cursorFromBlock(new Uint8Array(16).fill(position));

/** A device without a server: its store, and lines that come to it. */
async function openDevice() {
  const store = createMemoryStore();
  const state = await openChatState({
    store,
    groups: [emptyGroup(BYTES, 'tea')],
    notify: () => {},
    accountWrites: () => [],
  });
  const history = createPortableHistory({
    ...{ store, state, serial: createSerial(), sha256: nodeSha256, suite: createNodeSuite() },
    directory: createDirectory('localhost', []),
    identity: {} as StoredIdentity,
  });
  return {
    store,
    history,
    comes: async (position: number, content: HistoryContent) => {
      const batch = state.begin();
      const group = { ...batch.group(GROUP)!, position };
      batch.take(step(group, { lines: [{ ...content, position, time: position }] }), cursorAt(position));
      await batch.commit();
    },
    packed: async (): Promise<readonly PortableMessage[]> =>
      (await history.portableHistory(GROUP, { after: START_CURSOR, until: ALL, limit: ALL })).messages,
    shown: () => readHistory(store, START_CURSOR, { group: BYTES, limit: ALL }),
  };
}

interface Typed {
  readonly kind: 'say' | 'edit' | 'delete' | 'reply';
  readonly by: 'ann' | 'ben';
  /** Which of the messages before it is meant. */
  readonly target: number;
}

const typed = fc.record<Typed>({
  kind: fc.constantFrom('say', 'say', 'edit', 'delete', 'reply'),
  by: fc.constantFrom('ann', 'ben'),
  target: fc.nat(30),
});

/** What stands at each position, from 1 on. Edits and deletions of somebody else's messages are among them. */
function linesOf(log: readonly Typed[]): readonly HistoryContent[] {
  const first: number[] = []; // positions of what can be changed: a change is always of the first form
  return log.map(({ kind, by, target }, index): HistoryContent => {
    const position = index + 1;
    const id = `id-${position}`;
    const other = `id-${first[target % first.length]}`;
    const said = { kind: 'message', id, messageId: id, sender: fakePerson(by), own: by === 'ann' } as const;
    if (kind === 'edit' && first.length > 0) return { ...said, text: `edited at ${position}`, replaces: other };
    if (kind === 'delete' && first.length > 0) return { ...said, text: '', replaces: other, deleted: true };
    const reply = kind === 'reply' && first.length > 0 ? { inReplyTo: other } : {};
    first.push(position);
    return { ...said, text: `said at ${position}`, ...reply };
  });
}

/** What a person reads of messages, whatever device it stands on. */
function read(lines: readonly HistoryLine[]): unknown[] {
  return lines.flatMap((line) => {
    if (line.kind !== 'message') return [];
    const { position, text, deleted, edited, inReplyTo, replaces } = line;
    return [{ position, text, deleted, edited, inReplyTo, replaces }];
  });
}

test('whenever it joined, packed and unpacked, in whatever pieces: a device ends with the messages of one that was always there', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(typed, { minLength: 2, maxLength: 24 }),
      fc.nat(),
      fc.nat(),
      fc.nat(),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
      async (log, joins, packs, unpacks, pieces) => {
        const joined = 2 + (joins % (log.length - 1)); // its first position
        const lines = linesOf(log).with(joined - 1, { kind: 'joined', by: fakePerson('ben'), epoch: 1 });
        const packedAt = joined - 1 + (packs % (log.length - joined + 2)); // the last one that the file knows of
        const unpackedAt = joined + (unpacks % (log.length - joined + 1));
        const [always, later] = [await openDevice(), await openDevice()];
        let file: readonly PortableMessage[] = [];
        for (const [index, content] of lines.entries()) {
          await always.comes(index + 1, content);
          if (index + 1 === packedAt) file = await always.packed();
        }
        const unpack = async () => {
          let at = 0;
          for (let piece = 0; at < file.length; piece += 1) {
            const size = pieces[piece % pieces.length]!;
            await later.history.takeOver(GROUP, file.slice(at, at + size));
            at += size;
          }
        };
        for (let position = joined; position <= log.length; position += 1) {
          await later.comes(position, lines[position - 1]!);
          if (position === unpackedAt) await unpack();
        }
        // what came itself stays as it came: of a change of somebody else's message, that this device did not have, it is a line
        const isBefore = ({ position = 0 }: HistoryLine): boolean => position < joined;
        const [expected, shown] = [await always.shown(), await later.shown()];
        expect(read(shown.filter(isBefore))).toEqual(read(expected.filter(isBefore)));
        const before = await later.store.range({ from: Uint8Array.of(0), to: Uint8Array.of(255) });
        await unpack();
        expect(await later.store.range({ from: Uint8Array.of(0), to: Uint8Array.of(255) })).toEqual(before);
      },
    ),
    { numRuns: 150 },
  );
});

test('a message that was edited and then taken back reads alike where the edit was seen and where it was not', async () => {
  const [always, later] = [await openDevice(), await openDevice()];
  const lines = linesOf([
    { kind: 'say', by: 'ben', target: 0 },
    { kind: 'edit', by: 'ben', target: 0 },
    { kind: 'delete', by: 'ben', target: 0 },
  ]);
  for (const [index, content] of lines.entries()) await always.comes(index + 1, content);
  for (const position of [2, 3]) await later.comes(position, lines[position - 1]!);
  await later.history.takeOver(GROUP, (await always.packed()).slice(0, 1));
  expect(read((await later.shown()).slice(0, 1))).toEqual(read((await always.shown()).slice(0, 1)));
});

test('of however many changes of a message that is not here, a row of a few places is kept: one of each account', async () => {
  const [always, later] = [await openDevice(), await openDevice()];
  const said = linesOf([
    { kind: 'say', by: 'ann', target: 0 },
    ...Array.from(
      { length: 60 },
      (_none, number) => ({ kind: 'edit', by: number % 9 === 0 ? 'ben' : 'ann', target: 0 }) as const,
    ),
  ]);
  const changes = () => later.store.range({ ...rangeOf('awaited') });
  const texts = async (): Promise<readonly string[]> =>
    (await later.shown()).flatMap((line) => (line.kind === 'message' && line.text !== '' ? [line.text] : []));
  for (const [index, content] of said.entries()) {
    await always.comes(index + 1, content);
    if (index > 0) await later.comes(index + 1, content);
  }
  expect((await changes()).map(([, value]) => Buffer.from(value).toString().split(' ').length)).toEqual([2]);
  expect(await texts()).toEqual(['edited at 56', 'edited at 61']); // the newest of each
  const gone = {
    ...said[1]!,
    id: 'gone',
    messageId: 'gone',
    text: '',
    deleted: true,
    sender: fakePerson('ann'),
  } as HistoryContent;
  await later.comes(62, gone);
  await later.comes(63, { ...said[60]!, id: 'too-late', messageId: 'too-late' } as HistoryContent);
  expect(await texts()).toEqual(['edited at 56']);
  await later.history.takeOver(GROUP, (await always.packed()).slice(0, 1));
  expect((await later.shown())[0]).toMatchObject({ position: 1, text: '', deleted: true });
});

test('taken-over lines are read like any other: by cursor in any steps, from the end, and when all is searched', async () => {
  const [always, later] = [await openDevice(), await openDevice()];
  for (let position = 1; position <= 40; position += 1) {
    const id = `id-${position}`;
    await always.comes(position, {
      kind: 'message',
      id,
      sender: fakePerson('ben'),
      text: `text ${position}`,
      own: false,
    });
  }
  await later.comes(31, { kind: 'joined', by: fakePerson('ben'), epoch: 1 });
  for (let position = 32; position <= 40; position += 1) {
    const id = `id-${position}`;
    await later.comes(position, {
      kind: 'message',
      id,
      sender: fakePerson('ben'),
      text: `text ${position}`,
      own: false,
    });
  }
  const file = await always.packed();
  // the newest first, and what it has itself among them
  expect(await later.history.takeOver(GROUP, file.slice(20))).toEqual({ added: 10 });
  expect(await later.history.takeOver(GROUP, file)).toEqual({ added: 20 });
  expect(await later.history.takeOver(GROUP, file)).toEqual({ added: 0 });

  const positions = (lines: readonly HistoryLine[]) => lines.map(({ position }) => position);
  const everything = Array.from({ length: 40 }, (_, i) => i + 1);
  expect(positions(await later.shown())).toEqual(everything);
  for (const limit of [1, 3, 7, 30, 39]) {
    const seen: (number | undefined)[] = [];
    for (let after: Cursor | undefined = START_CURSOR; after !== undefined; ) {
      const page: readonly HistoryLine[] = await readHistory(later.store, after, { group: BYTES, limit });
      seen.push(...positions(page));
      after = page.at(-1)?.cursor;
    }
    expect(seen).toEqual(everything);
    expect(positions(await readRecent(later.store, BYTES, limit))).toEqual(everything.slice(-limit));
  }
  const scanned: (number | undefined)[] = [];
  const look = ({ position }: HistoryLine): boolean => scanned.push(position) > 0;
  expect(await scanRecent(later.store, BYTES, ALL, look)).toBe(true);
  expect(scanned.reverse()).toEqual(everything);
  expect(await scanRecent(later.store, BYTES, 20, () => true)).toBe(false);
  // packed again on this device, it is all there
  expect((await later.packed()).map(({ position }) => position)).toEqual(everything.filter((each) => each !== 31));
});
