import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { auditFolder } from '../../../src/client/open-audit.ts';
import { type OpenChatOptions, openChatClient } from '../../../src/client/open-chat-client.ts';
import type { AskSecret } from '../../../src/client/store/store-folder.ts';
import { toUtf8 } from '../../../src/wire/bytes.ts';
import { startServer } from '../../support/server.ts';

const WAIT_MS = 240_000;
const TEXT = 'the kettle is on';
const secret =
  (text: string): AskSecret =>
  async () =>
    toUtf8(text);

test('S7: a client in an encrypted folder talks, comes back by its passphrase alone, and never shows a text in its file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'encrypted-'));
  await using server = await startServer();
  const dir = join(folder, 'alice');
  const options: OpenChatOptions = { dir, server: server.url(), userName: 'alice' };
  const first = await openChatClient({ ...options, encrypt: true, askSecret: secret('sesame') });
  const opened = await first.openGroup('tea');
  if (opened.kind !== 'created') throw new Error(opened.kind);
  await first.send(opened.group, TEXT);
  expect(await first.flushed(WAIT_MS)).toBe(0);
  await first.caughtUp(WAIT_MS);
  await first.close();

  await expect(openChatClient(options)).rejects.toMatchObject({ code: 'passphrase' });
  await expect(openChatClient({ ...options, askSecret: secret('guess') })).rejects.toMatchObject({
    code: 'passphrase',
  });
  await expect(auditFolder(dir)).rejects.toMatchObject({ code: 'passphrase' });
  // a refusal lets go of the folder, and the engine in its worker reads what was written
  const again = await openChatClient({ ...options, askSecret: secret('sesame') });
  expect(await again.recent(opened.group, 1)).toMatchObject([{ kind: 'message', text: TEXT, own: true }]);
  await again.close();
  expect(readFileSync(join(dir, 'store/data.mdb')).includes(TEXT)).toBe(false);
  expect((await auditFolder(dir, secret('sesame'))).findings).toEqual([]);
  rmSync(folder, { recursive: true, force: true });
});
