import { expect, test } from 'vitest';
import { playMany, range } from './play-many.ts';

test('D1, D4, D11, D16: histories 1001 to 2000 break no rule, and have every kind of fault', async () => {
  const summary = await playMany(range(1001, 1000));
  expect(summary.missing).toEqual([]);
  expect(summary.histories).toBe(1000);
  console.log(summary.render());
});
