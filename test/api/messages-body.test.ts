import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readMessagesBody } from '../../src/api/resources/messages-body.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { messagesRequest } from '../../src/wire/schemas/groups.ts';

const CBOR = 'application/cbor';
const RUNS = 2_000;

const id = fc.oneof(
  { weight: 4, arbitrary: fc.stringMatching(/^[A-Za-z0-9_-]{16,64}$/) },
  fc.constantFrom('', 'too-short', 'x'.repeat(65), 'sixteen.charact', 'sixteen charactr', 'ünusual_charactr'),
  fc.oneof(fc.nat(), fc.constant(null), fc.uint8Array({ maxLength: 20 })),
);
const message = fc.oneof(
  { weight: 4, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 40 }) },
  fc.constant(new Uint8Array()),
  fc.constantFrom('AAAA', '', 7, null),
);
const sent = fc.oneof(
  { weight: 8, arbitrary: fc.record({ id, message }) },
  fc.record({ id, message, more: fc.constant(true) }),
  fc.record({ id }),
  fc.constantFrom(null, 1, 'text', []),
);
const body = fc.oneof(
  { weight: 8, arbitrary: fc.record({ messages: fc.array(sent, { maxLength: 5 }) }) },
  fc.record({ messages: fc.array(fc.record({ id, message }), { minLength: 99, maxLength: 102 }) }),
  fc.record({ messages: fc.array(sent, { maxLength: 2 }), more: fc.nat() }),
  fc.constantFrom(null, 1, [], {}, { messages: {} }, { messages: 'text' }),
);

test('the short way gives what the schema gives, and leaves to it all that it refuses', () => {
  let taken = 0;
  fc.assert(
    fc.property(body, (value) => {
      const quick = readMessagesBody(CBOR, encodeCbor(value));
      if (quick === undefined) return;
      taken += 1;
      expect(messagesRequest.safeParse(value)).toEqual({ success: true, data: quick });
    }),
    { numRuns: RUNS },
  );
  expect(taken).toBeGreaterThan(RUNS / 100);
});

test('whatever the schema takes as it stands goes the short way; other types and broken bytes do not', () => {
  const valid = fc.record({
    id: fc.stringMatching(/^[A-Za-z0-9_-]{16,64}$/),
    message: fc.uint8Array({ minLength: 1 }),
  });
  fc.assert(
    fc.property(fc.array(valid, { minLength: 1, maxLength: 100 }), (messages) => {
      expect(readMessagesBody(CBOR, encodeCbor({ messages }))).toEqual({ messages });
    }),
    { numRuns: 100 },
  );
  const bytes = encodeCbor({ messages: [{ id: 'sixteen-characters', message: Uint8Array.of(1) }] });
  expect(readMessagesBody('application/json', bytes)).toBeUndefined();
  expect(readMessagesBody(undefined, bytes)).toBeUndefined();
  expect(readMessagesBody(CBOR, bytes.subarray(0, -1))).toBeUndefined();
});
