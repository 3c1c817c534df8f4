import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeEvent, encodeEvent, knownEvents } from '../../src/log/envelope.ts';
import { LogError } from '../../src/log/errors.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { EXAMPLES } from './events.ts';

const FIXTURES = new URL('../fixtures/events/', import.meta.url);
/** Set once, by hand, when a type or version is added. A fixture that exists is never written again. */
const WRITE = process.env['WRITE_EVENT_FIXTURES'] === '1';

function codeOf(bytes: Uint8Array): string {
  try {
    decodeEvent(bytes);
    return 'decoded';
  } catch (error) {
    if (error instanceof LogError) return error.code;
    throw error;
  }
}

describe('golden events', () => {
  test.each(knownEvents())('$type version $v decodes for ever, to the same bytes', ({ type, v }) => {
    const file = new URL(`${type}.${v}.cbor`, FIXTURES);
    const example = EXAMPLES.find((event) => event.type === type && event.v === v);
    if (WRITE && !existsSync(file)) {
      mkdirSync(FIXTURES, { recursive: true });
      writeFileSync(file, encodeEvent(example!));
    }
    const bytes = new Uint8Array(readFileSync(file));
    const event = decodeEvent(bytes);
    expect(event).toEqual(example);
    expect(encodeEvent(event)).toEqual(bytes);
  });

  test('no fixture is of a type or version that is not known any more', () => {
    const known = knownEvents().map(({ type, v }) => `${type}.${v}.cbor`);
    expect(readdirSync(FIXTURES).sort()).toEqual(known.sort());
  });
});

describe('what is not to be skipped', () => {
  const [example] = EXAMPLES;

  test('an unknown type or version is unknown-event', () => {
    expect(codeOf(encodeCbor({ ...example, type: 'account-exploded' }))).toBe('unknown-event');
    expect(codeOf(encodeCbor({ ...example, v: 2 }))).toBe('unknown-event');
    expect(codeOf(encodeCbor({ ...example, type: 'constructor' }))).toBe('unknown-event');
    expect(codeOf(encodeCbor({ ...example, type: '__proto__', v: 1 }))).toBe('unknown-event');
  });

  test('an event without something it has to hold is invalid-event', () => {
    for (const event of EXAMPLES) {
      for (const name of Object.keys(event)) {
        if (['welcome', 'name', 'countersignature'].includes(name) && event.type !== 'account-registered') continue;
        // what only those who join from outside need, an opaque group may do without
        if (name === 'groupInfo' && event.type.startsWith('opaque-')) continue;
        const { [name]: _, ...rest } = event as unknown as Record<string, unknown>;
        expect(codeOf(encodeCbor(rest)), `${event.type} without ${name}`).toBe('invalid-event');
      }
    }
  });

  test('members this version does not know are let through, so that additions stay readable', () => {
    expect(codeOf(encodeCbor({ ...example, later: 1 }))).toBe('decoded');
  });

  test('hostile bytes give invalid-event or unknown-event and nothing else', () => {
    const codes = new Set<string>();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        codes.add(codeOf(bytes));
      }),
      { numRuns: 2_000 },
    );
    for (const event of EXAMPLES) {
      const bytes = encodeEvent(event);
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
          const changed = bytes.slice();
          changed[at]! ^= change;
          codes.add(codeOf(changed));
        }),
        { numRuns: 300 },
      );
      for (let length = 0; length < bytes.length; length += 1) codes.add(codeOf(bytes.subarray(0, length)));
    }
    expect([...codes].sort()).toEqual(['decoded', 'invalid-event', 'unknown-event']);
  });
});

test('an event comes back as it was, bytes exactly as received', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4_000 }), fc.nat(), (payload, epoch) => {
      const event = { ...EXAMPLES[4]!, commit: payload, epoch } as (typeof EXAMPLES)[number];
      expect(decodeEvent(encodeEvent(event))).toEqual(event);
    }),
  );
});
