import { expect, test } from 'vitest';
import type { ServerApi } from '../../../src/client/transport/server-api.ts';
import { type ConnectableServer, openChatter, overHttp } from '../../support/chat-clients.ts';
import { startServer } from '../../support/server.ts';

const WAIT_MS = 240_000;

test('a head is told where a device is shown the entry; before its invitation it hears that more comes later, and nothing behind the end', async () => {
  await using server = await startServer();
  const http = overHttp(server.url);
  let api: ServerApi | undefined;
  const seen: ConnectableServer = {
    connect: (device, sign) => {
      api = http.connect(device, sign);
      return api;
    },
  };
  const alice = await openChatter(http, 'alice');
  const bob = await openChatter(seen, 'bob');
  try {
    const opened = await alice.chat.openGroup('tea');
    if (opened.kind !== 'created') throw new Error(opened.kind);
    const { group } = opened;
    await alice.chat.send(group, 'before bob');
    await alice.chat.flushed(WAIT_MS);
    expect(await alice.chat.invite(group, ['bob'])).toEqual([{ name: 'bob', kind: 'done' }]);
    await bob.chat.caughtUp(WAIT_MS);
    const joinedAt = 3;
    expect(await api!.headAt(group, 1)).toBe('later');
    expect(await api!.headAt(group, joinedAt - 1)).toBe('later');
    expect(await api!.headAt(group, joinedAt)).toHaveLength(32);
    expect(await api!.headAt(group, joinedAt + 1)).toBeUndefined();
  } finally {
    await alice.stop();
    await bob.stop();
  }
});
