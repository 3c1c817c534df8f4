import { formatIdentity } from '../../mls/identity.ts';
import { generateSignatureKeys } from '../../mls/session/key-package.ts';
import type { Suite } from '../../mls/suite.ts';
import { encodeRegistration, statementToSign } from '../../wire/account-statement.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import {
  type AccountId,
  accountIdOf,
  type ClientId,
  type DeviceId,
  deviceIdOf,
  newClientId,
  type Sha256,
} from '../../wire/ids.ts';
import { checkName, foldName } from '../../wire/names.ts';
import { ProblemError } from '../../wire/problems.ts';
import { formatRecoveryCode, RECOVERY_SECRET_BYTES, recoverySeed } from '../../wire/recovery-code.ts';
import { ClientError } from '../client-error.ts';
import type { Me } from '../engine/types.ts';
import type { ClientStore, Write } from '../store/client-store.ts';
import { keys } from '../store/keys.ts';
import { recoveryCodeWrite } from '../store/recovery-rows.ts';
import type { ServerApi } from '../transport/server-api.ts';
import { asClientError } from './failures.ts';
import { keyPackageWrite, newKeyPackages } from './key-packages.ts';
import { pause } from './retry.ts';

/** Who this folder belongs to. Private keys are made here and never leave it. */
export interface StoredIdentity {
  readonly v: 1;
  readonly domain: string;
  readonly name: string;
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly deviceKey: { readonly publicKey: Uint8Array; readonly signKey: Uint8Array };
  readonly keys: Me['keys'];
  readonly statement: Uint8Array;
  readonly signature: Uint8Array;
  /** Of the registration; the same until it is answered. */
  readonly registration: { readonly key: ClientId; readonly keyPackages: readonly Uint8Array[] } | null;
  /**
   * The last answer to the registration was that the name is taken: the folder is free for another name. The keys stay until then, for a
   * copy of the request may be on its way, and be placed when the name is free again; an account must not be left without keys.
   */
  readonly turnedAway?: true;
  /** Of a device that was added later; others see it. */
  readonly label?: string;
  /** A device that is to be added to an account which is there already, until it is. */
  readonly awaiting?: 'link' | 'recovery';
}

export interface IdentityWorld {
  readonly suite: Suite;
  readonly sha256: Sha256;
  readonly now: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
}

export function meOf(identity: StoredIdentity): Me {
  const { account, device, name, domain } = identity;
  return { account, device, name, domain, identity: formatIdentity({ domain, account, device }), keys: identity.keys };
}

export async function loadIdentity(store: ClientStore): Promise<StoredIdentity | undefined> {
  const bytes = await store.get(keys.identity());
  return bytes === undefined ? undefined : (decodeCbor(bytes) as StoredIdentity);
}

/**
 * @param names every name that the account has had, newest last: whoever was renamed may come by the old one
 * @throws ClientError `other-user`, `invalid-name`, `refused` for a device that waits to be added
 */
export function checkOwner(identity: StoredIdentity | undefined, names: readonly string[], userName: string): string {
  const check = checkName(userName);
  if (!check.ok) throw new ClientError('invalid-name', `${userName} is not a user name: ${check.reason}`);
  if (identity === undefined || identity.turnedAway === true) return check.name;
  if (identity.awaiting !== undefined) {
    const command = identity.awaiting === 'link' ? `mlschat link ${identity.account}` : 'mlschat recover';
    throw new ClientError('refused', `this folder's device is not part of its account yet: run ${command} first`);
  }
  const own = [identity.name, ...names];
  if (own.every((name) => foldName(name) !== foldName(check.name))) {
    throw new ClientError('other-user', `this folder belongs to ${own.at(-1)}, not to ${check.name}`);
  }
  return check.name;
}

/**
 * Makes all keys, the statement and the first key packages, and stores them: nothing was sent yet. The recovery key is
 * made here as well; its code is stored until it was shown, and whoever gets it has to write it down.
 */
