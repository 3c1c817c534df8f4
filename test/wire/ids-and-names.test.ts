import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accountIdOf, groupIdOf, isClientId, isGroupId, isShortId, newClientId } from '../../src/wire/ids.ts';
import { checkName, foldName } from '../../src/wire/names.ts';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());

test('an account id is 32 characters of base32 and changes with any byte of its statement', () => {
  const statement = new Uint8Array(randomBytes(100));
  const id = accountIdOf(statement, sha256);
  expect(isShortId(id)).toBe(true);
  statement[50]! ^= 1;
  expect(accountIdOf(statement, sha256)).not.toBe(id);
});

test('client ids of one device ascend with time and never repeat', () => {
  const random = (length: number) => new Uint8Array(randomBytes(length));
  const ids = [1, 2, 300, 70_000, 1_790_000_000_000, 1_790_000_000_001].map((time) => newClientId(time, random));
  expect(ids.every(isClientId)).toBe(true);
  const decoded = ids.map((id) => Buffer.from(id, 'base64url').toString('hex'));
  expect([...decoded].sort()).toEqual(decoded);
  expect(newClientId(5, random)).not.toBe(newClientId(5, random));
});

test('a group id has 16–32 bytes', () => {
  expect(isGroupId(groupIdOf(new Uint8Array(16)))).toBe(true);
  expect(isGroupId(groupIdOf(new Uint8Array(32)))).toBe(true);
  expect(() => groupIdOf(new Uint8Array(15))).toThrow(RangeError);
  expect(() => groupIdOf(new Uint8Array(33))).toThrow(RangeError);
});

test('fault 15: names that could climb out of a path or break a line are refused', () => {
  for (const name of [
    '',
    '#',
    '..',
    '.',
    'a/b',
    '../x',
    'a b',
    'a\nb',
    'a\u001b[2Jb',
    '%2e',
    'x'.repeat(33),
    'a\u202eb',
  ]) {
    expect(checkName(name), JSON.stringify(name)).toMatchObject({ ok: false });
  }
  for (const name of ['alice', 'Zoë', 'a.b_c-d', '李雷', 'x'.repeat(32)])
    expect(checkName(name)).toMatchObject({ ok: true });
  expect(checkName('#tea')).toEqual({ ok: true, name: 'tea' });
});

test('names that look alike after NFKC and case folding are one name', () => {
  expect(foldName('ＡＬＩＣＥ')).toBe(foldName('alice'));
  expect(foldName('Zoe\u0308')).toBe(foldName('zoë'));
});

test('folding is idempotent for every name that is accepted', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 32 }), (typed) => {
      const check = checkName(typed);
      if (!check.ok) return;
      expect(foldName(foldName(check.name))).toBe(foldName(check.name));
      expect(checkName(check.name)).toEqual(check);
    }),
    { numRuns: 500 },
  );
});
