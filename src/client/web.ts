/** The package entry `mlsd/client` in browsers: what it is in Node, without folders, files and workers. See docs/CLIENT.md. */
import type { ChatClient } from './chat-client.ts';
import { ClientError } from './client-error.ts';
import type { RotationPolicy } from './engine/rotation.ts';
import { webPlatform } from './runner/platform-web.ts';
import { startConnected } from './runner/start-on.ts';
import type { ClientStore } from './store/client-store.ts';

export type * from './chat-client.ts';
export { ClientError, type ClientErrorCode } from './client-error.ts';
export type { ClientStore, RangeOptions, Write } from './store/client-store.ts';
export { createMemoryStore } from './store/memory-store.ts';

export interface OpenChatOverOptions {
  /** URL of the server: of the page's own origin. */
  readonly server: string;
  readonly userName: string;
  /** Shown to others beside the device; `browser` by default. */
  readonly deviceLabel?: string;
  /** When keys are renewed by themselves. */
  readonly rotation?: RotationPolicy;
}

/**
 * Opens a client over a store, as in Node. The caller sees to it that no other client uses the store; closing the client closes
 * it.
 *
 * @throws ClientError `invalid-name`, `name-taken`, `other-user`, `unreachable`, `clock`, `incompatible-server`, `refused`,
 *   `storage`, `unsupported`
 */
export async function openChatClientOver(store: ClientStore, options: OpenChatOverOptions): Promise<ChatClient> {
  const platform = await webPlatform().catch(async (error: unknown) => {
    await store.close();
    const needed = 'a client needs WebCrypto with Ed25519 and X25519: a current browser, and a page over HTTPS';
    throw new ClientError('unsupported', needed, error);
  });
  return startConnected(platform, store, options);
}
