import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPrivateHeader } from '../../src/api/writes/private-header.ts';
import { inspectMessage } from '../../src/mls/framing.ts';
import { concatBytes, toHex } from '../../src/wire/bytes.ts';

/** A variable-length vector (RFC 9420 §2.1.2). */
function vector(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  const head = length < 64 ? [length] : length < 16_384 ? [0x40 | (length >> 8), length & 255] : undefined;
  return concatBytes(Uint8Array.from(head ?? [0x80, (length >> 16) & 255, (length >> 8) & 255, length & 255]), bytes);
}

const bytes = (maxLength: number, minLength = 0) => fc.uint8Array({ minLength, maxLength });
const messages = fc
  .record({
    group: bytes(32, 16),
    epoch: fc.oneof(fc.nat(1000), fc.constantFrom(2 ** 32, Number.MAX_SAFE_INTEGER)),
    contentType: fc.integer({ min: 1, max: 3 }),
    data: bytes(300),
    sender: bytes(40),
    ciphertext: fc.oneof(bytes(200), bytes(20_000, 16_000)),
  })
  .map(({ group, epoch, contentType, data, sender, ciphertext }) => {
    const fixed = new DataView(new ArrayBuffer(9));
    fixed.setBigUint64(0, BigInt(epoch));
    fixed.setUint8(8, contentType);
    const head = concatBytes(Uint8Array.of(0, 1, 0, 2), vector(group), new Uint8Array(fixed.buffer));
    return concatBytes(head, vector(data), vector(sender), vector(ciphertext));
  });

/** Both readers, in the same words. */
function verdicts(message: Uint8Array): [unknown, unknown] {
  const header = readPrivateHeader(message);
  const inspected = inspectMessage(message);
  return [
    header === undefined ? 'none' : [toHex(header.groupId), header.epoch, header.isApplication],
    inspected.kind !== 'private'
      ? 'none'
      : [toHex(inspected.groupId), inspected.epoch, inspected.contentType === 'application'],
  ];
}

describe('the header of a PrivateMessage', () => {
  it('is read as the library reads it', () => {
    fc.assert(
      fc.property(messages, (message) => {
        const [header, inspected] = verdicts(message);
        expect(header).not.toBe('none');
        expect(header).toEqual(inspected);
      }),
    );
  });

  it('of damaged messages gets the same verdict as from the library', () => {
    const damage = fc.record({ at: fc.nat(), flip: fc.integer({ min: 1, max: 255 }), cut: fc.nat(3), add: fc.nat(2) });
    fc.assert(
      fc.property(messages, damage, (message, { at, flip, cut, add }) => {
        const damaged = message.slice(0, message.length - cut);
        damaged[at % Math.min(damaged.length, 60)]! ^= flip;
        const [header, inspected] = verdicts(concatBytes(damaged, new Uint8Array(add)));
        // a group id that no group here has is no message of ours, whatever the library says
        if (header !== 'none' || (inspected as [string])[0]!.length <= 64) expect(header).toEqual(inspected);
      }),
      { numRuns: 2_000 },
    );
  });

  it('of random bytes is none, and nothing is thrown', () => {
    fc.assert(
      fc.property(bytes(100), (message) => {
        expect(readPrivateHeader(message)).toBeUndefined();
      }),
      { numRuns: 2_000 },
    );
  });
});
