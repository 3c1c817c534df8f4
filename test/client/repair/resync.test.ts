import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type RepairPlan, repairStore } from '../../../src/client/repair/repair-store.ts';
import { letterOf } from '../../../src/client/store/keys.ts';
import { childrenOf, leafRowsOf, openLmdbFile } from '../../../src/client/store/lmdb-file.ts';
import type { GroupId } from '../../../src/wire/ids.ts';
import { overHttp, type TestChatter } from '../../support/chat-clients.ts';
import { startServer } from '../../support/server.ts';
import { until } from '../../support/until.ts';
import { playScene, type Scene, SECRET } from './scene.ts';

const PAGE = 8192;
const HEADER = 24;
const WAIT_MS = 240_000;
const root = mkdtempSync(join(tmpdir(), 'resync-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Where a row of the newest state stands in the file: the first of its table, or of a page that has no other rows. */
function placeOf(path: string, letter: number, alone = false): { readonly page: number; readonly valueAt: number } {
  using file = openLmdbFile(path);
  const [first, second] = [file.meta('first'), file.meta('second')];
  if (typeof first === 'string' || typeof second === 'string') throw new Error('a good file');
  const { main } = first.txn > second.txn ? first : second;
  let level = [main.root!];
  for (let depth = main.depth; depth > 1; depth -= 1) {
    level = level.flatMap((number) => childrenOf(file.page(number)!).map((child) => child.number));
  }
  for (const page of level) {
    const rows = leafRowsOf(file.page(page)!);
    const row = rows.find((each) => each?.key[0] === letter);
    if (row === undefined || (alone && rows.some((each) => each?.key[0] !== letter))) continue;
    const inPage = page * PAGE + row.value.byteOffset - pageStart(row.value);
    return { page, valueAt: row.big === undefined ? inPage : row.big.number * PAGE + HEADER };
  }
  throw new Error('no such row');
}

/** Rows are parts of a copy of their page. */
function pageStart(part: Buffer): number {
  return part.byteOffset - (part.byteOffset % PAGE);
}

function damage(path: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path);
  change(bytes);
  writeFileSync(path, bytes);
}

const DAMAGES: readonly (readonly [what: string, anew: number, damage: (path: string) => void])[] = [
  [
    'a bit of one group’s keys',
    1,
    (path) => damage(path, (bytes) => (bytes[placeOf(path, letterOf('epochRecord')).valueAt + 10]! ^= 4)),
  ],
  [
    'a page of keys',
    2,
    (path) => {
      const { page } = placeOf(path, letterOf('ratchet'));
      damage(path, (bytes) => bytes.fill(0, page * PAGE, (page + 1) * PAGE));
    },
  ],
  [
    'a page of history',
    0,
    (path) => {
      const { page } = placeOf(path, letterOf('line'), true);
      damage(path, (bytes) => bytes.fill(0xaa, page * PAGE + 40, (page + 1) * PAGE));
    },
  ],
];

async function agreeAgain({ alice, groups }: Scene, bob: TestChatter): Promise<void> {
  await until(async () => (await bob.chat.groups()).every(({ state }) => state === 'member'));
  for (const group of groups) {
    await bob.chat.send(group, 'bob is back');
    await alice.waitForText(group, 'bob is back');
    await alice.chat.send(group, 'welcome back');
    await bob.waitForText(group, 'welcome back');
    await until(async () => {
      const [ours, theirs] = [await statusOf(alice, group), await statusOf(bob, group)];
      return ours === theirs;
    });
    const positions = (await bob.lines(group)).flatMap((line) => (line.kind === 'message' ? [line.position] : []));
    expect(new Set(positions).size).toBe(positions.length);
    const told = (await alice.lines(group)).filter(({ kind }) => kind === 'warning');
    expect(told).toEqual([]);
  }
}

async function statusOf({ chat }: TestChatter, id: GroupId): Promise<string> {
  const group = (await chat.groups()).find((each) => each.group === id);
  return `${group?.epoch} ${group?.position} ${group?.head}`;
}

describe('S7: a repaired client', () => {
  test.each(DAMAGES)('after damage to %s is in its groups again, and all members agree', async (what, anew, harm) => {
    await using server = await startServer();
    const kind = anew === 1 ? 'encrypted' : 'plain';
    const scene = await playScene(
      overHttp(() => server.url()),
      join(root, what),
      kind,
    );
    const { dir, alice, groups } = scene;
    const before = await textsOf(scene.alice, groups);
    harm(join(dir, 'store', 'data.mdb'));
    for (const group of groups) await alice.chat.send(group, 'missed by bob');
    expect(await alice.chat.flushed(WAIT_MS)).toBe(0);

    await expect(scene.reopen()).rejects.toMatchObject({
      code: 'storage',
      message: expect.stringContaining('mlschat repair'),
    });
    let plan: RepairPlan | undefined;
    const ask = async () => SECRET;
    const agree = async (found: RepairPlan) => {
      plan = found;
      return true;
    };
    expect((await repairStore(dir, { ask, agree, now: Date.now })).kind).toBe('repaired');
    expect(plan!.rebuilt.groups.map(({ fate }) => fate).filter((fate) => fate === 'anew')).toHaveLength(anew);

    const bob = await scene.reopen();
    try {
      await agreeAgain(scene, bob);
      // nothing of the history is there twice, and all of it where only keys were damaged
      const after = await textsOf(bob, groups);
      for (const text of before) expect(after.filter((each) => each === text).length).toBeLessThanOrEqual(1);
      if (anew > 0) expect(after).toEqual(expect.arrayContaining(before));
    } finally {
      await bob.stop();
      await alice.stop();
    }
  });
});

async function textsOf(chatter: TestChatter, groups: readonly GroupId[]): Promise<string[]> {
  const texts = await Promise.all(groups.map((group) => chatter.texts(group)));
  return texts.flatMap((each, index) => each.map((text) => `${index} ${text}`));
}
