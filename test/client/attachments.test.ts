import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HistoryLine } from '../../src/client/chat-client.ts';
import { encodeMimi, SALT_BYTES } from '../../src/client/content/mimi-content.ts';
import { type Attachment, decodeAttachment, encodeAttachment } from '../../src/client/engine/attachment.ts';
import { safeFileName, sizeText } from '../../src/client/engine/file-name.ts';
import { openChatClient } from '../../src/client/open-chat-client.ts';
import { dropStrayUploads } from '../../src/client/runner/attachments.ts';
import { keys, rangeOf } from '../../src/client/store/keys.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { TransportError } from '../../src/client/transport/server-api.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { fromBase64Url, toHex } from '../../src/wire/bytes.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { DEFAULT_LIMITS } from '../../src/wire/limits.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import { type ConnectableServer, overHttp, type TestChatter } from '../support/chat-clients.ts';
import { deviceOf, together, useChatters, WAIT_MS } from '../support/chatters.ts';
import { createFailingStore } from '../support/failing-store.ts';
import { createFakeServer } from '../support/fake-server.ts';
import { tempFolder } from '../support/nats.ts';
import { openTcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { useTestServer } from '../support/use-server.ts';

const server = useTestServer();
const real = overHttp(() => server().url());
const open = useChatters();

let count = 0;
function start(name: string, at: ConnectableServer = real): Promise<TestChatter> {
  count += 1;
  return open(at, `${name}${count}`);
}

async function pair(at?: ConnectableServer) {
  const [alice, bob] = [await start('alice', at), await start('bob', at)];
  return { alice, bob, group: await together([alice, bob], `files${count}`) };
}

type FileLine = HistoryLine & { readonly kind: 'message' };
async function filesOf(chatter: TestChatter, group: GroupId): Promise<FileLine[]> {
  const lines = await chatter.lines(group);
  return lines.filter((line): line is FileLine => line.kind === 'message' && line.file !== undefined);
}
async function nextFile(chatter: TestChatter, group: GroupId, known = 0): Promise<FileLine> {
  await until(async () => (await filesOf(chatter, group)).length > known);
  return (await filesOf(chatter, group)).at(-1)!;
}
/** As large as a file may be: the tag goes with it. */
const LARGE = DEFAULT_LIMITS.attachmentMaxBytes - 16;
const some = (size: number): Uint8Array => new Uint8Array(randomBytes(size));
const digest = (bytes: Uint8Array): string => toHex(nodeSha256(bytes));
const photo = (bytes: Uint8Array) => ({ name: '/home/alice/photo.jpg', mediaType: 'image/jpeg', bytes });

/** A fake server, with a hand in what it does with blobs. */
function crooked() {
  const fake = createFakeServer();
  const hand = { change: (blob: Uint8Array): Uint8Array => blob, put: (): void => {}, blobs: [] as Uint8Array[] };
  const at: ConnectableServer = {
    connect: (device) => {
      const api = fake.connect(device);
      return {
        ...api,
        putBlob: async (group, hash, blob) => {
          hand.put();
          hand.blobs.push(blob.slice());
          return api.putBlob(group, hash, blob);
        },
        blob: async (group, hash) => {
          const blob = await api.blob(group, hash);
          return blob === undefined ? undefined : hand.change(blob.slice());
        },
      };
    },
  };
  return { at, hand };
}

describe('a file', () => {
  test('goes through a real server to the members, whole, and shows who sent what', async () => {
    const { alice, bob, group } = await pair();
    const bytes = some(700_000);
    await alice.chat.sendFile(group, photo(bytes));
    expect(await alice.chat.flushed(WAIT_MS)).toBe(0);
    for (const reader of [alice, bob]) {
      const line = await nextFile(reader, group);
      expect(line).toMatchObject({
        text: 'sent a file: photo.jpg (700 kB)',
        own: reader === alice,
        file: { name: 'photo.jpg', mediaType: 'image/jpeg', size: 700_000 },
      });
      const fetched = await reader.chat.fetchFile(group, line.position!);
      if (fetched.kind !== 'done') throw new Error(fetched.reason);
      expect(fetched).toMatchObject({ name: 'photo.jpg', mediaType: 'image/jpeg' });
      expect(digest(fetched.bytes)).toBe(digest(bytes));
    }
    expect((await alice.chat.recent(group, 10)).filter(({ kind }) => kind === 'message')).toHaveLength(1);
    expect(await bob.chat.fetchFile(group, 1)).toMatchObject({ kind: 'refused' });
    expect([...alice.rows.keys()].some((key) => key.startsWith(toHex(Uint8Array.of(0x75))))).toBe(false);
  });

  test('S7: that is taken back can be opened by nobody any more: what opens it goes from every store', async () => {
    const { alice, bob, group } = await pair();
    await alice.chat.sendFile(group, photo(some(1_000)));
    const { messageId, position } = await nextFile(alice, group);
    await nextFile(bob, group);
    const keysOf = ({ rows }: TestChatter) => [...rows.keys()].filter((key) => key.startsWith('66'));
    for (const each of [alice, bob]) expect(keysOf(each)).toHaveLength(1);
    await alice.chat.send(group, '', { replaces: messageId!, deleted: true });
    for (const each of [alice, bob]) {
      await until(async () => keysOf(each).length === 0);
      expect(await each.chat.fetchFile(group, position!)).toMatchObject({ kind: 'refused' });
    }
  });

  test('goes through a client in its worker and a store on the disk, whose process ended before it was uploaded', async () => {
    await using folder = await tempFolder();
    await using proxy = await openTcpProxy(() => Number(new URL(server().url()).port));
    const at = { dir: join(folder.path, 'carol'), server: `http://127.0.0.1:${proxy.port}`, userName: `carol${count}` };
    const bytes = some(LARGE);
    const first = await openChatClient(at);
    const made = await first.openGroup(`worker${count}`);
    if (made.kind !== 'created') throw new Error(made.kind);
    const { group } = made;
    proxy.cut();
    await first.sendFile(group, photo(bytes));
    await first.close();
    proxy.mend();
    const again = await openChatClient(at);
    try {
      expect(await again.flushed(WAIT_MS)).toBe(0);
      let line: HistoryLine | undefined;
      await until(async () => {
        line = (await again.recent(group, 10)).find((each) => each.kind === 'message' && each.cursor !== undefined);
        return line !== undefined;
      });
      const fetched = await again.fetchFile(group, line!.position!);
      if (fetched.kind !== 'done') throw new Error(fetched.reason);
      expect(digest(fetched.bytes)).toBe(digest(bytes));
      expect(await again.fetchFile(group, line!.position! + 1)).toMatchObject({ kind: 'refused' });
    } finally {
      await again.close();
    }
  });

  test('waits while the server is away, also across an end of the process, and is sent once', async () => {
    const { at, hand } = crooked();
    const { alice, bob, group } = await pair(at);
    hand.put = () => {
      throw new TransportError('unreachable', 'nothing listens there');
    };
    await alice.chat.sendFile(group, photo(some(10_000)));
    await alice.chat.send(group, 'the photo comes later');
    await bob.waitForText(group, 'the photo comes later');
    expect((await alice.chat.status()).unsent).toBe(1);
    expect((await alice.chat.recent(group, 10)).at(-1)).toMatchObject({ file: { name: 'photo.jpg', expires: 0 } });
    hand.put = () => {};
    await alice.restart();
    expect(await alice.chat.flushed(WAIT_MS)).toBe(0);
    expect((await nextFile(bob, group)).file?.size).toBe(10_000);
    await alice.restart();
    await bob.chat.caughtUp(WAIT_MS);
    expect(await filesOf(bob, group)).toHaveLength(1);
    expect(await filesOf(alice, group)).toHaveLength(1);
  });

  test('that nobody waits for any more, as earlier versions left it, is dropped at the next start', async () => {
    const { at, hand } = crooked();
    const { alice, group } = await pair(at);
    const store = createMemoryStore(alice.rows);
    const stray = keys.upload(fromBase64Url(group)!, 'left-behind');
    await store.commit([{ key: stray, value: some(100) }]);
    hand.put = () => {
      throw new TransportError('unreachable', 'nothing listens there');
    };
    await alice.chat.sendFile(group, photo(some(50)));
    // while a file of the group waits nothing is touched
    await alice.restart();
    expect(await store.range(rangeOf('upload'))).toHaveLength(2);
    hand.put = () => {};
    await alice.restart();
    expect(await alice.chat.flushed(WAIT_MS)).toBe(0);
    await alice.restart();
    expect(await store.range(rangeOf('upload'))).toEqual([]);
    expect((await alice.lines(group)).filter(({ kind }) => kind === 'warning')).toEqual([]);
  });

  test('that nobody waits for is removed without two of them being in memory at once', async () => {
    const store = createMemoryStore();
    const bytes = some(32);
    const group = { bytes };
    for (const id of ['one', 'two', 'three']) await store.commit([{ key: keys.upload(bytes, id), value: some(1_000) }]);
    const others = keys.upload(some(32), 'of another group');
    await store.commit([{ key: others, value: some(1_000) }]);
    let most = 0;
    const range: typeof store.range = async (options) => {
      const rows = await store.range(options);
      most = Math.max(most, rows.length);
      return rows;
    };
    await dropStrayUploads({ ...store, range }, [group]);
    expect(most).toBe(1);
    expect((await store.range(rangeOf('upload'))).map(([key]) => key)).toEqual([others]);
  });

  test('that waits when its sender is taken out is said to be not sent, and is not sent when it is invited again', async () => {
    const { at, hand } = crooked();
    const { alice, bob, group } = await pair(at);
    hand.put = () => {
      throw new TransportError('unreachable', 'nothing listens there');
    };
    const { id } = await bob.chat.sendFile(group, photo(some(1_000)));
    const uploadRows = () => [...bob.rows.keys()].filter((key) => key.startsWith('75'));
    expect(uploadRows()).toHaveLength(1);
    expect(await alice.chat.remove(group, [bob.name])).toEqual([{ name: bob.name, kind: 'done' }]);
    const refused = 'you are no longer a member';
    await until(() => bob.events.some((event) => event.type === 'sent' && event.id === id));
    expect(bob.events.filter(({ type }) => type === 'sent')).toEqual([{ type: 'sent', id, refused }]);
    const warned = (await bob.lines(group)).filter(({ kind }) => kind === 'warning');
    expect(warned).toMatchObject([{ text: `Not sent (${refused}): photo.jpg` }]);
    expect(await bob.chat.flushed(WAIT_MS)).toBe(0);
    expect(uploadRows()).toEqual([]);
    hand.put = () => {};
    expect(await alice.chat.invite(group, [bob.name])).toEqual([{ name: bob.name, kind: 'done' }]);
    await bob.chat.caughtUp(WAIT_MS);
    await bob.chat.send(group, 'here again');
    await alice.waitForText(group, 'here again');
    expect(await filesOf(alice, group)).toEqual([]);
    expect(hand.blobs).toEqual([]);
  });

  test('is announced exactly once, wherever its sender dies and whichever answer is lost', async () => {
    const fake = createFakeServer();
    let fault = { at: 0, applied: false };
    let store: ReturnType<typeof createFailingStore> | undefined;
    const alice = await open(fake, 'alice', {
      store: (rows) => {
        store = createFailingStore(rows, fault);
        return store;
      },
    });
    const group = await together([alice], 'files');
    const device = await deviceOf(alice);
    const restart = async (next: typeof fault): Promise<void> => {
      fault = next;
      await alice.restart();
    };
    await restart({ at: 0, applied: false });
    const before = store!.commits();
    await alice.chat.sendFile(group, photo(some(10)));
    await nextFile(alice, group);
    await alice.chat.flushed(WAIT_MS);
    const commits = store!.commits() - before;
    expect(commits).toBeGreaterThan(3);
    let sent = 1;
    for (let at = 1; at <= commits + before; at += 1) {
      for (const applied of [false, true]) {
        await restart({ at, applied });
        if (at % 2 === 0) fake.loseAnswer(device, at % 4 === 0 ? 'putBlob' : 'postMessages');
        const told = await alice.chat.sendFile(group, photo(some(10 + sent))).catch(() => undefined);
        if (!store!.crashed()) await alice.chat.flushed(5_000);
        await restart({ at: 0, applied: false });
        const files = async (): Promise<number> => (await filesOf(alice, group)).length;
        if (told !== undefined) await until(async () => (await files()) > sent);
        await alice.chat.flushed(WAIT_MS);
        await alice.chat.caughtUp(WAIT_MS);
        const now = await files();
        expect(now - sent).toBeLessThanOrEqual(1);
        sent = now;
      }
    }
    const sizes = (await filesOf(alice, group)).map(({ file }) => file?.size);
    expect(new Set(sizes).size).toBe(sizes.length);
    expect(fake.log.filter(({ entry }) => entry.kind === 'message')).toHaveLength(sent);
  });

  test('that the server does not take is given up with a sentence', async () => {
    const { at, hand } = crooked();
    const { alice, group } = await pair(at);
    hand.put = () => {
      throw new ProblemError('forbidden', 'this device has stored as many attachments as it may');
    };
    const { id } = await alice.chat.sendFile(group, photo(some(100)));
    await until(() => alice.events.some((event) => event.type === 'sent' && event.id === id));
    const text = 'Not sent (this device has stored as many attachments as it may): photo.jpg';
    expect((await alice.lines(group)).at(-1)).toMatchObject({ kind: 'warning', text });
    expect((await alice.chat.status()).unsent).toBe(0);
    await expect(alice.chat.sendFile(group, photo(some(9_000_000)))).rejects.toMatchObject({ code: 'refused' });
  });

  test('S2: the server sees neither its bytes nor its name, and one that gives others is found out', async () => {
    const { at, hand } = crooked();
    const { alice, bob, group } = await pair(at);
    const bytes = new Uint8Array(5_000).fill(65);
    await alice.chat.sendFile(group, photo(bytes));
    const { position } = await nextFile(bob, group);
    const [stored] = hand.blobs;
    expect(Buffer.from(stored!).includes('AAAA')).toBe(false);
    expect(Buffer.from(stored!).includes('photo')).toBe(false);
    for (const change of [
      (blob: Uint8Array) => blob.fill(7, 100, 101),
      (blob: Uint8Array) => blob.subarray(1),
      () => new Uint8Array(0),
    ]) {
      hand.change = change;
      const fetched = await bob.chat.fetchFile(group, position!);
      expect(fetched).toMatchObject({ kind: 'refused', reason: expect.stringContaining('other bytes') });
    }
    hand.change = (blob) => blob;
    expect(await bob.chat.fetchFile(group, position!)).toMatchObject({ kind: 'done' });
  });
});

describe('what a message says of a file', () => {
  const attachment: Attachment = {
    ...{ name: 'photo.jpg', mediaType: 'image/jpeg', size: 5, expires: 1_800_000_000_000 },
    ...{ key: some(32), nonce: some(12), hash: some(32) },
  };

  test('is the external part of the MIMI content format, and comes back as it was', () => {
    expect(decodeAttachment(encodeAttachment(attachment, 'https://localhost/', some(SALT_BYTES)))).toEqual(attachment);
  });

  test('S3: is taken only when every field is what it has to be; nothing else stops anything', () => {
    fc.assert(
      fc.property(fc.anything(), fc.nat(11), (value, index) => {
        const part: unknown[] = ['image/jpeg', 'u', 1, 5, 2, some(32), some(12), some(0), 1, some(32), '', 'name'];
        part[index] = value;
        let content: Uint8Array;
        try {
          content = encodeMimi({ salt: some(SALT_BYTES), external: part });
        } catch {
          return; // nothing that can be sent
        }
        const decoded = decodeAttachment(content);
        if (decoded === undefined) return;
        expect(decoded.key).toHaveLength(32);
        expect(decoded.mediaType).toMatch(/^[\w.+-]+\/[\w.+-]+$/);
        expect(decoded.name).toBe(safeFileName(decoded.name));
      }),
    );
    fc.assert(fc.property(fc.uint8Array(), (bytes) => decodeAttachment(bytes) === undefined));
  });

  test('S3: gives names that stay in their folder and hide nothing', () => {
    const names: Record<string, string> = {
      '../../etc/passwd': 'passwd',
      'C:\\Windows\\system.ini': 'system.ini',
      '/': 'file',
      '..': 'file',
      '': 'file',
      '.bashrc': 'bashrc',
      '-rf': 'rf',
      'a\u202egpj.exe': 'agpj.exe',
      'a\u001b[31m\n.txt': 'a[31m.txt',
      'photo of tea.jpg ': 'photo of tea.jpg',
    };
    for (const [name, safe] of Object.entries(names)) expect(safeFileName(name)).toBe(safe);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (name) => {
        const safe = safeFileName(name);
        expect(safe).not.toMatch(/[/\\]|^[.-]|\p{Cc}/u);
        expect(safe.length).toBeGreaterThan(0);
        expect(Buffer.byteLength(safe)).toBeLessThanOrEqual(200);
        expect(safeFileName(safe)).toBe(safe);
      }),
    );
    expect(safeFileName(`${'ü'.repeat(300)}.jpeg`)).toMatch(/^ü+\.jpeg$/);
  });

  test('shows sizes as people say them', () => {
    const sizes = { 0: '0 bytes', 1: '1 byte', 999: '999 bytes', 1200: '1.2 kB', 9960: '10 kB', 1234567: '1.2 MB' };
    for (const [bytes, text] of Object.entries(sizes)) expect(sizeText(Number(bytes))).toBe(text);
    expect(sizeText(999_600)).toBe('1.0 MB');
  });
});
