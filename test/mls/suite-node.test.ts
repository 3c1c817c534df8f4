import fc from 'fast-check';
import { getCiphersuiteFromName, getCiphersuiteImpl } from 'ts-mls';
import { expect, test } from 'vitest';
import { createKeyAgreement } from '../../src/mls/key-agreement-node.ts';
import { createKeyAgreement as createWebKeyAgreement } from '../../src/mls/key-agreement-web.ts';
import { createCommit } from '../../src/mls/session/commit.ts';
import { encrypt } from '../../src/mls/session/message.ts';
import { epochAuthenticatorOf } from '../../src/mls/session/state.ts';
import { BASE_SUITE, type SuiteName } from '../../src/mls/suite.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import { createWebSuite, webSha256 } from '../../src/mls/suite-web.ts';
import { fromUtf8, toHex, toUtf8 } from '../../src/wire/bytes.ts';
import { founded, mustJoin, mustReceive, NOW, packageOf, person } from './support/people.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });

test('hash, MAC, HKDF and AEAD give the bytes that the library’s WebCrypto suite gives', async () => {
  const ours = createNodeSuite();
  const theirs = await getCiphersuiteImpl(getCiphersuiteFromName(BASE_SUITE));
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 }); // theirs takes no other salt
  await fc.assert(
    fc.asyncProperty(key, bytes(200), fc.integer({ min: 1, max: 100 }), async (secret, data, length) => {
      expect(await ours.hash.digest(data)).toEqual(await theirs.hash.digest(data));
      expect(await ours.hash.mac(secret, data)).toEqual(await theirs.hash.mac(secret, data));
      expect(await ours.kdf.extract(secret, data)).toEqual(await theirs.kdf.extract(secret, data));
      const prk = await ours.kdf.extract(secret, data);
      expect(await ours.kdf.expand(prk, data, length)).toEqual(await theirs.kdf.expand(prk, data, length));
      const [aeadKey, nonce] = [prk.slice(0, ours.hpke.keyLength), prk.slice(0, ours.hpke.nonceLength)];
      const sealed = await ours.hpke.encryptAead(aeadKey, nonce, data, secret);
      expect(sealed).toEqual(await theirs.hpke.encryptAead(aeadKey, nonce, data, secret));
      expect(await ours.hpke.decryptAead(aeadKey, nonce, data, sealed)).toEqual(secret);
    }),
    { numRuns: 40 },
  );
});

test('HPKE and signatures work in both directions between our suite and the library’s', async () => {
  const ours = createNodeSuite();
  const theirs = await getCiphersuiteImpl(getCiphersuiteFromName(BASE_SUITE));
  const [info, aad, text] = [toUtf8('info'), toUtf8('aad'), toUtf8('text')];
  for (const [from, to] of [
    [ours, theirs],
    [theirs, ours],
  ] as const) {
    const { privateKey, publicKey } = await to.hpke.deriveKeyPair(nodeSha256(text));
    const raw = await to.hpke.exportPublicKey(publicKey);
    const same = await from.hpke.deriveKeyPair(nodeSha256(text));
    expect(await from.hpke.exportPublicKey(same.publicKey)).toEqual(raw);
    const sealed = await from.hpke.seal(await from.hpke.importPublicKey(raw), text, info, aad);
    expect(await to.hpke.open(privateKey, sealed.enc, sealed.ct, info, aad)).toEqual(text);
    const exported = await from.hpke.exportSecret(await from.hpke.importPublicKey(raw), aad, 32, info);
    expect(await to.hpke.importSecret(privateKey, aad, exported.enc, 32, info)).toEqual(exported.secret);

    const keys = await from.signature.keygen();
    const signature = await to.signature.sign(keys.signKey, text);
    expect(signature).toEqual(await from.signature.sign(keys.signKey, text)); // Ed25519 is deterministic
    expect(await from.signature.verify(keys.publicKey, text, signature)).toBe(true);
    expect(await to.signature.verify(keys.publicKey, info, signature)).toBe(false);
  }
});

test.each<SuiteName>([BASE_SUITE, 'MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519'])(
  'members on our suite and on the library’s are one group (%s)',
  async (name) => {
    const ours = createNodeSuite(name);
    const theirs = name === BASE_SUITE ? await createWebSuite() : createNodeSuite(name);
    const [alice, bob] = [await person(ours, 'alice'), await person(theirs, 'bob')];
    const { state } = await founded(ours, alice);
    const own = await packageOf(theirs, bob);
    const options = { inlineTree: true, groupInfoTree: false, now: NOW };
    const added = await createCommit(ours, state, { add: [own.bytes], ...options });
    const joined = await mustJoin(theirs, added.welcome!, own);
    const rotated = await createCommit(theirs, joined, options);
    const seen = await mustReceive(ours, added.next, rotated.commit, 'commit');
    expect(toHex(epochAuthenticatorOf(seen.state))).toBe(toHex(epochAuthenticatorOf(rotated.next)));
    const sent = await encrypt(ours, seen.state, toUtf8('hello'), new Uint8Array(0));
    expect(fromUtf8((await mustReceive(theirs, rotated.next, sent.message, 'message')).plaintext)).toBe('hello');
  },
);

test('keys of the wrong length, small-order points and short ciphertexts are refused', async () => {
  const { hpke, signature } = createNodeSuite();
  await expect(hpke.importPublicKey(new Uint8Array(31))).rejects.toThrow();
  await expect(hpke.importPrivateKey(new Uint8Array(33))).rejects.toThrow();
  const zero = await hpke.importPublicKey(new Uint8Array(32));
  await expect(hpke.seal(zero, toUtf8('text'), toUtf8('info'))).rejects.toThrow();
  const key = new Uint8Array(16);
  await expect(hpke.decryptAead(key, new Uint8Array(12), undefined, new Uint8Array(15))).rejects.toThrow();
  await expect(signature.sign(new Uint8Array(48), toUtf8('text'))).rejects.toMatchObject({ code: 'invalid-argument' });
  expect(await signature.verify(new Uint8Array(31), toUtf8('text'), new Uint8Array(64))).toBe(false);
});

test('the suite of browsers hashes, and gives a seed its public key, as the one of Node does', async () => {
  const [ours, theirs] = [createNodeSuite(), await createWebSuite()];
  const seed = new Uint8Array(32).fill(7);
  expect(toHex(await theirs.publicKeyOf(seed))).toBe(toHex(await ours.publicKeyOf(seed)));
  expect(toHex(webSha256(seed))).toBe(toHex(nodeSha256(seed)));
  await expect(theirs.publicKeyOf(new Uint8Array(31))).rejects.toThrow();
  const [here, there] = [createKeyAgreement(), await createWebKeyAgreement()];
  expect(toHex((await there.agree(here.publicKey))!)).toBe(toHex(here.agree(there.publicKey)!));
  expect(await there.agree(new Uint8Array(32))).toBeUndefined();
  expect(await there.agree(new Uint8Array(31))).toBeUndefined();
});
