import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  equalBytes,
  fromBase64,
  fromBase64Url,
  fromUtf8,
  toBase32,
  toBase64,
  toBase64Url,
  toHex,
  toUtf8,
} from '../../src/wire/bytes.ts';

const bytes = fc.uint8Array({ maxLength: 200 });

test('base64, base64url and hex agree with the platform for any bytes, and decode to what was encoded', () => {
  fc.assert(
    fc.property(bytes, (value) => {
      const buffer = Buffer.from(value);
      expect(toBase64Url(value)).toBe(buffer.toString('base64url'));
      expect(toBase64(value)).toBe(buffer.toString('base64'));
      expect(toHex(value)).toBe(buffer.toString('hex'));
      expect(fromBase64Url(toBase64Url(value))).toEqual(value);
      expect(fromBase64(toBase64(value))).toEqual(value);
    }),
  );
});

test('base64url has one spelling a value: padding, other alphabets and stray bits are refused', () => {
  for (const text of ['QQ==', 'Q', 'QR', 'Q+', 'Q/', 'Q Q', 'QÄ', 'QQ\n']) expect(fromBase64Url(text)).toBeUndefined();
  for (const text of ['QQ', 'QQ=', 'QQ=A', '=', '====', 'Q-==']) expect(fromBase64(text)).toBeUndefined();
});

test("base32 follows RFC 4648's vectors, lower case and unpadded", () => {
  const vectors = {
    '': '',
    f: 'my',
    fo: 'mzxq',
    foo: 'mzxw6',
    foob: 'mzxw6yq',
    fooba: 'mzxw6ytb',
    foobar: 'mzxw6ytboi',
  };
  for (const [text, encoded] of Object.entries(vectors)) expect(toBase32(toUtf8(text))).toBe(encoded);
});

test('bytes are equal exactly when length and every byte agree', () => {
  fc.assert(fc.property(bytes, bytes, (a, b) => equalBytes(a, b) === (Buffer.compare(a, b) === 0)));
});

test('bytes that are not UTF-8 are not turned into replacement characters', () => {
  expect(fromUtf8(Uint8Array.of(0xff, 0x41))).toBeUndefined();
  expect(fromUtf8(toUtf8('grüße'))).toBe('grüße');
});

test('bytes are equal when each of them is: of any length, from any place, whichever of them differs', () => {
  const lengths = fc.integer({ min: 0, max: 2100 });
  fc.assert(
    fc.property(lengths, fc.nat(7), fc.nat(7), fc.nat(), (length, before, other, at) => {
      const left = new Uint8Array(before + length + 3).fill(7).subarray(before, before + length);
      const right = Buffer.alloc(other + length + 3, 7).subarray(other, other + length);
      expect(equalBytes(left, right)).toBe(true);
      expect(equalBytes(left, right.subarray(0, -1))).toBe(length === 0);
      if (length === 0) return;
      right[at % length]! ^= 1 << (at % 8);
      expect([equalBytes(left, right), equalBytes(right, left)]).toEqual([false, false]);
    }),
    { numRuns: 1000 },
  );
});
