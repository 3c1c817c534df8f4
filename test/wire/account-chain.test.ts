import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AccountChain,
  type AccountStatement,
  applyStatement,
  type ChainCrypto,
  encodeStatement,
  foldAccountChain,
  offerToSign,
  type SignedStatement,
} from '../../src/wire/account-chain.ts';
import { encodeRegistration, statementToSign } from '../../src/wire/account-statement.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { accountIdOf, type DeviceId, deviceIdOf } from '../../src/wire/ids.ts';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());
const publicKey = (raw: Uint8Array) =>
  ({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(raw).toString('base64url') }, format: 'jwk' }) as const;
const crypto: ChainCrypto = {
  sha256,
  verify: (key, message, signature) => verify(null, message, publicKey(key), signature),
};

interface Keys {
  readonly key: Uint8Array;
  readonly id: DeviceId;
  readonly sign: (bytes: Uint8Array) => Uint8Array;
}
function makeKeys(): Keys {
  const pair: { publicKey: KeyObject; privateKey: KeyObject } = generateKeyPairSync('ed25519');
  const key = new Uint8Array(pair.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
  return { key, id: deviceIdOf(key, sha256), sign: (bytes) => new Uint8Array(sign(null, bytes, pair.privateKey)) };
}
const deviceOf = (keys: Keys, label: string) => ({
  key: keys.key,
  label,
  signatureKeys: [new Uint8Array(randomBytes(32))],
});

const laptop = makeKeys();
const phone = makeKeys();
const recovery = makeKeys();
const stranger = makeKeys();
const registration = encodeRegistration({
  v: 1,
  type: 'register',
  domain: 'localhost',
  name: 'alice',
  device: deviceOf(laptop, 'laptop'),
  recoveryKey: recovery.key,
  time: 1,
  nonce: new Uint8Array(randomBytes(16)),
});
const registered: SignedStatement = { statement: registration, signature: laptop.sign(statementToSign(registration)) };
const account = accountIdOf(registration, sha256);

type AddDevice = Extract<AccountStatement, { type: 'add-device' }>;

function later(body: object, chain: SignedStatement[], by: Keys | 'recovery', consent?: Keys): SignedStatement {
  const signer = by === 'recovery' ? recovery : by;
  const previous = sha256(chain.at(-1)!.statement);
  const statement = encodeCbor({ v: 1, account, previous, by: by === 'recovery' ? by : by.id, time: 2, ...body });
  const signature = signer.sign(statementToSign(statement));
  return consent === undefined
    ? { statement, signature }
    : { statement, signature, countersignature: consent.sign(offerToSign(account, (body as AddDevice).device)) };
}
const addPhone = later({ type: 'add-device', device: deviceOf(phone, 'phone') }, [registered], laptop, phone);
const renamed = later({ type: 'rename', name: 'alicia' }, [registered, addPhone], phone);
const revoked = later({ type: 'revoke-device', device: laptop.id }, [registered, addPhone, renamed], phone);
const whole = [registered, addPhone, renamed, revoked];

async function fold(statements: readonly SignedStatement[]): Promise<AccountChain> {
  const step = await foldAccountChain(statements, crypto);
  if (!step.ok) throw new Error(step.reason);
  return step.chain;
}

test('a chain folds to its name, devices and head', async () => {
  const chain = await fold(whole);
  expect(chain).toMatchObject({ id: account, name: 'alicia', length: 4, head: sha256(revoked.statement) });
  expect(chain.devices.map(({ label, revoked: gone }) => [label, gone])).toEqual([
    ['laptop', true],
    ['phone', false],
  ]);
});

describe('S8: a new device needs the proof of a valid device or of the recovery key, and its own consent', () => {
  test('a device that a stranger signed for is refused', async () => {
    const ghost = later(
      { type: 'add-device', device: deviceOf(phone, 'ghost'), by: laptop.id },
      [registered],
      stranger,
      phone,
    );
    expect(await foldAccountChain([registered, ghost], crypto)).toMatchObject({ ok: false });
  });

  test('a device that has not countersigned is refused', async () => {
    const silent = { statement: addPhone.statement, signature: addPhone.signature };
    expect(await foldAccountChain([registered, silent], crypto)).toMatchObject({ ok: false });
  });

  test('the recovery key adds a device and revokes the lost one, and nothing else', async () => {
    const added = later({ type: 'add-device', device: deviceOf(phone, 'new') }, [registered], 'recovery', phone);
    const dropped = later({ type: 'revoke-device', device: laptop.id }, [registered, added], 'recovery');
    expect((await fold([registered, added, dropped])).devices.filter((device) => !device.revoked)).toHaveLength(1);
    const rename = later({ type: 'rename', name: 'mallory' }, [registered], 'recovery');
    expect(await foldAccountChain([registered, rename], crypto)).toMatchObject({ ok: false });
  });
});

test('a revoked device signs nothing any more, and the last device stays', async () => {
  const comeback = later({ type: 'rename', name: 'eve' }, whole, laptop);
  expect(await foldAccountChain([...whole, comeback], crypto)).toMatchObject({ ok: false });
  const last = later({ type: 'revoke-device', device: phone.id }, whole, phone);
  expect(await foldAccountChain([...whole, last], crypto)).toMatchObject({ ok: false });
});

test('statements left out, moved, repeated or taken from another account do not fold', async () => {
  for (const order of [[0, 2], [0, 1, 3], [1], [0, 1, 1], [0, 2, 1], [0, 1, 2, 3, 1], []]) {
    expect(
      await foldAccountChain(
        order.map((index) => whole[index]!),
        crypto,
      ),
      String(order),
    ).toMatchObject({ ok: false });
  }
});

test('change any byte of any statement or signature, and the chain does not fold to the same account', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(3),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      async (index, at, flip, inSignature) => {
        const changed = whole.map((signed) => ({
          ...signed,
          statement: signed.statement.slice(),
          signature: signed.signature.slice(),
        }));
        const bytes = inSignature ? changed[index]!.signature : changed[index]!.statement;
        bytes[at % bytes.length]! ^= flip;
        const step = await foldAccountChain(changed, crypto);
        return !step.ok;
      },
    ),
    { numRuns: 200 },
  );
});

test('hostile statements are refused, never thrown on, and leave the chain as it was', async () => {
  const chain = await fold(whole);
  const before = encodeCbor(chain);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (statement) => {
      const step = await applyStatement(chain, { statement, signature: new Uint8Array(64) }, crypto);
      return !step.ok && Buffer.compare(encodeCbor(chain), before) === 0;
    }),
  );
});

test('a statement encodes to the bytes that are hashed', () => {
  const statement = {
    v: 1,
    type: 'rename',
    account,
    previous: sha256(registration),
    by: laptop.id,
    time: 2,
    name: 'x',
  } as const;
  expect(encodeStatement(statement)).toEqual(encodeCbor(statement));
});
