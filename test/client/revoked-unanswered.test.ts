import { expect, test } from 'vitest';
import { type ServerApi, TransportError } from '../../src/client/transport/server-api.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import { together, useChatters, warningsOf } from '../support/chatters.ts';
import { createFakeServer } from '../support/fake-server.ts';
import { until } from '../support/until.ts';

const REASON = 'this device was revoked by its account and cannot be used any more';
const OPEN = `${REASON}, and it is not known whether it was sent before`;
const revoked = (): ProblemError =>
  new ProblemError('unauthenticated', 'this device was revoked', { members: { reason: 'revoked' } });

const open = useChatters();

/** What becomes of requests: `blind`: messages are placed, and nothing comes back. */
type Line = 'open' | 'blind' | 'revoked';

/** A member of a group whose connection can be changed; nothing is read in any state but `open`. */
async function member() {
  const server = createFakeServer();
  const line = { is: 'open' as Line, placed: 0 };
  const check = (): void => {
    if (line.is === 'revoked') throw revoked();
  };
  const connect = (device: Parameters<typeof server.connect>[0]): ServerApi => {
    const api = server.connect(device);
    return {
      ...api,
      async *syncStream(...args) {
        check();
        if (line.is === 'blind') throw new TransportError('unreachable', 'the connection was cut');
        yield* api.syncStream(...args);
      },
      async postMessages(...args) {
        check();
        const answer = await api.postMessages(...args);
        if (line.is === 'open') return answer;
        line.placed += 1;
        throw new TransportError('unreachable', 'the answer was lost');
      },
    };
  };
  const alice = await open({ connect }, 'alice');
  const group = await together([alice]);
  /** From the next request of messages on: what was up to date stays so until then. */
  const turn = (to: Line): void => {
    server.intercept = (_by, method) => {
      if (method !== 'postMessages') return;
      server.intercept = undefined;
      line.is = to;
      server.dropStreams();
      check();
    };
  };
  const warnings = (): Promise<readonly string[]> => warningsOf(alice, group);
  const outcome = async () => {
    await until(() => alice.events.some(({ type }) => type === 'sent'));
    return { sent: alice.events.filter(({ type }) => type === 'sent'), warnings: await warnings() };
  };
  const messages = (): number =>
    server.groups.get(group)!.entries.filter(({ entry }) => entry.kind === 'message').length;
  return { alice, group, line, turn, outcome, warnings, messages };
}

test('a device that was revoked while its request had no answer does not say that the text was not sent', async () => {
  const { alice, group, line, turn, outcome, messages } = await member();
  turn('blind');
  const { id } = await alice.chat.send(group, 'perhaps');
  await until(() => line.placed > 0);
  line.is = 'revoked';
  expect(await outcome()).toEqual({
    sent: [{ type: 'sent', id, refused: OPEN }],
    warnings: ['Not known whether sent: perhaps'],
  });
  expect(messages()).toBe(1);
});

test('nor when it was stopped before the answer and started again after', async () => {
  const { alice, group, line, turn, warnings } = await member();
  turn('blind');
  await alice.chat.send(group, 'perhaps');
  await until(() => line.placed > 0);
  await alice.chat.close(); // it must not be the one that is refused
  line.is = 'revoked';
  await alice.restart();
  await until(async () => (await warnings()).length > 0);
  expect(await warnings()).toEqual(['Not known whether sent: perhaps']);
});

test('a text that was refused to a revoked device when it was asked for first is said to be not sent', async () => {
  const { alice, group, turn, outcome, messages } = await member();
  turn('revoked');
  const { id } = await alice.chat.send(group, 'no');
  expect(await outcome()).toEqual({
    sent: [{ type: 'sent', id, refused: REASON }],
    warnings: [`Not sent (${REASON}): no`],
  });
  expect(messages()).toBe(0);
});
