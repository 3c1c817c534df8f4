import { isDeepStrictEqual } from 'node:util';
import { decode, encode } from 'cborg';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeCbor, decodeCborShared, encodeCbor } from '../../src/wire/cbor.ts';
import { decodePlain, encodePlain, NOT_PLAIN } from '../../src/wire/cbor-plain.ts';

const STRICT = {
  allowIndefinite: false,
  allowUndefined: false,
  allowNaN: false,
  allowInfinity: false,
  rejectDuplicateMapKeys: true,
  strict: true,
} as const;

const key = fc.oneof(fc.stringMatching(/^[ -~]{0,12}$/), fc.constantFrom('__proto__', 'constructor', 'toString', 'é'));
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.maxSafeInteger(),
    fc.constantFrom(
      0,
      23,
      24,
      255,
      256,
      65_535,
      65_536,
      2 ** 32 - 1,
      2 ** 32,
      2 ** 53 - 1,
      -24,
      -25,
      -(2 ** 32),
      -(2 ** 53) + 1,
    ),
    fc.stringMatching(/^[ -~]{0,40}$/),
    fc.uint8Array({ maxLength: 300 }),
    fc.boolean(),
    fc.constant(null),
    fc.oneof(fc.double({ noNaN: true }), fc.string({ unit: 'grapheme' }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
    fc.array(tie('value'), { maxLength: 30 }),
    fc.dictionary(key, tie('value'), { maxKeys: 30 }),
  ),
}));

function general(bytes: Uint8Array): unknown {
  try {
    return { value: decode(bytes, STRICT) };
  } catch {
    return 'refused';
  }
}

/** What the short way makes of it agrees with the general decoder, or is left to it. */
function expectAgreement(bytes: Uint8Array): void {
  for (const shared of [false, true]) {
    const plain = decodePlain(bytes, shared);
    if (plain !== NOT_PLAIN) expect(isDeepStrictEqual({ value: plain }, general(bytes))).toBe(true);
  }
}

describe('plain CBOR', () => {
  it('is written as the general library writes it', () => {
    fc.assert(
      fc.property(value, (written) => {
        const plain = encodePlain(written);
        if (plain !== undefined) expect(Buffer.from(plain).equals(Buffer.from(encode(written)))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is read as the general library reads it, also when it is cut, changed or put together at random', () => {
    fc.assert(
      fc.property(value, fc.nat(), fc.nat(255), fc.uint8Array({ maxLength: 40 }), (written, at, byte, noise) => {
        const bytes = Uint8Array.from(encode(written));
        expectAgreement(bytes);
        expectAgreement(bytes.slice(0, at % (bytes.length + 1)));
        expectAgreement(Uint8Array.of(...bytes, byte));
        expectAgreement(noise);
        const changed = bytes.slice();
        changed[at % changed.length] = byte;
        expectAgreement(changed);
      }),
      { numRuns: 2_000 },
    );
  });

  it('takes what the protocol sends the short way, and gives copies of its bytes', () => {
    const message = new Uint8Array(1000).fill(7);
    const sent = {
      messages: [{ message, id: 'abcdefghijklmnop' }],
      at: 2 ** 40,
      none: undefined,
      ok: true,
      nothing: null,
    };
    const bytes = encodePlain(sent)!;
    expect(bytes).toEqual(encodeCbor(sent));
    const { none: _none, ...rest } = sent;
    const read = decodePlain(Buffer.from(bytes), false) as typeof sent;
    expect(read).toStrictEqual(rest);
    bytes.fill(0);
    expect(read.messages[0]!.message).toEqual(message);
    expect(encodePlain(Buffer.from('ab'))).toEqual(Uint8Array.of(0x42, 97, 98));
  });

  it('gives views of the bytes where they are shared, and only there', () => {
    const bytes = encodeCbor([Uint8Array.of(1, 2, 3)]);
    const [copied] = decodeCbor(bytes) as [Uint8Array];
    const [viewed] = decodeCborShared(bytes) as [Uint8Array];
    bytes.fill(9);
    expect(copied).toEqual(Uint8Array.of(1, 2, 3));
    expect(viewed).toEqual(Uint8Array.of(9, 9, 9));
    expect(decodeCborShared(encodeCbor({ é: 1.5 }))).toEqual({ é: 1.5 });
    expect(() => decodeCborShared(Uint8Array.of(0x9f))).toThrow(SyntaxError);
  });

  it('leaves to the general library what is not plain', () => {
    const deep = Array.from({ length: 100 }).reduce<unknown>((inner) => [inner], 1);
    for (const other of [1.5, 2n ** 60n, 'é', [undefined], new Map(), deep, undefined])
      expect(encodePlain(other)).toBeUndefined();
    expect(decodeCbor(encodeCbor(deep))).toEqual(deep);
    expect(decodeCbor(encodeCbor({ é: 1.5 }))).toEqual({ é: 1.5 });
    for (const bad of ['', '1817', '9f', 'a20000', '62c328', 'a2616100616100', '0000']) {
      expect(decodePlain(Buffer.from(bad, 'hex'), false)).toBe(NOT_PLAIN);
    }
  });
});
