import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createKeyAgreement } from '../../src/mls/key-agreement-node.ts';
import { concatBytes, toUtf8 } from '../../src/wire/bytes.ts';
import { deriveSessionKey } from '../../src/wire/session.ts';

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
/** Points of small order (RFC 7748 §6.1): whatever the private key, the result is all zero. */
const LOW_ORDER = ['00', '01', 'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'].map((hex) =>
  Uint8Array.from(Buffer.from(hex.padEnd(64, '0'), 'hex')),
);

test('both ends of an agreement derive one key, and another pair another one', () => {
  const [client, server, other] = [createKeyAgreement(), createKeyAgreement(), createKeyAgreement()];
  const ours = deriveSessionKey(client.agree(server.publicKey)!, client.publicKey, server.publicKey);
  const theirs = deriveSessionKey(server.agree(client.publicKey)!, client.publicKey, server.publicKey);
  expect(ours).toHaveLength(32);
  expect(theirs).toEqual(ours);
  expect(deriveSessionKey(client.agree(other.publicKey)!, client.publicKey, other.publicKey)).not.toEqual(ours);
});

test('the key is HKDF-SHA256 (RFC 5869) with the info "mlsd session v1" ‖ client key ‖ server key', () => {
  fc.assert(
    fc.property(key, key, key, (shared, client, server) => {
      fc.pre(shared.some((byte) => byte !== 0));
      const prk = createHmac('sha256', new Uint8Array(32)).update(shared).digest();
      const info = concatBytes(toUtf8('mlsd session v1'), client, server, Uint8Array.of(1));
      const okm = createHmac('sha256', prk).update(info).digest();
      expect(deriveSessionKey(shared, client, server)).toEqual(new Uint8Array(okm));
    }),
    { numRuns: 50 },
  );
});

test('an all-zero secret gives no key, and a key of low order no secret', () => {
  expect(deriveSessionKey(new Uint8Array(32), new Uint8Array(32), new Uint8Array(32))).toBeUndefined();
  for (const peer of LOW_ORDER) expect(createKeyAgreement().agree(peer)).toBeUndefined();
  expect(createKeyAgreement().agree(new Uint8Array(31))).toBeUndefined();
  expect(() => deriveSessionKey(new Uint8Array(31), new Uint8Array(32), new Uint8Array(32))).toThrow(RangeError);
});
