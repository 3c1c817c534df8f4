import { expect, test } from 'vitest';
import type { ServerApi } from '../../src/client/transport/server-api.ts';
import { TransportError } from '../../src/client/transport/server-api.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { type ConnectableServer, overHttp, type TestChatter } from '../support/chat-clients.ts';
import { statusIn, together, useChatters, WAIT_MS } from '../support/chatters.ts';
import { keepOnly } from '../support/keep-only.ts';
import { until } from '../support/until.ts';
import { useTestServer } from '../support/use-server.ts';

const GONE = /no longer on the server/;
/** Commits that one is behind who was away for long. */
const FAR_BEHIND = 200;
const server = useTestServer();
const real = overHttp(() => server().url());
const open = useChatters();
let serial = 0;

async function chatters(...names: string[]): Promise<TestChatter[]> {
  serial += 1;
  return Promise.all(names.map((name) => chatter(`${name}${serial}`)));
}

function chatter(name: string, over: ConnectableServer = real): Promise<TestChatter> {
  return open(over, name);
}

async function say(chatter: TestChatter, group: GroupId, ...texts: string[]): Promise<void> {
  for (const text of texts) await chatter.chat.send(group, text);
  expect(await chatter.chat.flushed(WAIT_MS)).toBe(0);
}

async function goneLines(chatter: TestChatter, group: GroupId): Promise<string[]> {
  const lines = await chatter.lines(group);
  return lines.flatMap((line) => (line.kind === 'warning' && GONE.test(line.text) ? [line.text] : []));
}

async function waitForGone(chatter: TestChatter, group: GroupId, pattern: RegExp): Promise<void> {
  await until(
    async () => (await goneLines(chatter, group)).some((line) => pattern.test(line)),
    () => `${chatter.name} was never told ${pattern}`,
  );
}

const today = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long' });

test('who was away longer than entries are kept joins again by itself, and says in one line what was missed', async () => {
  const [alice, bob] = (await chatters('alice', 'bob')) as [TestChatter, TestChatter];
  const group = await together([alice, bob], `tea${serial}`);
  await bob.stop();
  await say(alice, group, 'one', 'two');
  expect(await alice.chat.rotate(group)).toEqual({ kind: 'done' });
  await say(alice, group, 'three', 'four', 'five');
  await keepOnly(server(), 2); // created, added, one, two, commit, three are gone
  await bob.restart();
  const joined =
    /^#tea\d+: 4 entries before \d+ \w+ are no longer on the server; you joined again at epoch 3 \(2 before/;
  await waitForGone(bob, group, joined);
  expect((await goneLines(bob, group))[0]).toContain(today.format(Date.now()));
  await say(alice, group, 'welcome back');
  await bob.waitForText(group, 'welcome back');
  await say(bob, group, 'what did I miss?');
  await alice.waitForText(group, 'what did I miss?');
  await alice.chat.caughtUp(WAIT_MS);
  await bob.chat.caughtUp(WAIT_MS);
  expect(await bob.epochAuthenticator(group)).toBe(await alice.epochAuthenticator(group));
  await bob.restart();
  await bob.chat.caughtUp(WAIT_MS);
  expect(await goneLines(bob, group)).toHaveLength(1);
  expect(await bob.texts(group)).toEqual(['welcome back', 'what did I miss?']);
});

test('where only messages are gone nobody joins again: reading goes on behind them', async () => {
  const [alice, bob] = (await chatters('alice', 'bob')) as [TestChatter, TestChatter];
  const group = await together([alice, bob], `ink${serial}`);
  await bob.stop();
  await say(alice, group, 'one', 'two', 'three', 'four');
  await keepOnly(server(), 2);
  await bob.restart();
  await bob.waitForText(group, 'four');
  expect(await bob.texts(group)).toEqual(['three', 'four']);
  expect(await goneLines(bob, group)).toEqual([
    expect.stringMatching(/: 2 entries before \d+ \w+ are no longer on the server\.$/),
  ]);
  await say(bob, group, 'here');
  await alice.waitForText(group, 'here');
  expect(await statusIn(alice, group)).toMatchObject({ epoch: 1 });
});

test('a text that the server took before it was cut off is shown once by everybody, and never sent again', async () => {
  const [alice] = (await chatters('alice')) as [TestChatter];
  const cut = cutOff();
  const bob = await chatter(`bob${serial}`, cut.server);
  const group = await together([alice, bob], `salt${serial}`);
  cut.silence();
  await bob.chat.send(group, 'did you get this?');
  await alice.waitForText(group, 'did you get this?');
  await bob.stop();
  expect(await alice.chat.rotate(group)).toEqual({ kind: 'done' });
  await say(alice, group, 'yes');
  await keepOnly(server(), 1);
  cut.restore();
  await bob.restart();
  await waitForGone(bob, group, /you joined again/);
  await bob.waitForText(group, 'did you get this?');
  await say(bob, group, 'good');
  await alice.waitForText(group, 'good');
  const sent = (texts: string[]) => texts.filter((text) => text === 'did you get this?').length;
  expect([sent(await bob.texts(group)), sent(await alice.texts(group))]).toEqual([1, 1]);
  expect((await bob.chat.status()).unsent).toBe(0);
});

