import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromBase32, toBase32 } from '../../src/wire/bytes.ts';
import { formatDeviceOffer, parseDeviceOffer } from '../../src/wire/device-offer.ts';
import { decodeGroupedCode, encodeGroupedCode } from '../../src/wire/grouped-code.ts';
import type { AccountId } from '../../src/wire/ids.ts';
import {
  formatRecoveryCode,
  parseRecoveryCode,
  RECOVERY_SECRET_BYTES,
  recoverySeed,
} from '../../src/wire/recovery-code.ts';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

test('base32 comes back as it went, and has one spelling', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (value) => {
      expect(fromBase32(toBase32(value))).toEqual(value);
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz234567189A=') }), (text) => {
      const decoded = fromBase32(text);
      return decoded === undefined || toBase32(decoded) === text;
    }),
  );
});

test('a code that people copy survives spaces and capitals, and no slip of one character', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(), fc.nat(30), (value, at, other) => {
      const code = encodeGroupedCode(value, sha256);
      expect(decodeGroupedCode(` ${code.toUpperCase().replaceAll('-', ' ')}\n`, sha256)).toEqual(value);
      const place = at % code.length;
      const letters = [...'abcdefghijklmnopqrstuvwxyz234567'].filter((letter) => letter !== code[place]);
      if (code[place] === '-') return;
      const slipped = code.slice(0, place) + letters[other % letters.length]! + code.slice(place + 1);
      expect(decodeGroupedCode(slipped, sha256)).toBeUndefined();
    }),
  );
});

test('a recovery code holds its secret and its account, in 64 characters; any text is taken without a throw', () => {
  fc.assert(
    fc.property(bytes(RECOVERY_SECRET_BYTES), bytes(20), (secret, raw) => {
      const account = toBase32(raw) as AccountId;
      const code = formatRecoveryCode({ secret, account }, sha256);
      expect(code.replaceAll('-', '')).toHaveLength(64);
      expect(parseRecoveryCode(code, sha256)).toEqual({ secret, account });
      expect(recoverySeed(secret, sha256)).not.toEqual(
        recoverySeed(
          secret.map((byte) => byte ^ 1),
          sha256,
        ),
      );
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => parseRecoveryCode(text, sha256) === undefined));
});

test('an offer comes back as it went; anything else is none', () => {
  const device = { key: sha256(Uint8Array.of(1)), label: 'my phone', signatureKeys: [sha256(Uint8Array.of(2))] };
  const offer = { account: 'a'.repeat(32) as AccountId, device, countersignature: new Uint8Array(64).fill(3) };
  expect(parseDeviceOffer(formatDeviceOffer(offer, sha256), sha256)).toEqual(offer);
  const broken = { ...offer, countersignature: new Uint8Array(3) };
  expect(parseDeviceOffer(formatDeviceOffer(broken, sha256), sha256)).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (value) => {
      return parseDeviceOffer(encodeGroupedCode(value, sha256), sha256) === undefined;
    }),
  );
});
