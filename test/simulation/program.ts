import { ClientError } from '../../src/client/client-error.ts';
import { loadIdentity, register, type StoredIdentity } from '../../src/client/runner/identity.ts';
import { linkDevice } from '../../src/client/runner/new-device.ts';
import type { ClientStore } from '../../src/client/store/client-store.ts';
import type { ServerApi } from '../../src/client/transport/server-api.ts';

/**
 * What a program does before it can be used, as `mlschat` does it: finishes a registration, or waits until its device is
 * linked.
 *
 * @returns `undefined`: the name is somebody else's, and the keys were dropped
 * @throws ClientError `unreachable`, `clock`, `refused`, …: the same again later
 */
export async function readyIdentity(
  store: ClientStore,
  api: ServerApi,
  options: {
    readonly label: string;
    readonly signal: AbortSignal;
    readonly now: () => number;
    readonly randomBytes: (length: number) => Uint8Array;
    /** What another device of the account has to be shown. */
    readonly onOffer: (code: string) => void;
  },
): Promise<StoredIdentity | undefined> {
  let identity = await loadIdentity(store);
  if (identity === undefined) return undefined;
  if (identity.awaiting !== undefined) {
    await linkDevice(store, () => api, { ...options, account: identity.account, server: 'simulated' });
    identity = await loadIdentity(store);
    if (identity === undefined) throw new Error('a linked device forgot who it is');
  }
  try {
    return await register(store, api, identity);
  } catch (error) {
    if (error instanceof ClientError && error.code === 'name-taken') return undefined;
    throw error;
  }
}