export async function createIdentity(
  store: ClientStore,
  world: IdentityWorld,
  wanted: { readonly name: string; readonly domain: string; readonly label: string },
): Promise<{ readonly identity: StoredIdentity }> {
  const { suite, sha256, now, randomBytes } = world;
  const secret = randomBytes(RECOVERY_SECRET_BYTES);
  const deviceKey = await suite.signature.keygen();
  const signatureKeys = await generateSignatureKeys(suite);
  const statement = encodeRegistration({
    v: 1,
    type: 'register',
    domain: wanted.domain,
    name: wanted.name,
    device: { key: deviceKey.publicKey, label: wanted.label, signatureKeys: [signatureKeys.signPublic] },
    recoveryKey: await suite.publicKeyOf(recoverySeed(secret, sha256)),
    time: now(),
    nonce: randomBytes(16),
  });
  const account = accountIdOf(statement, sha256);
  const device = deviceIdOf(deviceKey.publicKey, sha256);
  const base = {
    v: 1,
    domain: wanted.domain,
    name: wanted.name,
    account,
    device,
    deviceKey: { publicKey: deviceKey.publicKey, signKey: deviceKey.signKey },
    keys: signatureKeys,
    statement,
    signature: await suite.signature.sign(deviceKey.signKey, statementToSign(statement)),
  } as const;
  const packages = await newKeyPackages(world, meOf({ ...base, registration: null }), {
    oneTime: undefined,
    lastResort: true,
  });
  const registration = { key: newClientId(now(), randomBytes), keyPackages: packages.map((made) => made.bytes) };
  const identity: StoredIdentity = { ...base, registration };
  const code = formatRecoveryCode({ secret, account }, sha256);
  await store.commit([identityWrite(identity), recoveryCodeWrite(code), ...packages.map(keyPackageWrite)]);
  await store.durable();
  return { identity };
}

const REGISTER_ATTEMPTS_MAX = 8;

/**
 * Registers, or finishes a registration that was interrupted: the same statement under the same idempotency key.
 *
 * @throws ClientError `name-taken` (the same again may be taken later; for anything else, {@link forget} comes first), `unreachable`,
 *   `refused`
 */
export async function register(store: ClientStore, api: ServerApi, identity: StoredIdentity): Promise<StoredIdentity> {
  if (identity.registration === null) return identity;
  const { key, keyPackages } = identity.registration;
  const { statement, signature } = identity;
  const { turnedAway, ...asking } = identity;
  if (turnedAway === true) {
    // asked again it may be taken and the answer be lost: from here on the keys may be somebody's
    await store.commit([identityWrite(asking)]);
    await store.durable();
  }
  try {
    await patiently(() => api.register(key, { statement, signature, keyPackages }));
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'name-taken') {
      await store.commit([identityWrite({ ...asking, turnedAway: true })]);
      const text = `the name ${identity.name} is taken, and not by the keys of this folder`;
      throw new ClientError('name-taken', text, error);
    }
    throw asClientError(error, 'the registration');
  }
  const registered: StoredIdentity = { ...asking, registration: null };
  await store.commit([identityWrite(registered)]);
  return registered;
}

/** A busy server says when to come again; one that is not there is said at once. */
async function patiently(ask: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await ask();
      return;
    } catch (error) {
      const isBusy = error instanceof ProblemError && (error.code === 'not-ready' || error.code === 'rate-limited');
      if (!isBusy || attempt >= REGISTER_ATTEMPTS_MAX) throw error;
      await pause((error.retryAfterSeconds ?? 1) * 1000, new AbortController().signal);
    }
  }
}

/** Empties the store of a device that is nobody's. */
export async function forget(store: ClientStore): Promise<void> {
  const rows = await store.range({ from: Uint8Array.of(0), to: Uint8Array.of(255) });
  await store.commit(rows.map(([key]): Write => ({ key, value: undefined })));
}

export function identityWrite(identity: StoredIdentity): Write {
  return { key: keys.identity(), value: encodeCbor(identity) };
}