test('an invitation whose following entries are gone still leads in', async () => {
  const [alice, carol] = (await chatters('alice', 'carol')) as [TestChatter, TestChatter];
  await carol.stop();
  const group = await together([alice], `late${serial}`);
  expect(await alice.chat.invite(group, [carol.name])).toEqual([{ name: carol.name, kind: 'done' }]);
  await say(alice, group, 'one');
  expect(await alice.chat.rotate(group)).toEqual({ kind: 'done' });
  await say(alice, group, 'two');
  await keepOnly(server(), 1);
  await carol.restart();
  await carol.chat.caughtUp(WAIT_MS);
  await waitForGone(carol, group, /you joined again at epoch 3/);
  await say(alice, group, 'hello carol');
  await carol.waitForText(group, 'hello carol');
});

test('who was removed in what is gone is told so, and does not try to come back', async () => {
  const [alice, bob] = (await chatters('alice', 'bob')) as [TestChatter, TestChatter];
  const group = await together([alice, bob], `out${serial}`);
  await bob.stop();
  expect(await alice.chat.remove(group, [bob.name])).toEqual([{ name: bob.name, kind: 'done' }]);
  await say(alice, group, 'not for bob');
  await keepOnly(server(), 1);
  await bob.restart();
  await waitForGone(bob, group, /this device was taken out of the group in the meantime/);
  await bob.chat.caughtUp(WAIT_MS);
  expect(await statusIn(bob, group)).toMatchObject({ state: 'parked' });
});

test('who was removed behind what is gone is told so in one line, which counts what it could not read, and an invitation leads back', async () => {
  const [alice, bob] = (await chatters('alice', 'bob')) as [TestChatter, TestChatter];
  const group = await together([alice, bob], `later${serial}`);
  await bob.stop();
  await say(alice, group, 'one');
  expect(await alice.chat.rotate(group)).toEqual({ kind: 'done' });
  await say(alice, group, 'two');
  await keepOnly(server(), 1); // created, added, one, commit are gone
  await say(alice, group, 'three');
  expect(await alice.chat.remove(group, [bob.name])).toEqual([{ name: bob.name, kind: 'done' }]);
  await say(alice, group, 'not for bob');
  await bob.restart();
  const gone =
    /: 2 entries before .* are no longer .*, and this device was taken out .* \(2 before that cannot be read\)\.$/;
  await waitForGone(bob, group, gone);
  await bob.restart();
  await bob.chat.caughtUp(WAIT_MS);
  expect(await goneLines(bob, group)).toHaveLength(1);
  expect(await statusIn(bob, group)).toMatchObject({ state: 'parked' });
  expect(await alice.chat.invite(group, [bob.name])).toEqual([{ name: bob.name, kind: 'done' }]);
  await say(alice, group, 'welcome back');
  await bob.waitForText(group, 'welcome back');
  expect(await bob.texts(group)).toEqual(['welcome back']);
});

test(`${FAR_BEHIND} commits behind: replayed without losing a text while they are kept, joined again when they are not`, async () => {
  const [alice, bob, carol] = (await chatters('alice', 'bob', 'carol')) as [TestChatter, TestChatter, TestChatter];
  const group = await together([alice, bob, carol], `far${serial}`);
  await Promise.all([bob.stop(), carol.stop()]);
  const texts: string[] = [];
  for (let i = 0; i < FAR_BEHIND; i += 1) {
    expect(await alice.chat.rotate(group)).toEqual({ kind: 'done' });
    if (i % 50 > 0) continue;
    texts.push(`at ${i}`);
    await say(alice, group, `at ${i}`);
  }
  await bob.restart();
  await bob.chat.caughtUp(WAIT_MS);
  expect(await bob.texts(group)).toEqual(texts);
  expect(await bob.epochAuthenticator(group)).toBe(await alice.epochAuthenticator(group));
  await keepOnly(server(), 10);
  await carol.restart();
  await waitForGone(carol, group, new RegExp(`joined again at epoch ${FAR_BEHIND + 2}`));
  await say(alice, group, 'all here');
  for (const each of [bob, carol]) await each.waitForText(group, 'all here');
});

/** A real server whose answers to messages, and whose stream, get lost once it is silenced. */
function cutOff(): { readonly server: ConnectableServer; silence(): void; restore(): void } {
  let silent = false;
  const wrap = (api: ServerApi): ServerApi => ({
    ...api,
    postMessages: async (...asked) => {
      const answer = await api.postMessages(...asked);
      if (silent) throw new TransportError('unreachable', 'the answer got lost');
      return answer;
    },
    async *syncStream(cursor, signal) {
      for await (const item of api.syncStream(cursor, signal)) {
        if (!silent) yield item;
      }
    },
  });
  return {
    server: { connect: (device, sign) => wrap(real.connect(device, sign)) },
    silence: () => {
      silent = true;
    },
    restore: () => {
      silent = false;
    },
  };
}
