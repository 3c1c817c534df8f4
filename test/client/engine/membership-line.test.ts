import { expect, test } from 'vitest';
import { membershipLine } from '../../../src/client/engine/membership-line.ts';
import type { EngineEnv } from '../../../src/client/engine/types.ts';
import { formatIdentity, parseIdentity } from '../../../src/mls/identity.ts';
import { fakePerson } from '../../support/fake-chat-client.ts';

const identityOf = (account: string, device: string) => ({
  identity: formatIdentity({ domain: 'localhost', account: account.repeat(32), device: device.repeat(32) }),
});
const env = {
  directory: {
    personOf: (identity: string) => {
      const { account, device } = parseIdentity(identity)!;
      return { account, device, name: `${account[0]}${device[0]}` };
    },
  },
} as unknown as EngineEnv;

test('a line names of whom only a device came or went, whatever else the commit does', () => {
  const [a1, b1, b2, c1, d1, d2] = ['a1', 'b1', 'b2', 'c1', 'd1', 'd2'].map((each) =>
    identityOf(each[0]!, each[1] === '1' ? 'x' : 'y'),
  ) as [Who, Who, Who, Who, Who, Who];
  const devices = (change: { added?: readonly Who[]; removed?: readonly Who[]; now: readonly Who[] }) => {
    const { added = [], removed = [], now } = change;
    const line = membershipLine(env, { time: 0, position: 1 }, fakePerson('ann'), 1, {
      added,
      removed,
      now: () => now,
    });
    return line.kind === 'membership' ? line.devices?.map(({ name }) => name) : line;
  };
  expect(devices({ added: [b2], now: [a1, b1, b2] })).toEqual(['by']);
  expect(devices({ removed: [b2], now: [a1, b1] })).toEqual(['by']);
  expect(devices({ added: [b2], removed: [b1], now: [a1, b2] })).toEqual(['by', 'bx']);
  expect(devices({ added: [c1, b2], removed: [d1], now: [a1, b1, b2, c1] })).toEqual(['by']);
  expect(devices({ added: [d1, d2], now: [a1, d1, d2] })).toBeUndefined();
  expect(devices({ removed: [d1, d2], now: [a1] })).toBeUndefined();
  expect(devices({ now: [a1, b1, b2] })).toBeUndefined();
});

type Who = ReturnType<typeof identityOf>;
