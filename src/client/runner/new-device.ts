import { formatIdentity } from '../../mls/identity.ts';
import { generateSignatureKeys } from '../../mls/session/key-package.ts';
import { createNodeSuite, nodeSha256 } from '../../mls/suite-node.ts';
import { encodeStatement, offerToSign } from '../../wire/account-chain.ts';
import { type RegistrationStatement, statementToSign } from '../../wire/account-statement.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { DeviceOffer } from '../../wire/device-offer.ts';
import { type AccountId, deviceIdOf, newClientId } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import { parseRecoveryCode, recoverySeed } from '../../wire/recovery-code.ts';
import { ClientError } from '../client-error.ts';
import { alarmText, chainOf, checkAccount } from '../engine/account-check.ts';
import { chainCryptoOf } from '../engine/account-entry.ts';
import type { KnownAccount } from '../engine/directory.ts';
import type { ClientStore } from '../store/client-store.ts';
import { pinServerKey } from '../store/receipt-rows.ts';
import type { ServerApi } from '../transport/server-api.ts';
import { accountWrite } from './accounts.ts';
import { asClientError, isPassing } from './failures.ts';
import { forget, type IdentityWorld, identityWrite, loadIdentity, meOf, type StoredIdentity } from './identity.ts';
import { keyPackageWrite, newKeyPackages } from './key-packages.ts';
import { openLocalClient } from './local-client.ts';
import { createOfferBoard } from './offer-board.ts';
import type { JoinedGroup } from './own-groups.ts';
import { pause } from './retry.ts';
import type { ConnectApi } from './start.ts';

/** How long a new device waits to be taken into its account, and how often it looks. */
const LINK_WAIT_MS = 30 * 60_000;
const LINK_LOOK_MS = 2_000;
/** How often a recovery is tried again because the account changed meanwhile. */
const RECOVERY_ATTEMPTS_MAX = 5;
const CATCH_UP_TIMEOUT_MS = 60_000;

export interface NewDeviceOptions extends Omit<IdentityWorld, 'suite' | 'sha256'> {
  /** Shown to others beside the device. */
  readonly label: string;
  /** Where the server is, for people. */
  readonly server: string;
  readonly signal: AbortSignal;
}

