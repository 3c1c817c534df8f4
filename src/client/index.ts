/** The package entry `mlsd/client`: everything else of the package may change without notice. See docs/CLIENT.md. */
export type * from './chat-client.ts';
export { ClientError, type ClientErrorCode } from './client-error.ts';
export { type OpenChatOptions, openChatClient, openChatClientOver } from './open-chat-client.ts';
export type { ClientStore, RangeOptions, Write } from './store/client-store.ts';
export { openLmdbStore } from './store/lmdb-store.ts';
export { createMemoryStore } from './store/memory-store.ts';
export type { AskSecret } from './store/store-folder.ts';
