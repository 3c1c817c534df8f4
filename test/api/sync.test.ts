import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { toBase64Url, toHex } from '../../src/wire/bytes.ts';
import { cursorFromBlock } from '../../src/wire/cursor.ts';
import { decodeEntry, EMPTY_HEAD, nextHead } from '../../src/wire/entry.ts';
import { decodePage } from '../../src/wire/page.ts';
import { okValue, problemOf } from '../support/signed-client.ts';
import { pathOf, type TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';
import { useServer } from './support.ts';

const { server, device, metric } = useServer();

/** A device with something of everything in its log: two groups, Welcomes, commits, messages. */
async function history(): Promise<TestDevice> {
  const [alice, bob] = [await device(), await device()];
  const first = await alice.createGroup();
  await alice.invite(first, bob);
  await bob.catchUp();
  const second = await bob.createGroup();
  await bob.invite(second, alice);
  await alice.catchUp();
  for (let i = 0; i < 10; i += 1) {
    await alice.send(first, `a${i}`);
    await bob.send(second, `b${i}`);
    if (i % 4 === 0) {
      await alice.commit(first);
      await bob.catchUp();
    }
  }
  return alice;
}

const page = async (of: TestDevice, query: string) => {
  const answered = await of.http.request('GET', `/v1/sync?${query}`);
  okValue(answered);
  return decodePage(answered.bytes);
};

describe('catching up', () => {
  it('gives the same log in pages of any size, with cursors to resume from after any entry', async () => {
    const alice = await history();
    const whole = await page(alice, 'cursor=start');
    expect(whole.upToDate).toBe(true);
    const all = whole.entries.map(toHex);
    expect(all.length).toBeGreaterThan(20);
    for (const limit of [1, 2, 3, 7, 1000]) {
      const joined: string[] = [];
      let cursor = 'start';
      for (;;) {
        const next = await page(alice, `cursor=${cursor}&limit=${limit}`);
        joined.push(...next.entries.map(toHex));
        cursor = next.cursor;
        if (next.upToDate) break;
        expect(next.entries.length).toBeGreaterThan(0);
      }
      expect(joined).toEqual(all);
      const after = await page(alice, `cursor=${cursor}`);
      expect(after.entries).toEqual([]);
    }
    for (let i = 0; i < all.length; i += 5) {
      const rest = await page(alice, `cursor=${cursorFromBlock(whole.cursors, i)}`);
      expect(rest.entries.map(toHex)).toEqual(all.slice(i + 1));
    }
  });

  it('D5: the entries of a group chain up to the heads that come with them', async () => {
    const alice = await history();
    const { entries, heads } = await page(alice, 'cursor=start');
    const own = okValue(await alice.http.request('GET', '/v1/groups')).groups;
    const created = own.find(({ group }: { group: Uint8Array }) =>
      entries.map(decodeEntry).some((entry) => entry.kind === 'group-created' && toHex(entry.group) === toHex(group)),
    );
    let head = EMPTY_HEAD;
    for (const bytes of entries) {
      const entry = decodeEntry(bytes);
      if ('position' in entry && toHex(entry.group) === toHex(created.group)) head = nextHead(head, bytes, nodeSha256);
    }
    expect(toHex(head)).toBe(toHex(created.head));
    const stated = heads.find(({ group }) => toHex(group) === toHex(created.group));
    expect(toHex(stated!.hash)).toBe(toHex(head));
    const log = okValue(await alice.http.request('GET', `${pathOf(created.group)}/log`));
    expect(toHex(log.head)).toBe(toHex(head));
  });

  it('reads the same as JSON, with entries as objects and a cursor each', async () => {
    const alice = await history();
    const cbor = await page(alice, 'cursor=start');
    const json = okValue(await alice.http.request('GET', '/v1/sync?cursor=start', { accept: 'application/json' }));
    expect(json.entries).toHaveLength(cbor.entries.length);
    for (const [i, entry] of json.entries.entries()) {
      expect(entry.cursor).toBe(cursorFromBlock(cbor.cursors, i));
      expect(entry.kind).toBe(decodeEntry(cbor.entries[i]!).kind);
    }
    expect(json).toMatchObject({ cursor: cbor.cursor, upToDate: true });
  });

  it('stands still at the end: a cursor survives restarts, and is refused when it is none of this log', async () => {
    const alice = await history();
    const { cursor } = await page(alice, 'cursor=start');
    await server().restart();
    expect((await page(alice, `cursor=${cursor}`)).entries).toEqual([]);
    const forged = `c${toBase64Url(randomBytes(16))}`;
    for (const bad of [forged, 'nonsense', 'c', `${cursor}x`, cursor.slice(0, -1)]) {
      expect([bad, problemOf(await alice.http.request('GET', `/v1/sync?cursor=${bad}`)).code]).toEqual([
        bad,
        'cursor-invalid',
      ]);
    }
  });

  it('shows a device nothing of what others do among themselves', async () => {
    await history();
    const eve = await device();
    expect((await page(eve, 'cursor=start')).entries).toEqual([]);
  });

  it('pages the log of one group by position', async () => {
    const alice = await device();
    const group = await alice.createGroup();
    for (let i = 0; i < 6; i += 1) await alice.send(group, `${i}`);
    const seen: number[] = [];
    let after = 0;
    for (;;) {
      const log = okValue(await alice.http.request('GET', `${pathOf(group)}/log?after=${after}&limit=3`));
      seen.push(...log.entries.map(decodeEntry).map(({ position }: { position: number }) => position));
      after = log.position;
      if (log.upToDate) break;
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const json = okValue(
      await alice.http.request('GET', `${pathOf(group)}/log?after=5`, { accept: 'application/json' }),
    );
    expect(json.entries.map(({ kind, position }: { kind: string; position: number }) => [kind, position])).toEqual([
      ['message', 6],
      ['message', 7],
    ]);
  });
});

describe('the long poll', () => {
  it('answers as soon as there is something, and with an empty page when there is nothing in time', async () => {
    const [alice, bob] = [await device(), await device()];
    const group = await alice.createGroup();
    const { cursor } = await page(bob, 'cursor=start');
    const waiting = page(bob, `cursor=${cursor}&wait=30`);
    await alice.invite(group, bob);
    const { entries } = await waiting;
    expect(entries.length).toBeGreaterThan(0);
    const startedAt = Date.now();
    const end = await page(bob, `cursor=${(await page(bob, 'cursor=start')).cursor}&wait=1`);
    expect(end.entries).toEqual([]);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(950);
  });

  it('ends with an empty page when the server closes', async () => {
    const alice = await device();
    const { cursor } = await page(alice, 'cursor=start');
    const waiting = page(alice, `cursor=${cursor}&wait=60`);
    await until(async () => (await metric('mlsd_streams_open')) === 1);
    await server().restart();
    expect(await waiting).toMatchObject({ entries: [], upToDate: true, cursor });
  });

  it('reads its own writes: a page with the cursor of a write holds all before it', async () => {
    const alice = await device();
    const group = await alice.createGroup();
    for (let i = 0; i < 10; i += 1) {
      const position = await alice.send(group, `text ${i}`);
      const entries = await alice.syncAll();
      expect(entries.at(-1)).toMatchObject({ position, kind: 'message', id: expect.any(String) });
    }
  });
});
