import { expect, test } from 'vitest';
import { type ServerApi, TransportError } from '../../src/client/transport/server-api.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import { type ConnectableServer, overHttp, type TestChatter } from '../support/chat-clients.ts';
import { statusIn, together, useChatters, WAIT_MS, warningsOf } from '../support/chatters.ts';
import { keepOnly } from '../support/keep-only.ts';
import { until } from '../support/until.ts';
import { useTestServer } from '../support/use-server.ts';

const server = useTestServer();
const real = overHttp(() => server().url());
const open = useChatters();

/** Alice's commit and text stand in a group of hers alone, gone unseen, and she has stopped. */
async function goneUnseen(line: { silence(): void }, alice: TestChatter, name: string): Promise<GroupId> {
  const group = await together([alice], name);
  line.silence();
  const wish = alice.chat.rotate(group);
  wish.catch(() => {}); // the program ends before it is answered
  const stored = () => server().running().projections.read.group(group);
  await until(
    () => stored()?.epoch === 1,
    () => 'the commit never came',
  );
  await alice.chat.send(group, 'anybody here?');
  await until(
    () => stored()?.position === 3,
    () => 'the text never came',
  );
  await alice.stop();
  await keepOnly(server(), 1);
  return group;
}

/** A line on which, while it is silent, nothing of the log comes, and no answer to a commit. */
function silentLine(): { readonly server: ConnectableServer; silence(): void; restore(): void } {
  let isSilent = false;
  let shown = Promise.resolve();
  let show = (): void => {};
  const wrap = (api: ServerApi): ServerApi => ({
    ...api,
    postCommit: async (...asked) => {
      const answer = await api.postCommit(...asked);
      if (isSilent) throw new TransportError('unreachable', 'the answer got lost');
      // not before the gap is being read
      await shown;
      return answer;
    },
    async *syncStream(cursor, signal) {
      for await (const item of api.syncStream(cursor, signal)) {
        if (isSilent) continue;
        if (item.type === 'page' && item.gaps !== undefined) setImmediate(show);
        yield item;
      }
    },
  });
  return {
    server: { connect: (device, sign) => wrap(real.connect(device, sign)) },
    silence: () => {
      isSilent = true;
    },
    restore: () => {
      isSilent = false;
      shown = new Promise((resolve) => {
        show = resolve;
      });
    },
  };
}

