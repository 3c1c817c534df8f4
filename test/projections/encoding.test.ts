import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCursorSeal } from '../../src/projections/cursor-seal.ts';
import { createChain } from '../../src/projections/fold/chain.ts';
import {
  clientIdKeyBytes,
  clientIdOfKeyBytes,
  compareClientIds,
  isClientIdText,
} from '../../src/projections/fold/client-id-order.ts';
import { ENTRY_FRAMED_OFFSET, ENTRY_HEAD_OFFSET, entryRow, unframe } from '../../src/projections/fold/entry-row.ts';
import { messageMiddle, messageRowMaxBytes, writeMessageRow } from '../../src/projections/fold/message-encoder.ts';
import { decodeRun, encodeRun, findInRun } from '../../src/projections/fold/message-ids.ts';
import { compareOrder, readOrder, writeOrder } from '../../src/projections/order.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { cursorFromBlock } from '../../src/wire/cursor.ts';
import { encodeEntry, type MessageEntry, nextHead } from '../../src/wire/entry.ts';
import { type DeviceId, isClientId, newClientId, type Position } from '../../src/wire/ids.ts';
import { bytesOf, sha256 } from './builders.ts';

const clientId = fc
  .uint8Array({ minLength: 12, maxLength: 48 })
  .map((bytes) => toBase64Url(bytes))
  .filter(isClientId);
const deviceId = fc.stringMatching(/^[a-z2-7]{32}$/).map((id) => id as DeviceId);
const sequence = fc.integer({ min: 1, max: 2 ** 48 - 1 });
const order = fc.record({ sequence, index: fc.integer({ min: 0, max: 2 ** 32 - 1 }) });

test('a message row by the fast encoder is byte for byte the row of encodeEntry, with the next head', async () => {
  const message = fc.record({
    kind: fc.constant('message' as const),
    group: fc.uint8Array({ minLength: 16, maxLength: 32 }),
    position: fc.integer({ min: 1, max: 2 ** 47 }).map((position) => position as Position),
    id: clientId,
    sender: deviceId,
    time: fc.integer({ min: 0, max: 2 ** 52 }),
    epoch: fc.nat(2 ** 31 - 1),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.integer({ min: 65_000, max: 70_000 }).map((n) => bytesOf('x', n)),
    ),
  });
  await fc.assert(
    fc.property(
      message,
      order,
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.nat(40),
      (entry, at, head, start) => {
        const { group, position, id, sender, time, epoch, payload } = entry satisfies MessageEntry;
        const middle = messageMiddle(time, epoch, group, sender);
        const bound = messageRowMaxBytes(middle.length, id.length, payload.length);
        const target = new Uint8Array(start + bound);
        const end = writeMessageRow(target, start, { id, middle, payload, position, ...at, chain: createChain(head) });
        expect(end - start).toBeLessThanOrEqual(bound);
        const row = target.subarray(start, end);
        expect(Buffer.compare(row, entryRow(entry, head, at.sequence, at.index))).toBe(0);
        const bytes = unframe(row.subarray(ENTRY_FRAMED_OFFSET));
        expect(Buffer.compare(bytes, encodeEntry(entry))).toBe(0);
        expect(row.slice(ENTRY_HEAD_OFFSET, ENTRY_FRAMED_OFFSET)).toEqual(nextHead(head, bytes, sha256));
        expect(readOrder(row)).toEqual(at);
      },
    ),
    { numRuns: 300 },
  );
});

test('encoded orders sort as bytes the way orders do', async () => {
  await fc.assert(
    fc.property(order, order, (a, b) => {
      const [x, y] = [new Uint8Array(12), new Uint8Array(12)];
      writeOrder(x, 0, a.sequence, a.index);
      writeOrder(y, 0, b.sequence, b.index);
      expect(readOrder(x)).toEqual(a);
      expect(Math.sign(Buffer.compare(x, y))).toBe(Math.sign(compareOrder(a, b)));
    }),
  );
});

test('client ids sort by the time they were made, and their keys sort with them', async () => {
  await fc.assert(
    fc.property(clientId, clientId, (a, b) => {
      const [x, y] = [new Uint8Array(a.length), new Uint8Array(b.length)];
      clientIdKeyBytes(a, x, 0);
      clientIdKeyBytes(b, y, 0);
      expect(clientIdOfKeyBytes(x)).toBe(a);
      expect(Math.sign(compareClientIds(a, b))).toBe(Math.sign(Buffer.compare(x, y)));
    }),
  );
  const at = (ms: number) => newClientId(ms, (length) => bytesOf(`random ${ms}`, length));
  expect(compareClientIds(at(1_700_000_000_000), at(1_700_000_000_001))).toBeLessThan(0);
});

test('the fast check of client ids takes exactly what the wire takes', async () => {
  await fc.assert(
    fc.property(
      fc.oneof(clientId, fc.string({ minLength: 10, maxLength: 70 }), fc.string({ unit: 'binary' })),
      (text) => {
        expect(isClientIdText(text)).toBe(isClientId(text));
      },
    ),
  );
});

test('a run of message ids finds each of them and nothing else', async () => {
  await fc.assert(
    fc.property(fc.uniqueArray(clientId, { minLength: 1, maxLength: 30 }), clientId, (ids, other) => {
      const run = ids.sort(compareClientIds).map((id, i) => ({ id, position: i + 5 }));
      const decoded = decodeRun(encodeRun(run));
      expect(decoded).toEqual(run);
      for (const { id, position } of run) expect(findInRun(decoded, id)).toBe(position);
      if (!ids.includes(other)) expect(findInRun(decoded, other)).toBeUndefined();
    }),
  );
});

test('a cursor opens to what was sealed, under its own key and incarnation only', async () => {
  const seal = createCursorSeal(bytesOf('key'));
  await fc.assert(
    fc.property(fc.array(order, { minLength: 1, maxLength: 20 }), (orders) => {
      const blocks = seal.sealBlocks('first', orders);
      orders.forEach((expected, i) => {
        const cursor = cursorFromBlock(blocks, i);
        expect(cursor).toBe(seal.seal('first', expected));
        expect(seal.open('first', cursor)).toEqual({ kind: 'order', order: expected });
        expect(seal.open('second', cursor)).toEqual({ kind: 'invalid', reason: 'foreign' });
        expect(createCursorSeal(bytesOf('other')).open('first', cursor)).toEqual({
          kind: 'invalid',
          reason: 'foreign',
        });
      });
    }),
  );
});

test('whatever is not a cursor of ours is invalid and nothing worse', async () => {
  const seal = createCursorSeal(bytesOf('key'));
  await fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.uint8Array({ minLength: 16, maxLength: 16 }).map((b) => `c${toBase64Url(b)}`),
      ),
      (text) => {
        fc.pre(text !== 'start');
        expect(seal.open('first', text).kind).toBe('invalid');
      },
    ),
  );
  expect(() => createCursorSeal(new Uint8Array(31))).toThrow(RangeError);
});
