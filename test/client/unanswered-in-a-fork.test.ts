import { afterEach, expect, test } from 'vitest';
import { type ServerApi, TransportError } from '../../src/client/transport/server-api.ts';
import { openChatter, type TestChatter } from '../support/chat-clients.ts';
import { createFakeServer } from '../support/fake-server.ts';
import { until } from '../support/until.ts';

const WAIT_MS = 240_000;
const open: TestChatter[] = [];
afterEach(async () => {
  for (const chatter of open.splice(0)) await chatter.stop();
});

test('a text that was never answered is not sent into another history of the same epoch before the two are compared', async () => {
  const server = createFakeServer();
  /** Bob's: the first text gets no answer, and from then on the log cannot be read until it is said. */
  const line = { isCut: false, losesText: false, streams: 0, texts: 0 };
  const connect = (device: Parameters<typeof server.connect>[0]): ServerApi => {
    const api = server.connect(device);
    return {
      ...api,
      async *syncStream(...args) {
        line.streams += 1;
        if (line.isCut) throw new TransportError('unreachable', 'the line is cut');
        yield* api.syncStream(...args);
      },
      async postMessages(...args) {
        if (line.losesText) {
          line.losesText = false;
          line.isCut = true;
          server.dropStreams();
          throw new TransportError('unreachable', 'the request was lost');
        }
        line.texts += 1;
        return api.postMessages(...args);
      },
    };
  };
  const alice = await openChatter(server, 'alice');
  const bob = await openChatter({ connect }, 'bob');
  const carol = await openChatter(server, 'carol');
  open.push(alice, bob, carol);
  const opened = await alice.chat.openGroup('tea');
  if (opened.kind !== 'created') throw new Error(opened.kind);
  const { group } = opened;
  await alice.chat.invite(group, ['bob', 'carol']);
  await carol.chat.caughtUp(WAIT_MS);
  const goBack = server.remember();
  const uncut = server.cut((await carol.chat.status()).me.device);
  expect(await alice.chat.rotate(group)).toEqual({ kind: 'done' });
  await bob.chat.caughtUp(WAIT_MS);
  line.losesText = true;
  await bob.chat.send(group, 'of the lost epoch');
  await until(() => line.isCut);
  goBack();
  uncut();
  expect(await carol.chat.rotate(group)).toEqual({ kind: 'done' });
  // the line takes requests again, and shows nothing of the log
  const before = line.streams;
  await until(() => line.streams > before + 4);
  expect(line.texts).toBe(0);
  line.isCut = false;
  await until(async () => (await bob.chat.groups()).find((each) => each.group === group)?.state === 'parked');
  expect(line.texts).toBe(0);
  expect(await bob.chat.rejoin(group)).toEqual({ kind: 'done' });
  for (const each of [carol, bob]) await each.waitForText(group, 'of the lost epoch');
  expect(await bob.texts(group)).toEqual(['of the lost epoch']);
  const told = (await carol.lines(group)).flatMap((each) => (each.kind === 'warning' ? [each.text] : []));
  expect(told.filter((text) => text.includes('could not be read'))).toEqual([]);
});