test('an only member whose commit was compacted before the answer came goes on: the answer is waited for, nobody joins again', async () => {
  const line = silentLine();
  const alice = await open(line.server, 'alice');
  const group = await goneUnseen(line, alice, 'tea');
  line.restore();
  await alice.restart();
  await alice.waitForText(group, 'anybody here?');
  expect(await alice.chat.groups()).toMatchObject([{ group, state: 'member', epoch: 1 }]);
  expect(await alice.chat.rotate(group)).toEqual({ kind: 'done' });
  expect(await warningsOf(alice, group)).toEqual([
    expect.stringMatching(/^#tea: 1 entry before .* no longer on the server\.$/),
  ]);
});

/** The same line, on which `before` comes between the answer to a commit and the client, and `beforeText` before a text is asked for. */
function answering(
  line: ReturnType<typeof silentLine>,
  before: () => Promise<void>,
  beforeText: () => Promise<unknown> = async () => {},
): ReturnType<typeof silentLine> {
  return {
    ...line,
    server: {
      connect: (device, sign) => {
        const api = line.server.connect(device, sign);
        return {
          ...api,
          postCommit: async (...asked) => {
            const answer = await api.postCommit(...asked);
            await before();
            return answer;
          },
          postMessages: async (...asked) => {
            await beforeText();
            return api.postMessages(...asked);
          },
        };
      },
    },
  };
}

test('while the server does not say what became of one group’s commit, the others are read, written to and committed to', async () => {
  let give = (): void => {};
  let given = Promise.resolve();
  let overtake: (() => Promise<unknown>) | undefined;
  const line = answering(
    silentLine(),
    () => given,
    async () => {
      const first = overtake;
      overtake = undefined;
      await first?.();
    },
  );
  const ada = await open(line.server, 'ada');
  const bea = await open(real, 'bea');
  const shared = await together([bea, ada], 'coffee');
  const waiting = await goneUnseen(line, ada, 'cocoa');
  await bea.chat.send(shared, 'nobody waits for me');
  expect(await bea.chat.flushed(WAIT_MS)).toBe(0);
  given = new Promise((resolve) => {
    give = resolve;
  });
  line.restore();
  await ada.restart();
  await ada.waitForText(shared, 'nobody waits for me');
  expect(await statusIn(ada, waiting)).toMatchObject({ epoch: 0 });
  const shown = (await ada.lines(shared)).at(-1)!;
  await bea.chat.send(shared, 'nor for me');
  await ada.waitForText(shared, 'nor for me');
  // nor does what she sends and commits elsewhere
  await ada.chat.send(shared, 'here I am');
  expect(await ada.chat.flushed(WAIT_MS)).toBe(0);
  await bea.waitForText(shared, 'here I am');
  expect(await ada.chat.rotate(shared)).toEqual({ kind: 'done' });
  // nor what has to be encrypted anew, because another commit was faster
  overtake = () => bea.chat.rotate(shared);
  await ada.chat.send(shared, 'of an epoch that is over');
  await bea.waitForText(shared, 'of an epoch that is over');
  expect(overtake).toBeUndefined();
  expect(await statusIn(ada, waiting)).toMatchObject({ epoch: 0 });
  give();
  await ada.waitForText(waiting, 'anybody here?');
  await ada.chat.caughtUp(WAIT_MS);
  expect(await statusIn(ada, waiting)).toMatchObject({ state: 'member', epoch: 1 });
  expect((await ada.texts(shared)).slice(-3)).toEqual(['nor for me', 'here I am', 'of an epoch that is over']);
  // whoever had read up to there gets what was held behind it
  const later = await ada.chat.history(shown.cursor!, { limit: 100 });
  expect(later.flatMap((each) => (each.kind === 'message' ? [each.text] : []))).toEqual([
    'nor for me',
    'here I am',
    'of an epoch that is over',
    'anybody here?',
  ]);
  for (const each of [ada, bea]) await each.stop();
});

test('what became of a member in what is gone unseen, within one epoch, is asked for and known', async () => {
  const [ida, ned] = [await open(real, 'ida'), await open(real, 'ned')];
  const group = await together([ida, ned], 'cider');
  await ned.stop();
  expect(await ida.chat.rename('isolde')).toEqual({ kind: 'done' });
  await until(async () => (await ida.lines(group)).some(({ kind }) => kind === 'account'));
  await ida.chat.send(group, 'after');
  await ida.waitForText(group, 'after');
  expect(await ida.chat.flushed(WAIT_MS)).toBe(0);
  await keepOnly(server(), 1);
  await ned.restart();
  await ned.waitForText(group, 'after');
  await until(async () => (await ned.chat.members(group)).some(({ name }) => name === 'isolde'));
  expect((await ned.lines(group)).filter(({ kind }) => kind === 'account')).toEqual([]);
  expect(await warningsOf(ned, group)).toEqual([
    expect.stringMatching(/^#cider: 1 entry before .* no longer on the server\.$/),
  ]);
});

test('D16: the server is asked again at once what became of a commit, however long its last refusal asked to wait', async () => {
  let refusals = 0;
  const line = answering(silentLine(), async () => {
    if (refusals === 0) return;
    refusals -= 1;
    throw new ProblemError('not-ready', 'come back much later', { retryAfterSeconds: 86_400 });
  });
  const eve = await open(line.server, 'eve');
  const group = await goneUnseen(line, eve, 'milk');
  line.restore();
  refusals = 1;
  await eve.restart();
  await eve.waitForText(group, 'anybody here?');
  expect(await eve.chat.groups()).toMatchObject([{ group, state: 'member', epoch: 1 }]);
});
