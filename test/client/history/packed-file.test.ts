import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ChatClient, GroupStatus, HistorySignature, PortableMessage } from '../../../src/client/chat-client.ts';
import { packHistory } from '../../../src/client/history/pack-history.ts';
import { unpackHistory } from '../../../src/client/history/unpack-history.ts';
import { equalBytes, toUtf8 } from '../../../src/wire/bytes.ts';
import { cursorFromBlock } from '../../../src/wire/cursor.ts';
import { type Cursor, type GroupId, groupIdOf, START_CURSOR } from '../../../src/wire/ids.ts';
import { fakePerson } from '../../support/fake-chat-client.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mlschat-packed-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const me = fakePerson('ann');
const idOf = (n: number): GroupId => groupIdOf(new Uint8Array(16).fill(n));
const signatureOf = (by: string, digest: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha512').update(by).update(digest).digest());

interface Taken {
  readonly group: GroupId;
  readonly messages: readonly PortableMessage[];
}

/** As much of a client as packing needs; takes over whatever it is given, and says what that was. */
function clientOf(options: {
  readonly groups: readonly string[];
  readonly messages?: number;
  readonly device?: string;
}) {
  const { messages = 0, device = me.device } = options;
  const taken: Taken[] = [];
  const groups = options.groups.map(
    (name, n): GroupStatus => ({
      ...{ group: idOf(n), name, epoch: 1, position: messages, unread: 0, members: 1, state: 'member' },
    }),
  );
  const messageAt = (position: number): PortableMessage => ({
    ...{
      position,
      time: position,
      id: `id-${position}`,
      sender: me,
      own: true,
      text: `text ${position} ${'✓'.repeat(position % 50)}`,
    },
    ...(position % 10 === 3
      ? {
          file: { name: 'plan.txt', mediaType: 'text/plain', size: 3, expires: 0 },
          fileKey: { key: new Uint8Array(32), nonce: new Uint8Array(12), hash: new Uint8Array(32) },
        }
      : {}),
  });
  const client: Pick<ChatClient, 'groups' | 'portableHistory' | 'signHistory' | 'takeOver' | 'checkHistory'> = {
    groups: async () => groups,
    portableHistory: async (_group, { after, limit, until }) => {
      const first = after === START_CURSOR ? 1 : Number(Buffer.from(after.slice(1), 'base64url').readUInt32BE()) + 1;
      const last = Math.min(until, first + limit - 1);
      const page = Array.from({ length: last - first + 1 }, (_, i) => messageAt(first + i));
      const block = Buffer.alloc(16);
      block.writeUInt32BE(last);
      const next: { next?: Cursor } = last < until ? { next: cursorFromBlock(block) } : {};
      return { messages: page, ...next };
    },
    signHistory: async (digest) => ({
      account: me.account,
      device: device as never,
      signature: signatureOf(device, digest),
    }),
    checkHistory: async ({ device: by, signature }: HistorySignature, digest) =>
      by === me.device && equalBytes(signature, signatureOf(by, digest))
        ? { kind: 'done' }
        : { kind: 'refused', reason: 'it was made by no device of yours' },
    takeOver: async (group, page) => {
      taken.push({ group, messages: page });
      return { added: page.length };
    },
  };
  return { client, taken, messageAt };
}

describe('a packed history', () => {
  test('comes out as it went in, group by group in the order of the log, and shows nothing to who has no code', async () => {
    const path = join(folder, 'whole');
    const { client, messageAt } = clientOf({ groups: ['tea', 'secret plans'], messages: 420 });
    const { code, ...counts } = await packHistory(client, path);
    expect(code).toMatch(/^([a-z2-7]{4}-){7}[a-z2-7]{4}$/);
    expect(counts).toEqual({ messages: 840, groups: 2 });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const bytes = await readFile(path);
    for (const text of ['secret plans', 'text 1', 'plan.txt', me.account, code])
      expect(bytes.includes(text)).toBe(false);

    const reader = clientOf({ groups: ['tea'] });
    const outcome = await unpackHistory(reader.client, path, ` ${code.toUpperCase()} `);
    expect(outcome).toEqual({ kind: 'done', messages: 840, added: 420, unknown: ['secret plans'] });
    expect(new Set(reader.taken.map(({ group }) => group))).toEqual(new Set([idOf(0)]));
    const all = reader.taken.flatMap(({ messages }) => messages);
    expect(all).toEqual(Array.from({ length: 420 }, (_, i) => messageAt(i + 1)));
  });

  test('is never written over a file that is there, and what could not be written whole is removed', async () => {
    const path = join(folder, 'there');
    await writeFile(path, 'mine');
    const { client } = clientOf({ groups: ['tea'], messages: 10 });
    await expect(packHistory(client, path)).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await readFile(path, 'utf8')).toBe('mine');
    const broken = { ...client, signHistory: () => Promise.reject(new Error('the engine stopped')) };
    await expect(packHistory(broken, join(folder, 'half'))).rejects.toThrow('the engine stopped');
    await expect(stat(join(folder, 'half'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('a large history needs no more at a time than a few hundred messages', async () => {
    const path = join(folder, 'large');
    const writer = clientOf({ groups: ['tea'], messages: 10_000 });
    const { code } = await packHistory(writer.client, path);
    const reader = clientOf({ groups: ['tea'] });
    const sizes = new Set<number>();
    let last = 0;
    const takeOver: ChatClient['takeOver'] = async (_group, page) => {
      sizes.add(page.length);
      for (const { position } of page) {
        if (position !== last + 1) throw new Error(`${position} comes after ${last}`);
        last = position;
      }
      return { added: page.length };
    };
    expect(await unpackHistory({ ...reader.client, takeOver }, path, code)).toMatchObject({ added: 10_000 });
    expect(last).toBe(10_000);
    expect(Math.max(...sizes)).toBeLessThan(1_000);
  });
});

describe('a file that is not to be trusted is refused, and nothing is taken from it', () => {
  const refusal = async (bytes: Uint8Array, code: string): Promise<string> => {
    const path = join(folder, 'changed');
    await writeFile(path, bytes);
    const { client, taken } = clientOf({ groups: ['tea'] });
    const outcome = await unpackHistory(client, path, code);
    expect(taken).toEqual([]);
    return outcome.kind === 'refused' ? outcome.reason : 'taken';
  };
  let bytes: Uint8Array;
  let code: string;
  beforeAll(async () => {
    const path = join(folder, 'good');
    ({ code } = await packHistory(clientOf({ groups: ['tea'], messages: 700 }).client, path));
    bytes = new Uint8Array(await readFile(path));
    expect(bytes.length).toBeGreaterThan(2 * 65_552); // several chunks
  });

  test('cut anywhere, at the end of a chunk too', async () => {
    const lengths = [0, 1, 17, 18, 33, 34, 49, 50, 1_000, 34 + 65_551, 34 + 65_552, 34 + 65_553, 34 + 2 * 65_552];
    for (const length of [...lengths, bytes.length - 17, bytes.length - 16, bytes.length - 1]) {
      expect([length, await refusal(bytes.subarray(0, length), code)]).toEqual([
        length,
        expect.not.stringMatching(/^taken$/),
      ]);
    }
  });

  test('changed anywhere, with chunks in another order, or with something behind its end', async () => {
    for (const at of [0, 17, 18, 33, 34, 60, 34 + 65_551, 34 + 65_552, 10_000, bytes.length - 17, bytes.length - 1]) {
      const changed = bytes.slice();
      changed[at]! ^= 4;
      expect([at, await refusal(changed, code)]).toEqual([at, expect.not.stringMatching(/^taken$/)]);
    }
    const swapped = bytes.slice();
    swapped.copyWithin(34, 34 + 65_552, 34 + 2 * 65_552);
    expect(await refusal(swapped, code)).not.toBe('taken');
    expect(await refusal(Buffer.concat([bytes, Buffer.alloc(1)]), code)).not.toBe('taken');
    expect(await refusal(toUtf8('what is this'), code)).toMatch(/no packed history/);
  });

  test('with a slip in its code, or the code of another file', async () => {
    const other = await packHistory(clientOf({ groups: ['tea'], messages: 1 }).client, join(folder, 'other'));
    expect(await refusal(bytes, other.code)).toMatch(/code/);
    const slipped = code.replace(/^./, (first) => (first === 'a' ? 'b' : 'a'));
    expect(await refusal(bytes, slipped)).toMatch(/slip/);
    expect(await refusal(bytes, '')).toMatch(/slip/);
  });

  test('S8: that no device of the account has signed, whoever made its code', async () => {
    const path = join(folder, 'foreign');
    const foreign = await packHistory(
      clientOf({ groups: ['tea'], messages: 5, device: fakePerson('eve').device }).client,
      path,
    );
    expect(await refusal(new Uint8Array(await readFile(path)), foreign.code)).toMatch(/no device of yours/);
  });
});
