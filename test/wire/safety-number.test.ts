import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AccountId, DeviceId } from '../../src/wire/ids.ts';
import { type ComparedAccount, safetyNumber } from '../../src/wire/safety-number.ts';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());
const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const device = fc.record({
  id: fc
    .string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 32 })
    .map((id) => id as DeviceId),
  signatureKeys: fc.array(key, { minLength: 1, maxLength: 2 }),
  revoked: fc.boolean(),
});
const account = fc.record({
  id: fc
    .string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 32 })
    .map((id) => id as AccountId),
  devices: fc.array(device, { minLength: 1, maxLength: 4 }),
});
const number = (one: ComparedAccount, other: ComparedAccount) => safetyNumber('example.org', one, other, sha256);

test('S6: the safety number is sixty digits, the same for both, whatever order the devices are listed in', () => {
  fc.assert(
    fc.property(account, account, (one, other) => {
      const shown = number(one, other);
      expect(shown).toMatch(/^(\d{5} ){11}\d{5}$/);
      expect(number({ ...other, devices: other.devices.toReversed() }, one)).toBe(shown);
    }),
    { numRuns: 100 },
  );
});

test('S6: it changes with every key that is swapped, added or taken away, and with the server', () => {
  fc.assert(
    fc.property(account, account, key, (one, other, swapped) => {
      const [first, ...rest] = other.devices;
      if (first === undefined) return;
      const valid = { ...other, devices: [{ ...first, revoked: false }, ...rest] };
      const shown = number(one, valid);
      const evil = { ...valid, devices: [{ ...first, revoked: false, signatureKeys: [swapped] }, ...rest] };
      expect(number(one, evil)).not.toBe(shown);
      expect(number(one, { ...valid, devices: [{ ...first, revoked: true }, ...rest] })).not.toBe(shown);
      expect(safetyNumber('evil.example', one, valid, sha256)).not.toBe(shown);
    }),
    { numRuns: 100 },
  );
});
