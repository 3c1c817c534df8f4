import { createHash, generateKeyPairSync, sign, verify } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toUtf8 } from '../../src/wire/bytes.ts';
import {
  contentDigest,
  parseSignature,
  signatureBase,
  signatureParams,
  signRequest,
} from '../../src/wire/http-signature.ts';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const body = toUtf8('{"hello": "world"}');
const request = {
  method: 'POST',
  authority: 'chat.example:4000',
  path: '/v1/groups/abc/messages',
  query: '?',
  contentDigest: contentDigest(body, sha256),
};
const parameters = {
  created: 1_790_000_000,
  nonce: 'abcdefghijklmnopqrstuv',
  keyid: 'a'.repeat(32),
  alg: 'ed25519',
} as const;

test("a content digest is RFC 9530's", () => {
  expect(request.contentDigest).toBe('sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:');
});

test('a signed request parses back and verifies', async () => {
  const headers = await signRequest(request, parameters, (base) => sign(null, base, privateKey));
  const parsed = parseSignature(headers['signature-input']!, headers['signature']!);
  expect(parsed).toMatchObject({ parameters, coversBody: true });
  expect(verify(null, signatureBase(request, parsed!.params), publicKey, parsed!.signature)).toBe(true);
});

test('an Idempotency-Key is covered where there is one', async () => {
  const keyed = { ...request, idempotencyKey: 'k'.repeat(22) };
  const headers = await signRequest(keyed, parameters, (base) => sign(null, base, privateKey));
  const { coversKey, params, signature } = parseSignature(headers['signature-input']!, headers['signature']!)!;
  expect(coversKey).toBe(true);
  expect(verify(null, signatureBase(keyed, params), publicKey, signature)).toBe(true);
  expect(verify(null, signatureBase({ ...keyed, idempotencyKey: 'l'.repeat(22) }, params), publicKey, signature)).toBe(
    false,
  );
});

test('change any byte of what is covered, and the signature is refused', async () => {
  const params = signatureParams(parameters, true);
  const base = signatureBase(request, params);
  const signature = sign(null, base, privateKey);
  fc.assert(
    fc.property(fc.nat(base.length - 1), fc.integer({ min: 1, max: 255 }), (index, flip) => {
      const changed = base.slice();
      changed[index]! ^= flip;
      return !verify(null, changed, publicKey, signature);
    }),
  );
});

test('only the one form is taken: another order, label, tag, algorithm or a missing parameter is not a signature', async () => {
  const headers = await signRequest(request, parameters, (base) => sign(null, base, privateKey));
  const input = headers['signature-input']!;
  const signature = headers['signature']!;
  const broken = [
    input.replace('sig1=', 'sig2='),
    input.replace('"@method" "@authority"', '"@authority" "@method"'),
    input.replace(' "@query"', ''),
    input.replace('ed25519', 'rsa-v1_5-sha256'),
    input.replace('tag="mlsd"', 'tag="other"'),
    input.replace(/;nonce="[^"]*"/, ''),
    input.replace(/;created=\d+/, ''),
    `${input};expires=1`,
    `${input}, sig2=()`,
    ` ${input}`,
  ];
  for (const text of broken) expect(parseSignature(text, signature), text).toBeUndefined();
  for (const text of [
    '',
    'sig1=::',
    signature.slice(0, -1),
    signature.replace('sig1', 'sig2'),
    `${signature}, sig2=:AA==:`,
    `sig1=:${'A'.repeat(43)}=:`, // as long as an HMAC, and said to be Ed25519
  ]) {
    expect(parseSignature(input, text), text).toBeUndefined();
  }
});
