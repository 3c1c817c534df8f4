import { describe, expect, onTestFinished, test } from 'vitest';
import type { Connection } from '../../src/client/chat-client.ts';
import { createRefiller } from '../../src/client/runner/key-packages.ts';
import { startOver } from '../../src/client/runner/start.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import type { StreamItem } from '../../src/wire/page.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import { together, useChatters } from '../support/chatters.ts';
import { createFakeServer } from '../support/fake-server.ts';
import { until } from '../support/until.ts';

const chatter = useChatters();

describe('what a person is told', () => {
  test('a message that the server refuses is given up, with the reason, and is shown as that once', async () => {
    const server = createFakeServer();
    const alice = await chatter(server, 'alice');
    const group = await together([alice]);
    const before = (await alice.lines(group)).at(-1)!.cursor!;
    server.intercept = (_by, method) => {
      if (method === 'postMessages') throw new ProblemError('forbidden', 'you may not write there');
    };
    const { id } = await alice.chat.send(group, 'no');
    expect(await alice.chat.flushed(240_000)).toBe(0);
    await until(() => alice.events.some((event) => event.type === 'sent'));
    expect(alice.events.filter((event) => event.type === 'sent')).toEqual([
      { type: 'sent', id, refused: 'you may not write there' },
    ]);
    const told = await alice.chat.history(before, { group, limit: 10 });
    expect(told).toMatchObject([{ kind: 'warning', text: 'Not sent (you may not write there): no' }]);
    // a reader that goes on from the line it was shown is not shown it again
    expect(await alice.chat.history(told[0]!.cursor!, { group, limit: 10 })).toEqual([]);
    server.intercept = undefined;
    await alice.chat.send(group, 'yes');
    await alice.waitForText(group, 'yes');
    expect(await alice.chat.history(told[0]!.cursor!, { group, limit: 10 })).toMatchObject([{ text: 'yes' }]);
  });

  test('who left is told that it left, whoever committed it', async () => {
    const server = createFakeServer();
    const [alice, bob] = [await chatter(server, 'alice'), await chatter(server, 'bob')];
    const group = await together([alice]);
    await alice.chat.invite(group, ['bob']);
    await bob.chat.caughtUp(240_000);
    expect(await bob.chat.leave(group)).toEqual({ kind: 'done' });
    await until(async () => (await bob.chat.groups())[0]?.state === 'removed');
    expect((await bob.lines(group)).at(-1)).toMatchObject({ kind: 'removed-me', by: { name: 'bob' } });
  });

  test('the only member hears in a sentence why it cannot join again, and goes on as before', async () => {
    const server = createFakeServer();
    const alice = await chatter(server, 'alice');
    const group = await together([alice]);
    expect(await alice.chat.rejoin(group)).toEqual({
      kind: 'refused',
      reason: 'you are its only member, and a group can only be joined again through another one; make a new group',
    });
    await alice.chat.send(group, 'still here');
    await alice.waitForText(group, 'still here');
  });

  test('catching up just when the log is replaced waits for the new one instead of failing', async () => {
    const server = createFakeServer();
    const alice = await chatter(server, 'alice');
    const group = await together([alice]);
    await alice.chat.send(group, 'before');
    await alice.waitForText(group, 'before');
    server.newIncarnation();
    await alice.chat.caughtUp(240_000);
    expect(await alice.texts(group)).toEqual(['before']);
  });

  test('a server that is stopped is said to be, and one that always hangs up is asked less and less often', async () => {
    const server = createFakeServer();
    const waits: Extract<Connection, { state: 'offline' }>[] = [];
    const chat = await startOver(
      createMemoryStore(),
      ({ id }) => ({
        ...server.connect(id),
        syncStream: async function* (): AsyncGenerator<StreamItem> {
          yield { type: 'closing', reason: 'server-closing', resumable: true };
        },
      }),
      { server: 'fake', userName: 'alice', random: () => 1 },
    );
    onTestFinished(() => chat.close());
    chat.subscribe((event) => {
      if (event.type === 'connection' && event.connection.state === 'offline') waits.push(event.connection);
    });
    await until(() => waits.length >= 3);
    expect(waits[0]!.reason).toBe('the server is being stopped');
    const [first, second, third] = waits.map(({ retryInMs }) => retryInMs);
    expect(second! > first! && third! > second!).toBe(true);
  });
});

test('key packages are refilled once at a time, however often that is asked for meanwhile', async () => {
  const asked: boolean[] = [];
  let answer = (): void => {};
  const refill = createRefiller((replaceLastResort) => {
    asked.push(replaceLastResort);
    return new Promise((resolve) => {
      answer = resolve;
    });
  });
  const first = refill(false);
  const others = Array.from({ length: 20 }, (_, i) => refill(i === 7));
  answer();
  await until(() => asked.length === 2);
  answer();
  await Promise.all([first, ...others]);
  expect(asked).toEqual([false, true]);
});
