import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PADDED_MIN_BYTES, paddedLength } from '../../src/mls/encoding/padding.ts';
import { accountOf, formatIdentity, parseIdentity } from '../../src/mls/identity.ts';
import { isPatched } from '../../src/mls/library.ts';
import { decodeRoles, encodeRoles, isAdmin } from '../../src/mls/roles.ts';
import { encrypt } from '../../src/mls/session/message.ts';
import { createNodeSuite } from '../../src/mls/suite-node.ts';
import { concatBytes } from '../../src/wire/bytes.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { accountNamed, groupOf, mustReceive } from './support/people.ts';

const ID = 'a'.repeat(32);

test('an identity has exactly one spelling, and comes back from it', () => {
  for (const domain of ['localhost', 'chat.example', 'localhost:4000']) {
    const text = formatIdentity({ domain, account: ID, device: ID });
    expect(text).toBe(`mimi://${domain}/d/${ID}/${ID}`);
    expect(parseIdentity(text)).toEqual({ domain, account: ID, device: ID });
    expect(accountOf(text)).toBe(ID);
  }
  const others = [
    '',
    `mimi://localhost/d/${ID}`,
    `mimi://localhost/d/${ID}/${ID}/`,
    `mimi://localhost/d/${ID}/${ID}\n`,
    `MIMI://localhost/d/${ID}/${ID}`,
    `mimi://LOCALHOST/d/${ID}/${ID}`,
    `mimi://-a/d/${ID}/${ID}`,
    `mimi://a..b/d/${ID}/${ID}`,
    `mimi://localhost/u/${ID}/${ID}`,
    `mimi://localhost/d/${ID.toUpperCase()}/${ID}`,
    `mimi://localhost/d/${ID}/${ID.slice(1)}`,
    `mimi://${'a'.repeat(64)}/d/${ID}/${ID}`,
  ];
  for (const text of others) expect(parseIdentity(text), text).toBeUndefined();
  expect(() => formatIdentity({ domain: 'a b', account: ID, device: ID })).toThrow(RangeError);
  fc.assert(fc.property(fc.string(), (text) => parseIdentity(text) === undefined || text.startsWith('mimi://')));
});

test('roles have one encoding, and anything else is no roles', () => {
  const admins = [accountNamed('bob'), accountNamed('alice')];
  const bytes = encodeRoles({ admins, invite: 'members', join: 'open' });
  const roles = decodeRoles(bytes)!;
  expect(roles).toEqual({ admins: [...admins].sort(), invite: 'members', join: 'open' });
  expect(isAdmin(roles, admins[0]!)).toBe(true);
  expect(isAdmin(roles, ID)).toBe(false);
  const sorted = [...admins].sort();
  const wrong: unknown[] = [
    null,
    [],
    { admins: [], invite: 'admins', join: 'invite' },
    { admins: [...sorted].reverse(), invite: 'admins', join: 'invite' },
    { admins: [sorted[0], sorted[0]], invite: 'admins', join: 'invite' },
    { admins: ['x'], invite: 'admins', join: 'invite' },
    { admins: sorted, invite: 'nobody', join: 'invite' },
    { admins: sorted, invite: 'admins', join: 'closed' },
    { admins: sorted, invite: 'admins' },
    { admins: sorted, invite: 'admins', join: 'invite', more: 1 },
  ];
  for (const value of wrong) expect(decodeRoles(encodeCbor(value))).toBeUndefined();
  expect(decodeRoles(concatBytes(bytes, Uint8Array.of(0)))).toBeUndefined();
  expect(() => encodeRoles({ admins: [], invite: 'admins', join: 'invite' })).toThrow(RangeError);
  fc.assert(fc.property(fc.uint8Array(), (random) => decodeRoles(random) === undefined));
});

test('a message shows a bucket of lengths, at most an eighth longer than its text, and is read without its padding', async () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.nat(50), (length, more) => {
      const padded = paddedLength(length);
      expect(padded).toBeGreaterThanOrEqual(Math.max(length + 70, PADDED_MIN_BYTES));
      expect(padded).toBeLessThanOrEqual(Math.max(PADDED_MIN_BYTES, (length + 70) * 1.125 + 1));
      expect(paddedLength(length + more)).toBeGreaterThanOrEqual(padded);
    }),
  );
  const suite = createNodeSuite();
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const nothing = new Uint8Array(0);
  const lengths: number[] = [];
  for (const length of [0, 1, 100, 186]) {
    const text = new Uint8Array(length).fill(7);
    const { message } = await encrypt(suite, states[0]!, text, nothing);
    lengths.push(message.length);
    expect((await mustReceive(suite, states[1]!, message, 'message')).plaintext).toEqual(text);
  }
  expect(new Set(lengths).size).toBe(1);
});

test('the installed library carries our patch', () => {
  expect(isPatched()).toBe(true);
});
