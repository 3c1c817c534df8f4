import { expect, test } from 'vitest';
import { playMany, thousand } from './play-many.ts';

test('D1, D4, D11, D16: histories 1001 to 2000 break no rule, and have every kind of fault', async () => {
  const summary = await playMany(thousand(1));
  expect(summary.missing).toEqual([]);
  expect(summary.histories).toBe(1000);
  console.log(summary.render());
});
