import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concatBytes } from '../../src/wire/bytes.ts';
import { cborByteString, decodeCbor, encodeCbor } from '../../src/wire/cbor.ts';
import { blockFromCursor, cursorFromBlock } from '../../src/wire/cursor.ts';
import { decodeEntry, EMPTY_HEAD, type Entry, encodeEntry, nextHead } from '../../src/wire/entry.ts';
import type { DeviceId, Position } from '../../src/wire/ids.ts';
import { asStreamItem, decodePage, encodePageParts, encodeStreamItem, type Page } from '../../src/wire/page.ts';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());

const entry = (position: number, payload = new Uint8Array(20)): Entry => ({
  kind: 'message',
  group: new Uint8Array(16),
  position: position as Position,
  id: 'abcdefghijklmnopqrst',
  sender: 'a'.repeat(32) as DeviceId,
  time: 1_790_000_000_000,
  epoch: 3,
  payload,
});

const pageArbitrary: fc.Arbitrary<Page> = fc
  .record({
    entries: fc.array(fc.uint8Array({ minLength: 1, maxLength: 400 }), { maxLength: 40 }),
    seed: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    upToDate: fc.boolean(),
    heads: fc.array(
      fc.record({
        group: fc.uint8Array({ minLength: 16, maxLength: 32 }),
        position: fc.nat().map((position) => position as Position),
        hash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      }),
      { maxLength: 3 },
    ),
  })
  .map(({ entries, seed, upToDate, heads }) => ({
    entries,
    cursors: new Uint8Array(entries.length * 16).fill(7),
    cursor: cursorFromBlock(seed),
    upToDate,
    heads,
  }));

test('a page joined from framed entries is the deterministic encoding of the page, and decodes to it', () => {
  fc.assert(
    fc.property(pageArbitrary, (page) => {
      const bytes = concatBytes(...encodePageParts(page, page.entries.map(cborByteString)));
      expect(bytes).toEqual(encodeCbor(page));
      expect(decodePage(bytes)).toEqual(page);
      const item = concatBytes(...encodePageParts(page, page.entries.map(cborByteString), true));
      expect(item).toEqual(encodeCbor({ type: 'page', ...page }));
      expect(asStreamItem(decodeCbor(item))).toEqual({ type: 'page', ...page });
    }),
  );
});

test('stream items survive the wire', () => {
  const items = [
    { type: 'caught-up', cursor: cursorFromBlock(new Uint8Array(16)) },
    { type: 'heartbeat' },
    { type: 'closing', reason: 'shutdown', resumable: true },
  ] as const;
  for (const item of items) expect(asStreamItem(decodeCbor(encodeStreamItem(item)))).toEqual(item);
});

test('anything that is not a page or an item is refused with a SyntaxError', () => {
  fc.assert(
    fc.property(fc.anything(), fc.uint8Array({ maxLength: 60 }), (value, bytes) => {
      expect(() => decodePage(bytes)).toThrow(SyntaxError);
      expect(() => decodeEntry(bytes)).toThrow(SyntaxError);
      expect(() => asStreamItem(value)).toThrow(SyntaxError);
    }),
  );
  const page = { entries: [new Uint8Array(3)], cursors: new Uint8Array(15), cursor: 'c', upToDate: true, heads: [] };
  expect(() => decodePage(encodeCbor(page))).toThrow('cursors');
});

test('D5: a changed, missing or moved entry gives another head', () => {
  const log = [1, 2, 3, 4].map((position) => encodeEntry(entry(position)));
  const headOf = (entries: Uint8Array[]) => entries.reduce((head, bytes) => nextHead(head, bytes, sha256), EMPTY_HEAD);
  const head = headOf(log);
  expect(headOf([...log])).toEqual(head);
  expect(headOf(log.slice(0, 3))).not.toEqual(head);
  expect(headOf([log[0]!, log[2]!, log[1]!, log[3]!])).not.toEqual(head);
  expect(headOf([log[0]!, log[1]!, encodeEntry(entry(3, Uint8Array.of(1))), log[3]!])).not.toEqual(head);
});

test('entries decode to what was encoded and equal entries have equal bytes', () => {
  const original = entry(9);
  expect(decodeEntry(encodeEntry(original))).toEqual(original);
  expect(encodeEntry({ ...original })).toEqual(encodeEntry(original));
});

test('CBOR that is indefinite, tagged, trailing or has a key twice is refused', () => {
  for (const hex of ['9f01ff', 'c001', '0101', 'a2616101616102', 'f7', 'fb7ff8000000000000', '18']) {
    expect(() => decodeCbor(Uint8Array.from(Buffer.from(hex, 'hex'))), hex).toThrow(SyntaxError);
  }
});

test('a cursor is 23 characters around one block, and nothing else is a cursor', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (block) => {
      const cursor = cursorFromBlock(block);
      expect(cursor).toHaveLength(23);
      expect(blockFromCursor(cursor)).toEqual(block);
      expect(blockFromCursor(cursor.slice(1))).toBeUndefined();
      expect(blockFromCursor(`${cursor}A`)).toBeUndefined();
    }),
  );
});
