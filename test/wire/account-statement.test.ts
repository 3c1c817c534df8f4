import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeRegistration, parseRegistration, type RegistrationStatement } from '../../src/wire/account-statement.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';

const key = () => new Uint8Array(randomBytes(32));
const statement: RegistrationStatement = {
  v: 1,
  type: 'register',
  domain: 'localhost',
  name: 'alice',
  device: { key: key(), label: 'laptop', signatureKeys: [key()] },
  time: 1_790_000_000_000,
  nonce: new Uint8Array(randomBytes(16)),
};

test('a registration statement parses to what was encoded', () => {
  expect(parseRegistration(encodeRegistration(statement))).toEqual({ ok: true, statement });
});

test('S2: a statement has no field that could carry a private key, and any other field is refused', () => {
  expect(parseRegistration(encodeCbor({ ...statement, privateKey: key() }))).toMatchObject({ ok: false });
  expect(parseRegistration(encodeCbor({ ...statement, device: { ...statement.device, seed: key() } }))).toMatchObject({
    ok: false,
  });
});

test('one key has one purpose: a device key that is also an MLS signature key is refused', () => {
  const device = { ...statement.device, signatureKeys: [statement.device.key] };
  expect(parseRegistration(encodeRegistration({ ...statement, device }))).toMatchObject({ ok: false });
});

test('wrong sizes, names and versions are refused with a reason', () => {
  const wrong: unknown[] = [
    { ...statement, v: 2 },
    { ...statement, name: 'a/b' },
    { ...statement, name: 'Ａlice' },
    { ...statement, nonce: new Uint8Array(15) },
    { ...statement, device: { ...statement.device, key: new Uint8Array(31) } },
    { ...statement, device: { ...statement.device, signatureKeys: [] } },
    { ...statement, time: -1 },
  ];
  for (const value of wrong) {
    const parsed = parseRegistration(encodeCbor(value));
    expect(parsed.ok).toBe(false);
    if (!parsed.ok) expect(parsed.reason.length).toBeGreaterThan(5);
  }
});

test('hostile bytes are refused, never thrown on', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => !parseRegistration(bytes).ok));
});
