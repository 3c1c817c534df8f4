import { afterEach, expect, test } from 'vitest';
import { KEY_PACKAGE_STOCK } from '../../src/client/runner/key-packages.ts';
import { startOver } from '../../src/client/runner/start.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { loadServerKey } from '../../src/client/store/receipt-rows.ts';
import { type ServerApi, TransportError } from '../../src/client/transport/server-api.ts';
import { openChatter, type TestChatter } from '../support/chat-clients.ts';
import { createFakeServer, type FakeServer } from '../support/fake-server.ts';
import { until } from '../support/until.ts';

const open = new Set<{ close(): Promise<void> }>();
afterEach(async () => {
  await Promise.all([...open].map((each) => each.close()));
  open.clear();
});
const chatter = async (server: FakeServer, name: string): Promise<TestChatter> => {
  const made = await openChatter(server, name);
  open.add({ close: () => made.stop() });
  return made;
};

/** Somebody who keeps what a folder holds, and tries names with it; `late`: what was asked for, once more. */
function newcomer(server: Pick<FakeServer, 'connect'>) {
  const rows = new Map<string, Uint8Array>();
  let late: (() => Promise<unknown>) | undefined;
  const tries = async (userName: string) => {
    const connect: Parameters<typeof startOver>[1] = ({ id }): ServerApi => {
      const api = server.connect(id);
      return {
        ...api,
        register: (key, body) => {
          late = () => api.register(key, body);
          return api.register(key, body);
        },
      };
    };
    const chat = await startOver(createMemoryStore(rows), connect, { server: 'fake', userName });
    open.add(chat);
    return chat;
  };
  return { rows, tries, late: () => late?.() };
}

test('S3: a name that was taken is the folder’s once it is free, also when a late copy of the request has brought it', async () => {
  for (const isLate of [false, true]) {
    const server = createFakeServer();
    const holder = await chatter(server, 'eve');
    const { tries, late } = newcomer(server);
    await expect(tries('Eve')).rejects.toMatchObject({ code: 'name-taken' });
    await expect(tries('eve')).rejects.toMatchObject({ code: 'name-taken' });
    expect(await holder.chat.rename('zoe')).toEqual({ kind: 'done' });
    if (isLate) await late();
    const chat = await tries('eve');
    expect((await chat.status()).me.name).toBe('Eve');
    const opened = await chat.openGroup('tea');
    expect(opened.kind).toBe('created');
    await expect(newcomer(server).tries('eve')).rejects.toMatchObject({ code: 'name-taken' });
  }
});

test('S3: a folder whose name was taken is free for another one, and nothing of the first is left in it', async () => {
  const server = createFakeServer();
  await chatter(server, 'eve');
  const { rows, tries } = newcomer(server);
  await expect(tries('eve')).rejects.toMatchObject({ code: 'name-taken' });
  const before = new Map(rows);
  const chat = await tries('adam');
  expect((await chat.status()).me.name).toBe('adam');
  await chat.close();
  // all that stays is the server's key
  const kept = [...before].filter(([key, value]) => Buffer.from(rows.get(key) ?? []).equals(value));
  expect(kept).toHaveLength(1);
  await expect(tries('eve')).rejects.toMatchObject({ code: 'other-user' });
});

test('a folder that was turned away keeps the key of the server that it met, for that name and for another', async () => {
  const server = createFakeServer();
  await chatter(server, 'eve');
  const { rows, tries } = newcomer({
    connect: (device) => {
      const api = server.connect(device);
      return { ...api, serverInfo: async () => ({ ...(await api.serverInfo()), serverKey }) };
    },
  });
  let serverKey = new Uint8Array(32).fill(1);
  await expect(tries('eve')).rejects.toMatchObject({ code: 'name-taken' });
  serverKey = new Uint8Array(32).fill(2);
  await expect(tries('eve')).rejects.toMatchObject({ code: 'name-taken' });
  expect(await loadServerKey(createMemoryStore(rows))).toEqual(new Uint8Array(32).fill(1));
  await tries('adam');
  expect(await loadServerKey(createMemoryStore(rows))).toEqual(new Uint8Array(32).fill(1));
});

test('S3: a folder whose name was taken, and that has asked for it again without an answer, is not free for another one', async () => {
  const server = createFakeServer();
  const holder = await chatter(server, 'eve');
  let isLost = false;
  const lossy: Pick<FakeServer, 'connect'> = {
    connect: (device) => {
      const api = server.connect(device);
      return {
        ...api,
        register: async (key, body) => {
          const answer = await api.register(key, body);
          if (isLost) throw new TransportError('unreachable', 'the answer is lost');
          return answer;
        },
      };
    },
  };
  const { tries } = newcomer(lossy);
  await expect(tries('eve')).rejects.toMatchObject({ code: 'name-taken' });
  expect(await holder.chat.rename('zoe')).toEqual({ kind: 'done' });
  isLost = true;
  await expect(tries('eve')).rejects.toMatchObject({ code: 'unreachable' });
  isLost = false;
  await expect(tries('adam')).rejects.toMatchObject({ code: 'other-user' });
  expect((await (await tries('eve')).status()).me.name).toBe('eve');
});

test('S3: a folder whose name is still taken when it asks again stays free for another one', async () => {
  const server = createFakeServer();
  await chatter(server, 'eve');
  const { tries } = newcomer(server);
  await expect(tries('eve')).rejects.toMatchObject({ code: 'name-taken' });
  await expect(tries('eve')).rejects.toMatchObject({ code: 'name-taken' });
  expect((await (await tries('adam')).status()).me.name).toBe('adam');
});

test('S3: a folder that asks for its name again so late that its key packages are over has a whole stock soon after', async () => {
  const server = createFakeServer();
  const holder = await chatter(server, 'eve');
  let published = 0;
  const { tries } = newcomer({
    connect: (device) => {
      const api = server.connect(device);
      return {
        ...api,
        // a package that has expired is refused by itself, and keeps nobody out
        register: (key, body) => api.register(key, { ...body, keyPackages: [] }),
        publishKeyPackages: (key, packages) => {
          published += packages.length;
          return api.publishKeyPackages(key, packages);
        },
      };
    },
  });
  await expect(tries('eve')).rejects.toMatchObject({ code: 'name-taken' });
  expect(await holder.chat.rename('zoe')).toEqual({ kind: 'done' });
  const chat = await tries('eve');
  const { device } = (await chat.status()).me;
  await until(async () => (await server.connect(device).stock()).available === KEY_PACKAGE_STOCK);
  expect([published, (await server.connect(device).stock()).lastResort]).toEqual([KEY_PACKAGE_STOCK + 1, true]);
});
