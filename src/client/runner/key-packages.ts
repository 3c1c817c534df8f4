import { createKeyPackage } from '../../mls/session/key-package.ts';
import type { Suite } from '../../mls/suite.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import type { ClientId } from '../../wire/ids.ts';
import type { Me } from '../engine/types.ts';
import type { ClientStore, Write } from '../store/client-store.ts';
import { keys, rangeOf } from '../store/keys.ts';
import type { ServerApi } from '../transport/server-api.ts';
import type { Serial } from './serial.ts';

/** One-time packages that the server should have of this device. */
export const KEY_PACKAGE_STOCK = 50;
const REF_BYTES = 32;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Below the server's limit of 90 days, with room for the hour they are backdated by. */
export const KEY_PACKAGE_LIFETIME_MS = 84 * DAY_MS;
/** An invitation may be under way when its package expires. */
const EXPIRED_KEPT_MS = 14 * DAY_MS;

/** One that was left behind is published later only with this much of its life to come. */
const PUBLISHABLE_MS = KEY_PACKAGE_LIFETIME_MS / 2;

/** A key package with its secrets, as this device keeps it until an invitation uses it. */
export interface StoredKeyPackage {
  readonly ref: Uint8Array;
  readonly bytes: Uint8Array;
  readonly privateBytes: Uint8Array;
  readonly lastResort: boolean;
  /** Milliseconds since 1970. */
  readonly notAfter: number;
  /** The server has not answered yet whether it takes the package; absent afterwards. */
  readonly unpublished?: true;
}

export async function newKeyPackages(
  world: { readonly suite: Suite; readonly now: () => number },
  me: Me,
  wanted: { readonly oneTime: number | undefined; readonly lastResort: boolean },
): Promise<readonly StoredKeyPackage[]> {
  const count = (wanted.oneTime ?? KEY_PACKAGE_STOCK) + (wanted.lastResort ? 1 : 0);
  const made: StoredKeyPackage[] = [];
  for (let i = 0; i < count; i += 1) {
    const lastResort = wanted.lastResort && i === count - 1;
    const options = { identity: me.identity, keys: me.keys, now: world.now(), lifetimeMs: KEY_PACKAGE_LIFETIME_MS };
    made.push(await createKeyPackage(world.suite, { ...options, lastResort }));
  }
  return made;
}

export function keyPackageWrite(made: StoredKeyPackage): Write {
  return { key: keys.keyPackage(made.ref), value: encodeCbor(made) };
}

/** The first of these packages that this device has the secrets of. */
export async function findKeyPackage(
  store: ClientStore,
  refs: readonly Uint8Array[],
): Promise<StoredKeyPackage | undefined> {
  // a reference is a hash; a longer one, in a Welcome that somebody made up, is more than a store takes as a key
  const possible = refs.filter((ref) => ref.length === REF_BYTES);
  const values = await store.getMany(possible.map((ref) => keys.keyPackage(ref)));
  const value = values.find((found) => found !== undefined);
  return value === undefined ? undefined : (decodeCbor(value) as StoredKeyPackage);
}

/**
 * Brings the server's stock up to {@link KEY_PACKAGE_STOCK} and one last resort. The secrets are stored before the
 * packages leave. What an attempt without an answer has left behind goes out with the next one, so failing makes no more
 * of them; the server keeps no package twice.
 */
export async function refillKeyPackages(options: {
  readonly store: ClientStore;
  readonly api: ServerApi;
  readonly world: { readonly suite: Suite; readonly now: () => number };
  readonly me: Me;
  readonly newId: () => ClientId;
  /** The last resort was handed out: replace it (RFC 9420 §16.8). */
  readonly replaceLastResort: boolean;
  /** Invitations use packages up while others are being published. */
  readonly serial: Serial;
}): Promise<void> {
  const { store, api, world, me, serial } = options;
  const stock = await api.stock();
  const missing = Math.max(0, KEY_PACKAGE_STOCK - stock.available);
  // one that is not here, since a damaged store was repaired say, opens no invitation
  const lastResort = options.replaceLastResort || !stock.lastResort || !(await hasLastResort(store));
  if (missing === 0 && !lastResort) return;
  const left = await unpublishedPackages(store, world.now());
  const oneTime = left.filter((made) => !made.lastResort).slice(0, missing);
  const resort = left.filter((made) => made.lastResort && lastResort).slice(0, 1);
  const wanted = { oneTime: missing - oneTime.length, lastResort: lastResort && resort.length === 0 };
  const made = (await newKeyPackages(world, me, wanted)).map((one) => ({ ...one, unpublished: true }) as const);
  if (made.length > 0) await store.commit(made.map(keyPackageWrite));
  await store.durable();
  const packages = [...oneTime, ...resort, ...made];
  await api.publishKeyPackages(
    options.newId(),
    packages.map(({ bytes }) => bytes),
  );
  await serial.run(() => markPublished(store, packages));
}

async function hasLastResort(store: ClientStore): Promise<boolean> {
  const rows = await store.range(rangeOf('keyPackage'));
  return rows.some(([, value]) => (decodeCbor(value) as StoredKeyPackage).lastResort);
}

async function unpublishedPackages(store: ClientStore, now: number): Promise<readonly StoredKeyPackage[]> {
  const rows = await store.range(rangeOf('keyPackage'));
  return rows
    .map(([, value]) => decodeCbor(value) as StoredKeyPackage)
    .filter(({ unpublished, notAfter }) => unpublished === true && notAfter > now + PUBLISHABLE_MS);
}

/** An invitation may have used one up meanwhile: what is gone stays gone. */
async function markPublished(store: ClientStore, packages: readonly StoredKeyPackage[]): Promise<void> {
  const still = await store.getMany(packages.map(({ ref }) => keys.keyPackage(ref)));
  const present = packages.filter((_, i) => still[i] !== undefined);
  await store.commit(present.map(({ unpublished: _, ...published }) => keyPackageWrite(published)));
}

/**
 * One refill at a time; what is asked for meanwhile is one more after it. With the server away, every notice would
 * else be one more that tries, each with packages of its own.
 */
export function createRefiller(
  refill: (replaceLastResort: boolean) => Promise<void>,
): (replaceLastResort: boolean) => Promise<void> {
  let running: Promise<void> | undefined;
  let wanted: { readonly replaceLastResort: boolean } | undefined;
  const run = async (): Promise<void> => {
    try {
      while (wanted !== undefined) {
        const { replaceLastResort } = wanted;
        wanted = undefined;
        await refill(replaceLastResort);
      }
    } finally {
      running = undefined;
    }
  };
  return (replaceLastResort) => {
    wanted = { replaceLastResort: replaceLastResort || wanted?.replaceLastResort === true };
    running ??= run();
    return running;
  };
}

/** Packages of which this device has the secrets: what it can be invited with. */
export async function countKeyPackages(store: ClientStore): Promise<number> {
  return (await store.range(rangeOf('keyPackage'))).length;
}

/** Drops the secrets of packages that nobody can use any more. */
export async function dropExpiredKeyPackages(store: ClientStore, now: number): Promise<void> {
  const rows = await store.range(rangeOf('keyPackage'));
  const expired = rows.filter(([, value]) => (decodeCbor(value) as StoredKeyPackage).notAfter + EXPIRED_KEPT_MS < now);
  if (expired.length > 0) await store.commit(expired.map(([key]) => ({ key, value: undefined })));
}