interface Joining {
  readonly identity: StoredIdentity;
  readonly described: RegistrationStatement['device'];
  readonly api: ServerApi;
  /** The account as the server has it now, verified. */
  look(): Promise<KnownAccount>;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

export interface LinkOptions extends NewDeviceOptions {
  /** Typed by the person, and so not for the server to choose. */
  readonly account: AccountId;
  /** The whole offer in the code, nothing on the server. */
  readonly long?: boolean;
  /** What is to be typed on the other device. */
  readonly onOffer: (code: string) => void;
}

/**
 * Makes this folder's device part of an account that another device is in: leaves an offer on the server, shows its code, and
 * waits until that device has signed for it. Where the server keeps no offers the code holds the offer itself. Begun again
 * after an interruption, it shows the same code.
 *
 * @returns the user name
 * @throws ClientError `refused`, `unreachable`, `timeout`, `storage`
 */
export async function linkDevice(store: ClientStore, connect: ConnectApi, options: LinkOptions): Promise<string> {
  const { account, signal } = options;
  return joining(store, connect, { ...options, awaiting: 'link' }, async (joined) => {
    const { identity, described, sign, api } = joined;
    const countersignature = await sign(offerToSign(account, described));
    const offer: DeviceOffer = { account, device: described, countersignature };
    const board = createOfferBoard({ api, offer, sha256: nodeSha256, long: options.long === true });
    const deadline = performance.now() + LINK_WAIT_MS;
    for (let isShown = false; ; ) {
      const known = await joined.look().catch((error: unknown) => {
        if (isPassing(error)) return undefined;
        throw error;
      });
      if (known !== undefined && isIn(known, identity)) {
        await finish(store, identity, known);
        return known.name;
      }
      if (isShown) await board.renew();
      else options.onOffer(await board.put());
      isShown = true;
      if (signal.aborted) throw new ClientError('closed', 'interrupted; the same command goes on with the same code');
      if (performance.now() > deadline) throw new ClientError('timeout', 'nobody has added this device; start again');
      await pause(LINK_LOOK_MS, signal);
    }
  });
}

export interface RecoveredAccount {
  readonly name: string;
  readonly groups: readonly JoinedGroup[];
  /** Labels of the devices that were ended. */
  readonly revoked: readonly string[];
}

/**
 * Gets an account back with its recovery code alone: this folder's device is added, joins the account's groups, and then ends
 * all other devices of the account. In this order, because a group that has none of its devices any more could only be
 * joined by invitation.
 *
 * @throws ClientError `refused`, `unreachable`, `timeout`, `storage`
 */
export async function recoverAccount(
  store: ClientStore,
  connect: ConnectApi,
  options: NewDeviceOptions & { readonly code: string },
): Promise<RecoveredAccount> {
  const code = parseRecoveryCode(options.code, nodeSha256);
  if (code === undefined) throw new ClientError('refused', 'this is no recovery code, or it has a slip in it');
  const { account } = code;
  const seed = recoverySeed(code.secret, nodeSha256);
  return joining(store, connect, { ...options, account, awaiting: 'recovery' }, async (joined) => {
    const known = await addByRecovery(store, joined, { ...options, account, seed });
    const identity = await finish(store, joined.identity, known);
    const { suite, sha256 } = cryptography();
    const client = await openLocalClient({
      ...options,
      store: { ...store, close: async () => {} },
      api: { ...joined.api, close: async () => {} },
      identity,
      suite,
      sha256,
      random: Math.random,
      monotonicMs: () => performance.now(),
      joinsAtStart: false,
    });
    try {
      await client.caughtUp(CATCH_UP_TIMEOUT_MS);
      const groups = await client.joinOwnGroups();
      const others = (await client.devices()).filter(({ me, revoked }) => !me && !revoked);
      for (const { device } of others) {
        const done = await client.revoke(device);
        if (done.kind === 'refused') throw new ClientError('refused', done.reason);
      }
      await client.caughtUp(CATCH_UP_TIMEOUT_MS);
      return { name: known.name, groups, revoked: others.map(({ label }) => label) };
    } finally {
      await client.close();
    }
  });
}

async function addByRecovery(
  store: ClientStore,
  { identity, described, api, look, sign }: Joining,
  options: NewDeviceOptions & { readonly account: AccountId; readonly seed: Uint8Array },
): Promise<KnownAccount> {
  const { account, seed, now, randomBytes } = options;
  const { suite, sha256 } = cryptography();
  for (let attempt = 1; ; attempt += 1) {
    const known = await look();
    if (isIn(known, identity)) return known;
    const chain = chainOf(known.statements, sha256);
    if (chain?.recoveryKey === undefined || !equalBytes(chain.recoveryKey, await suite.publicKeyOf(seed))) {
      throw new ClientError('refused', 'this recovery code is not the one of the account it names');
    }
    const packages = await newKeyPackages({ suite, now }, meOf(identity), { oneTime: undefined, lastResort: true });
    await store.commit(packages.map(keyPackageWrite));
    await store.durable();
    const statement = encodeStatement({
      ...{ v: 1, type: 'add-device', account, previous: chain.head, by: 'recovery', time: now() },
      device: described,
    });
    const signature = await suite.signature.sign(seed, statementToSign(statement));
    const countersignature = await sign(offerToSign(account, described));
    const keyPackages = packages.map(({ bytes }) => bytes);
    try {
      const body = { statement, signature, countersignature, keyPackages };
      await api.recoverAccount(newClientId(now(), randomBytes), account, body);
    } catch (error) {
      const overtaken = error instanceof ProblemError && error.code === 'account-conflict';
      if (!overtaken || attempt >= RECOVERY_ATTEMPTS_MAX) throw asClientError(error, 'the recovery');
    }
  }
}

/** Makes or loads the device of this folder, and lends it to `work`. */
async function joining<Result>(
  store: ClientStore,
  connect: ConnectApi,
  options: NewDeviceOptions & { readonly account: AccountId; readonly awaiting: 'link' | 'recovery' },
  work: (joining: Joining) => Promise<Result>,
): Promise<Result> {
  const { suite, sha256 } = cryptography();
  let stored = await loadIdentity(store);
  if (stored?.turnedAway === true) {
    await forget(store);
    stored = undefined;
  }
  if (stored !== undefined && (stored.awaiting !== options.awaiting || stored.account !== options.account)) {
    const text = 'this folder belongs to another device already: give the new one a --config DIR of its own';
    throw new ClientError('refused', text);
  }
  const deviceKey = stored?.deviceKey ?? (await suite.signature.keygen());
  const sign = (message: Uint8Array): Promise<Uint8Array> => suite.signature.sign(deviceKey.signKey, message);
  const api = connect({ id: deviceIdOf(deviceKey.publicKey, sha256), sign });
  try {
    const { domain, serverKey } = await api.serverInfo().catch((error: unknown) => {
      throw asClientError(error, 'asking the server for its domain');
    });
    if (stored === undefined) await pinServerKey(store, serverKey);
    const look = async (): Promise<KnownAccount> => {
      const served = await api.account(options.account);
      if (served === undefined) throw new ClientError('refused', 'the server knows no such account');
      const check = await checkAccount(served, undefined, domain, chainCryptoOf({ suite, sha256 }));
      if (!check.ok) throw new ClientError('refused', alarmText(served.name, check.reason));
      if (check.account.id !== options.account) throw new ClientError('refused', 'the server shows another account');
      return check.account;
    };
    const known = await look().catch((error: unknown) => {
      throw asClientError(error, 'looking for the account');
    });
    const identity = stored ?? (await createDevice(store, { ...options, known, domain, deviceKey }));
    const described = { key: deviceKey.publicKey, label: identity.label ?? options.label };
    const signatureKeys = [identity.keys.signPublic];
    return await work({ identity, described: { ...described, signatureKeys }, api, look, sign });
  } finally {
    await api.close();
  }
}

async function createDevice(
  store: ClientStore,
  options: NewDeviceOptions & {
    readonly awaiting: 'link' | 'recovery';
    readonly known: KnownAccount;
    readonly domain: string;
    readonly deviceKey: StoredIdentity['deviceKey'];
  },
): Promise<StoredIdentity> {
  const { suite, sha256 } = cryptography();
  const { known, domain, awaiting, deviceKey, label } = options;
  const [first] = known.statements;
  if (first === undefined) throw new Error('a verified history is empty');
  const device = deviceIdOf(deviceKey.publicKey, sha256);
  formatIdentity({ domain, account: known.id, device }); // refuses what no credential could say
  const identity: StoredIdentity = {
    v: 1,
    domain,
    name: known.name,
    account: known.id,
    device,
    label,
    deviceKey: { publicKey: deviceKey.publicKey, signKey: deviceKey.signKey },
    keys: await generateSignatureKeys(suite),
    statement: first.statement,
    signature: first.signature,
    registration: null,
    awaiting,
  };
  await store.commit([identityWrite(identity)]);
  await store.durable();
  return identity;
}

async function finish(store: ClientStore, identity: StoredIdentity, known: KnownAccount): Promise<StoredIdentity> {
  const { awaiting: _awaiting, ...rest } = identity;
  const finished = { ...rest, name: known.name };
  await store.commit([identityWrite(finished), accountWrite(known)]);
  await store.durable();
  return finished;
}

function isIn(known: KnownAccount, { device, keys }: StoredIdentity): boolean {
  const found = known.devices.find(({ id }) => id === device);
  return found?.revoked === false && found.signatureKeys.some((key) => equalBytes(key, keys.signPublic));
}

function cryptography() {
  return { suite: createNodeSuite(), sha256: nodeSha256 };
}
