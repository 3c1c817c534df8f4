import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { ChatClient } from '../../src/client/chat-client.ts';
import { openChatClient } from '../../src/client/open-chat-client.ts';
import { linkFolder } from '../../src/client/open-new-device.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { startServer, type TestServer } from './server.ts';

const WAIT_MS = 240_000;

/** One real server for the tests of a file, and real clients with a folder each; what a test leaves open is closed after it. */
export function useChats(): {
  readonly server: () => TestServer;
  /** A client's folder. */
  readonly folderOf: (dir: string) => string;
  /** Starts a client, in a folder of its name unless told otherwise; its device is called `DIR's`. */
  start(userName: string, dir?: string): Promise<ChatClient>;
  stop(chat: ChatClient): Promise<void>;
  /** Makes an empty folder a further device of this account, which is called like the folder. */
  link(chat: ChatClient, dir: string): Promise<void>;
  /** Makes a group. */
  created(chat: ChatClient, name: string): Promise<GroupId>;
} {
  let server: TestServer;
  let folder: string;
  const open = new Set<ChatClient>();
  beforeAll(async () => {
    server = await startServer();
    folder = await mkdtemp(join(tmpdir(), 'mlschat-chats-'));
  });
  afterEach(async () => {
    await Promise.all([...open].map((chat) => chat.close()));
    open.clear();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  const folderOf = (dir: string): string => join(folder, dir);
  return {
    server: () => server,
    folderOf,
    async start(userName, dir = userName) {
      const place = { dir: folderOf(dir), server: server.url(), deviceLabel: `${dir}'s` };
      const chat = await openChatClient({ ...place, userName, inProcess: true });
      open.add(chat);
      return chat;
    },
    async stop(chat) {
      open.delete(chat);
      await chat.close();
    },
    async link(chat, dir) {
      const { account } = (await chat.status()).me;
      let offered: (code: string) => void = () => {};
      const offer = new Promise<string>((resolve) => {
        offered = resolve;
      });
      const place = { dir: folderOf(dir), server: server.url(), deviceLabel: dir };
      const linked = linkFolder({ ...place, account, signal: AbortSignal.timeout(WAIT_MS), onOffer: offered });
      expect(await chat.link(await Promise.race([offer, linked]))).toEqual({ kind: 'done' });
      await linked;
    },
    async created(chat, name) {
      const opened = await chat.openGroup(name);
      if (opened.kind !== 'created') throw new Error(opened.kind);
      return opened.group;
    },
  };
}
