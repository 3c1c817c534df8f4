import { expect, test } from 'vitest';
import type { Group } from '../../src/client/engine/types.ts';
import { emptyGroup } from '../../src/client/engine/welcome.ts';
import { createCatchUpMeter } from '../../src/client/runner/catch-up-meter.ts';
import { type Cursor, type GroupId, groupIdOf, type Position } from '../../src/wire/ids.ts';
import type { Page } from '../../src/wire/page.ts';

const bytes = (fill: number) => new Uint8Array(32).fill(fill);
const pageOf = (...heads: readonly (readonly [number, number])[]): Page => ({
  entries: [],
  cursors: new Uint8Array(0),
  cursor: 'c' as Cursor,
  upToDate: false,
  heads: heads.map(([fill, position]) => ({
    group: bytes(fill),
    position: position as Position,
    hash: new Uint8Array(32),
  })),
});

test('a short catch-up asks nothing; a long one says how far the group is that it is about, asking once for its end', async () => {
  let now = 0;
  const asked: GroupId[] = [];
  const groups = new Map<GroupId, Group>();
  const place = (fill: number, name: string, position: number) => {
    const group = { ...emptyGroup(bytes(fill), name), position };
    groups.set(group.id, group);
  };
  place(1, 'tea', 100);
  place(2, 'salt', 7);
  const endOf = async (id: GroupId): Promise<number> => {
    asked.push(id);
    return 8100;
  };
  const meter = createCatchUpMeter({ api: { endOf }, state: { groups }, now: () => now });
  meter.begin();
  place(1, 'tea', 600);
  expect(await meter.measure(pageOf([1, 600]), 500)).toBeUndefined();
  expect(asked).toEqual([]);
  now = 1500;
  place(1, 'tea', 1340);
  const page = pageOf([2, 9], [1, 1340]);
  expect(await meter.measure(page, 1242)).toEqual({ done: 1242, group: { name: 'tea', done: 1240, of: 8000 } });
  await meter.measure(page, 1300);
  expect(asked).toEqual([groupIdOf(bytes(1))]);
});

test('a server that does not say how much there is costs the total, and nothing else', async () => {
  let now = 0;
  const groups = new Map([[groupIdOf(bytes(1)), { ...emptyGroup(bytes(1), 'tea'), position: 5 }]]);
  const endOf = () => Promise.reject(new Error('gone'));
  const meter = createCatchUpMeter({ api: { endOf }, state: { groups }, now: () => now });
  meter.begin();
  now = 2000;
  expect(await meter.measure(pageOf([1, 300]), 300)).toEqual({ done: 300 });
});
