import { type Capabilities, encodeMlsMessage, generateKeyPackageWithKey } from 'ts-mls';
import { expect, test } from 'vitest';
import { BACKDATE_MS, KEY_PACKAGE_LIFETIME_MAX_MS, ownCapabilities } from '../../src/mls/config.ts';
import { inspectMessage } from '../../src/mls/framing.ts';
import { keyPackageRef } from '../../src/mls/handshake.ts';
import { checkKeyPackage, type KeyPackageExpectations } from '../../src/mls/key-package-check.ts';
import { createCommit } from '../../src/mls/session/commit.ts';
import { createKeyPackage } from '../../src/mls/session/key-package.ts';
import { BASE_SUITE } from '../../src/mls/suite.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import { toUtf8 } from '../../src/wire/bytes.ts';
import { DAY, founded, identityNamed, NOW, packageOf, person } from './support/people.ts';

const suite = createNodeSuite();
const EXPECTED: KeyPackageExpectations = { now: NOW, maxLifetimeMs: KEY_PACKAGE_LIFETIME_MAX_MS };
const HOUR_S = 3600n;
const now = BigInt(NOW / 1000);

interface Change {
  readonly identity?: Uint8Array;
  readonly capabilities?: Partial<Capabilities>;
  readonly lifetime?: { notBefore: bigint; notAfter: bigint };
  readonly leafExtensions?: { extensionType: number; extensionData: Uint8Array }[];
}

async function changed(change: Change): Promise<Uint8Array> {
  const keys = await suite.signature.keygen();
  const { publicPackage: keyPackage } = await generateKeyPackageWithKey(
    { credentialType: 'basic', identity: change.identity ?? toUtf8(identityNamed('alice')) },
    { ...ownCapabilities(BASE_SUITE), ...change.capabilities },
    change.lifetime ?? { notBefore: now - HOUR_S, notAfter: now + 24n * HOUR_S },
    [],
    keys,
    suite,
    change.leafExtensions,
  );
  return encodeMlsMessage({ version: 'mls10', wireformat: 'mls_key_package', keyPackage });
}

test('a package as we make it is accepted, with its reference, owner, key and lifetime (D9)', async () => {
  const alice = await person(suite, 'alice');
  for (const lastResort of [false, true]) {
    const made = await packageOf(suite, alice, lastResort);
    const check = await checkKeyPackage(suite, made.bytes, {
      ...EXPECTED,
      expectedIdentity: alice.identity,
      allowedSignatureKeys: [new Uint8Array(32), alice.keys.signPublic],
    });
    expect(check).toEqual({
      kind: 'ok',
      ref: made.ref,
      identity: alice.identity,
      signatureKey: alice.keys.signPublic,
      encryptionKey: expect.any(Uint8Array),
      lastResort,
      notBefore: NOW - BACKDATE_MS,
      notAfter: made.notAfter,
    });
    expect(keyPackageRef(made.bytes, nodeSha256)).toEqual(made.ref);
    expect(inspectMessage(made.bytes)).toMatchObject({ kind: 'key-package', identity: alice.identity, lastResort });
  }
});

const refusals: [string, Change, Partial<KeyPackageExpectations>, string][] = [
  ['expired', { lifetime: { notBefore: now - 24n * HOUR_S, notAfter: now - 1n } }, {}, 'expired'],
  ['not valid yet', { lifetime: { notBefore: now + 1n, notAfter: now + HOUR_S } }, {}, 'not-yet-valid'],
  ['with a life of 10^11 years', { lifetime: { notBefore: 0n, notAfter: 2n ** 63n } }, {}, 'lifetime-too-long'],
  ['of somebody else', {}, { expectedIdentity: identityNamed('bob') }, 'wrong-identity'],
  ['under a key that was not registered', {}, { allowedSignatureKeys: [new Uint8Array(32)] }, 'unknown-signature-key'],
  ['with an identity that is no text', { identity: Uint8Array.of(0xff, 0xfe) }, {}, 'bad-credential'],
  ['that does not list its own suite', { capabilities: { ciphersuites: [] } }, {}, 'missing-capability'],
  ['that does not know our group extension', { capabilities: { extensions: [] } }, {}, 'missing-capability'],
  ['that does not list its credential type', { capabilities: { credentials: [] } }, {}, 'missing-capability'],
  [
    'with a leaf extension that it does not list',
    { leafExtensions: [{ extensionType: 0xf0ff, extensionData: new Uint8Array(0) }] },
    {},
    'unknown-extension',
  ],
];

test.each(refusals)('a package %s is refused (D9)', async (_, change, expected, reason) => {
  const bytes = await changed(change);
  expect(await checkKeyPackage(suite, bytes, { ...EXPECTED, ...expected })).toEqual({ kind: 'refused', reason });
});

test('a package of another suite, with one changed bit, or of another kind is refused (D9)', async () => {
  const { bytes } = await packageOf(suite, await person(suite, 'alice'));
  const chacha = createNodeSuite('MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519');
  expect(await checkKeyPackage(chacha, bytes, EXPECTED)).toEqual({ kind: 'refused', reason: 'wrong-suite' });
  const forged = bytes.slice();
  forged[forged.length - 1]! ^= 1;
  expect(await checkKeyPackage(suite, forged, EXPECTED)).toEqual({ kind: 'refused', reason: 'bad-signature' });
  const { groupInfo } = await founded(suite, await person(suite, 'bob'));
  expect(await checkKeyPackage(suite, groupInfo, EXPECTED)).toEqual({ kind: 'refused', reason: 'malformed' });
});

test('no commit adds a package that the check refuses, or a device twice (D10)', async () => {
  const alice = await person(suite, 'alice');
  const { state } = await founded(suite, alice);
  const options = { inlineTree: true, groupInfoTree: false, now: NOW };
  const add = async (...packages: Uint8Array[]) => createCommit(suite, state, { add: packages, ...options });
  const expired = await changed({
    identity: toUtf8(identityNamed('bob')),
    lifetime: { notBefore: now - 24n * HOUR_S, notAfter: now - 1n },
  });
  await expect(add(expired)).rejects.toMatchObject({ code: 'invalid-key-package' });
  const bob = await person(suite, 'bob');
  const [one, two] = [await packageOf(suite, bob), await packageOf(suite, bob)];
  await expect(add(one.bytes, two.bytes)).rejects.toMatchObject({ code: 'invalid-key-package' });
  await expect(add((await packageOf(suite, alice)).bytes)).rejects.toMatchObject({ code: 'invalid-key-package' });
  await expect(add(toUtf8('nonsense'))).rejects.toMatchObject({ code: 'invalid-key-package' });
});

test('a lifetime that is not positive or longer than 90 days is refused when a package is made', async () => {
  const alice = await person(suite, 'alice');
  const make = (lifetimeMs: number) =>
    createKeyPackage(suite, { identity: alice.identity, keys: alice.keys, now: NOW, lifetimeMs, lastResort: false });
  for (const lifetimeMs of [0, -1, Number.NaN, 90 * DAY]) {
    await expect(make(lifetimeMs)).rejects.toMatchObject({ code: 'invalid-argument' });
  }
  await make(90 * DAY - BACKDATE_MS);
});
