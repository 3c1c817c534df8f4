import type { ChatClient } from '../chat-client.ts';
import type { ClientStore } from '../store/client-store.ts';
import { openStore } from '../store/open-store.ts';
import type { ReadingProgress } from './entry-reader.ts';
import { nodePlatform } from './platform-node.ts';
import { type ConnectApi, type OverStoreOptions, startConnected, startOn } from './start-on.ts';

export { type ConnectApi, LABEL_MAX_CHARACTERS } from './start-on.ts';

/** What a client is started with; can cross a worker boundary. */
export interface StartOptions extends OverStoreOptions {
  /** Already locked by the caller. */
  readonly dir: string;
  /** Of an encrypted store. */
  readonly dataKey?: Uint8Array;
}

/** Opens the store in the folder, registers when that is still to be done, and starts the client in this thread. */
export async function startClient(options: StartOptions, progress?: ReadingProgress): Promise<ChatClient> {
  return startWith(await openStore(options.dir, options.dataKey), options, progress);
}

/** The same over any store. Closes it when it fails. */
export async function startWith(
  store: ClientStore,
  options: OverStoreOptions,
  progress?: ReadingProgress,
): Promise<ChatClient> {
  return startConnected(nodePlatform(), store, { ...options, ...(progress === undefined ? {} : { progress }) });
}

/** The same over any store and server. Closes the store when it fails. */
export async function startOver(
  store: ClientStore,
  connect: ConnectApi,
  options: OverStoreOptions & { readonly progress?: ReadingProgress; readonly random?: () => number },
): Promise<ChatClient> {
  return startOn(nodePlatform(), store, connect, options);
}
