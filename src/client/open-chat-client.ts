import type { ChatClient } from './chat-client.ts';
import { openClientFolder } from './runner/folder.ts';
import type { StartOptions } from './runner/start.ts';
import { openWorkerClient } from './runner/worker-client.ts';

export interface OpenChatOptions {
  /** Where this client keeps everything; made when it is not there. One client a folder. */
  readonly dir: string;
  /** URL of the server. */
  readonly server: string;
  readonly userName: string;
  /** Shown to others beside the device; the host's name by default. */
  readonly deviceLabel?: string;
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
 * @throws ClientError `invalid-name`, `name-taken`, `other-user`, `folder-locked`, `unreachable`, `clock`,
 *   `incompatible-server`, `refused`, `storage`, `worker-failed`
 */
export async function openChatClient(options: OpenChatOptions): Promise<ChatClient> {
  const folder = openClientFolder(options.dir);
  try {
    const { inProcess, ...start } = options;
    const client = inProcess === true ? await startHere(start) : await openWorkerClient({ start });
    let closed: Promise<void> | undefined;
    // the folder is held until the store is let go of, whoever asks how often, and not longer when that fails
    return { ...client, close: () => (closed ??= client.close().finally(() => folder.close())) };
  } catch (error) {
    folder.close();
    throw error;
  }
}

/** Loaded only where it runs: with a worker, this thread needs neither the MLS library nor the store. */
async function startHere(options: StartOptions): Promise<ChatClient> {
  const { startClient } = await import('./runner/start.ts');
  return startClient(options);
}
