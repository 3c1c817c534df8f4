import type { ChatClient } from './chat-client.ts';
import type { RotationPolicy } from './engine/rotation.ts';
import { openClientFolder } from './runner/folder.ts';
import type { StartOptions } from './runner/start.ts';
import { openWorkerClient } from './runner/worker-client.ts';
import type { ClientStore } from './store/client-store.ts';
import { type AskSecret, unlockStore } from './store/store-folder.ts';

export interface OpenChatOptions {
  /** Where this client keeps everything; made when it is not there. One client a folder. */
  readonly dir: string;
  /** URL of the server. */
  readonly server: string;
  readonly userName: string;
  /** Shown to others beside the device; the host's name by default. */
  readonly deviceLabel?: string;
  /** When keys are renewed by themselves. */
  readonly rotation?: RotationPolicy;
  /** Makes the store of a new folder an encrypted one. */
  readonly encrypt?: boolean;
  /** Asked when the store is encrypted, or is to be. */
  readonly askSecret?: AskSecret;
  /** Runs the engine in this thread instead of a worker: for tests. */
  readonly inProcess?: boolean;
}

/**
 * Opens the client of a folder. The first time it makes the keys and registers the user name, for which the server has
 * to be there; later it is usable at once, online or not, with everything it had when it ended.
 *
 * @example
 *   const chat = await openChatClient({ dir: '/home/alice/.mlschat', server: 'http://localhost:4000', userName: 'alice' });
 *   const opened = await chat.openGroup('tea');
 *   if (opened.kind !== 'not-invited') await chat.send(opened.group, 'hello');
 *
 * @throws ClientError `invalid-name`, `name-taken`, `other-user`, `folder-locked`, `passphrase`, `unreachable`, `clock`,
 *   `incompatible-server`, `refused`, `storage`, `worker-failed`
 */
export async function openChatClient(options: OpenChatOptions): Promise<ChatClient> {
  const folder = openClientFolder(options.dir);
  try {
    const { inProcess, encrypt, askSecret, ...rest } = options;
    const dataKey = await unlockStore(options.dir, { encrypt, ask: askSecret });
    const start: StartOptions = { ...rest, ...(dataKey === undefined ? {} : { dataKey }) };
    const client = inProcess === true ? await startHere(start) : await openWorkerClient({ start });
    let closed: Promise<void> | undefined;
    // the folder is held until the store is let go of, whoever asks how often, and not longer when that fails
    return { ...client, close: () => (closed ??= client.close().finally(() => folder.close())) };
  } catch (error) {
    folder.close();
    throw error;
  }
}

/**
 * Opens a client over a store of the caller's, in this thread: a memory store for one that keeps nothing, or any other
 * {@link ClientStore}. The caller sees to it that no other client uses the store; closing the client closes it.
 *
 * @throws ClientError as {@link openChatClient}, without `folder-locked` and `passphrase`
 */
export async function openChatClientOver(
  store: ClientStore,
  options: Pick<OpenChatOptions, 'server' | 'userName' | 'deviceLabel' | 'rotation'>,
): Promise<ChatClient> {
  const { startWith } = await import('./runner/start.ts');
  return startWith(store, options);
}

/** Loaded only where it runs: with a worker, this thread needs neither the MLS library nor the store. */
async function startHere(options: StartOptions): Promise<ChatClient> {
  const { startClient } = await import('./runner/start.ts');
  return startClient(options);
}
