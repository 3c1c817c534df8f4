import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeDeviceOffer, encodeDeviceOffer, formatDeviceOffer } from '../../src/wire/device-offer.ts';
import type { AccountId } from '../../src/wire/ids.ts';
import { deviceOfferIdOf, formatLinkCode, isOfferOf, linkCodeOf, parseLinkCode } from '../../src/wire/link-code.ts';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());
const numbered = (n: number): Uint8Array => sha256(Uint8Array.of(n));

test('a link code has 24 characters, survives spaces and capitals, and fits nothing but its offer', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(), fc.nat(7), (offer, at, bit) => {
      const code = linkCodeOf(offer, sha256);
      const shown = formatLinkCode(code, sha256);
      expect(shown).toMatch(/^([a-z2-7]{4}-){5}[a-z2-7]{4}$/);
      expect(parseLinkCode(` ${shown.toUpperCase().replaceAll('-', ' ')}\n`, sha256)).toEqual(code);
      expect(isOfferOf(code, offer, sha256)).toBe(true);
      const other = offer.slice();
      other[at % offer.length]! ^= 1 << bit;
      expect(isOfferOf(code, other, sha256)).toBe(false);
    }),
  );
});

test('slips are noticed before anything is sent: of 4,464 of one character not one passes, any text is taken without a throw', () => {
  let passed = 0;
  let tried = 0;
  for (let n = 0; n < 6; n += 1) {
    const shown = formatLinkCode(linkCodeOf(numbered(n), sha256), sha256).replaceAll('-', '');
    for (let place = 0; place < shown.length; place += 1) {
      for (const letter of 'abcdefghijklmnopqrstuvwxyz234567') {
        if (letter === shown[place]) continue;
        tried += 1;
        if (parseLinkCode(shown.slice(0, place) + letter + shown.slice(place + 1), sha256) !== undefined) passed += 1;
      }
    }
  }
  expect([tried, passed]).toEqual([4_464, 0]);
  fc.assert(fc.property(fc.string(), (text) => parseLinkCode(text, sha256) === undefined));
});

test('the id that a server is asked for does not show the code, and is another one for every code', () => {
  const codes = Array.from({ length: 200 }, (_, n) => linkCodeOf(numbered(n), sha256));
  const ids = codes.map((code) => deviceOfferIdOf(code, sha256));
  expect(new Set(ids).size).toBe(200);
  for (const [i, code] of codes.entries()) {
    expect(ids[i]).toMatch(/^[a-z2-7]{32}$/);
    expect(ids[i]).not.toContain(formatLinkCode(code, sha256).replaceAll('-', '').slice(0, 8));
  }
});

test('an offer as bytes comes back as it went; a long code is no short one', () => {
  const device = { key: numbered(1), label: 'my phone', signatureKeys: [numbered(2)] };
  const offer = { account: 'a'.repeat(32) as AccountId, device, countersignature: new Uint8Array(64).fill(3) };
  expect(decodeDeviceOffer(encodeDeviceOffer(offer))).toEqual(offer);
  expect(decodeDeviceOffer(encodeDeviceOffer({ ...offer, countersignature: new Uint8Array(63) }))).toBeUndefined();
  expect(decodeDeviceOffer(new Uint8Array(0))).toBeUndefined();
  expect(parseLinkCode(formatDeviceOffer(offer, sha256), sha256)).toBeUndefined();
});
