import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { nodeSha256 } from '../mls/suite-node.ts';
import { openClientFolder } from './runner/folder.ts';
import {
  type LinkOptions,
  linkDevice,
  type NewDeviceOptions,
  type RecoveredAccount,
  recoverAccount,
} from './runner/new-device.ts';
import { type ConnectApi, LABEL_MAX_CHARACTERS } from './runner/start.ts';
import type { ClientStore } from './store/client-store.ts';
import { openStore } from './store/open-store.ts';
import { type AskSecret, unlockStore } from './store/store-folder.ts';
import { createHttpApi } from './transport/http-api.ts';
import { nodeHttp } from './transport/http-request.ts';

export interface NewDeviceFolder {
  /** Where the new device keeps everything; made when it is not there. */
  readonly dir: string;
  readonly server: string;
  /** Shown to others beside the device; the host's name by default. */
  readonly deviceLabel?: string;
  readonly signal: AbortSignal;
  /** Makes the store an encrypted one. */
  readonly encrypt?: boolean;
  readonly askSecret?: AskSecret;
}

/** `mlschat link`: see {@link linkDevice}. */
export function linkFolder(
  folder: NewDeviceFolder & Pick<LinkOptions, 'account' | 'long' | 'onOffer'>,
): Promise<string> {
  const { account, long = false, onOffer } = folder;
  const wanted = { account, long, onOffer };
  return inFolder(folder, (store, connect, options) => linkDevice(store, connect, { ...options, ...wanted }));
}

/** `mlschat recover`: see {@link recoverAccount}. */
export function recoverFolder(folder: NewDeviceFolder & { readonly code: string }): Promise<RecoveredAccount> {
  const { code } = folder;
  return inFolder(folder, (store, connect, options) => recoverAccount(store, connect, { ...options, code }));
}

async function inFolder<Result>(
  { dir, server, deviceLabel, signal, encrypt, askSecret: ask }: NewDeviceFolder,
  work: (store: ClientStore, connect: ConnectApi, options: NewDeviceOptions) => Promise<Result>,
): Promise<Result> {
  const folder = openClientFolder(dir);
  try {
    await using store = await openStore(folder.path, await unlockStore(folder.path, { encrypt, ask }));
    const random = { now: Date.now, randomBytes: (length: number) => new Uint8Array(randomBytes(length)) };
    const connect: ConnectApi = ({ id, sign }) =>
      createHttpApi({ server, device: id, sign, sha256: nodeSha256, platform: nodeHttp, ...random });
    const label = deviceLabel ?? hostname().slice(0, LABEL_MAX_CHARACTERS);
    return await work(store, connect, { ...random, label, server, signal });
  } finally {
    folder.close();
  }
}
