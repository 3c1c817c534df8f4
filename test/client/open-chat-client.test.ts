import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import type { ChatClient } from '../../src/client/chat-client.ts';
import { openChatClient } from '../../src/client/open-chat-client.ts';

let close: () => Promise<void>;
vi.mock('../../src/client/runner/start.ts', () => ({ startClient: async () => ({ close: () => close() }) }));

const folder = mkdtempSync(join(tmpdir(), 'open-chat-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  close = async () => {};
});
const open = (): Promise<ChatClient> =>
  openChatClient({ dir: folder, server: 'http://localhost', userName: 'alice', inProcess: true });

test('a client that fails to close lets go of its folder, and says that it failed', async () => {
  close = () => Promise.reject(new Error('the store did not close'));
  const chat = await open();
  await expect(open()).rejects.toMatchObject({ code: 'folder-locked' });
  await expect(chat.close()).rejects.toThrow('the store did not close');
  close = async () => {};
  await (await open()).close();
});

test('closing twice waits for the one close, and holds the folder until then', async () => {
  let closes = 0;
  let finish = (): void => {};
  close = () =>
    new Promise((resolve) => {
      closes += 1;
      finish = resolve;
    });
  const chat = await open();
  const both = Promise.all([chat.close(), chat.close()]);
  await expect(open()).rejects.toMatchObject({ code: 'folder-locked' });
  finish();
  await both;
  expect(closes).toBe(1);
  close = async () => {};
  await (await open()).close();
});
