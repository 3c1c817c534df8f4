import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ServerApi, TransportError } from '../../src/client/transport/server-api.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import { type ConnectableServer, openChatter, overHttp, type TestChatter } from '../support/chat-clients.ts';
import { keepOnly } from '../support/keep-only.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

const WAIT_MS = 240_000;
let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server[Symbol.asyncDispose]());

/** Alice's commit and text stand in a group of hers alone, gone unseen, and she has stopped. */
async function goneUnseen(line: { silence(): void }, alice: TestChatter, name: string): Promise<GroupId> {
  const opened = await alice.chat.openGroup(name);
  if (opened.kind !== 'created') throw new Error(opened.kind);
  const { group } = opened;
  await alice.chat.caughtUp(WAIT_MS);
  line.silence();
  const wish = alice.chat.rotate(group);
  wish.catch(() => {}); // the program ends before it is answered
  const stored = () => server.running().projections.read.group(group);
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
  await keepOnly(server, 1);
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
  const real = overHttp(() => server.url());
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
  const alice = await openChatter(line.server, 'alice');
  const group = await goneUnseen(line, alice, 'tea');
  line.restore();
  await alice.restart();
  await alice.waitForText(group, 'anybody here?');
  expect(await alice.chat.groups()).toMatchObject([{ group, state: 'member', epoch: 1 }]);
  expect(await alice.chat.rotate(group)).toEqual({ kind: 'done' });
  const lines = await alice.lines(group);
  const warnings = lines.flatMap((each) => (each.kind === 'warning' ? [each.text] : []));
  expect(warnings).toEqual([expect.stringMatching(/^#tea: 1 entry before .* no longer on the server\.$/)]);
  await alice.stop();
});

/** The same line, on which `before` comes between the answer to a commit and the client. */
function answering(line: ReturnType<typeof silentLine>, before: () => Promise<void>): ReturnType<typeof silentLine> {
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
        };
      },
    },
  };
}

test('while the server does not say what became of one group’s commit, the others are read, written to and committed to', async () => {
  let give = (): void => {};
  let given = Promise.resolve();
  const line = answering(silentLine(), () => given);
  const ada = await openChatter(line.server, 'ada');
  const bea = await openChatter(
    overHttp(() => server.url()),
    'bea',
  );
  const shared = await bea.chat.openGroup('coffee');
  if (shared.kind !== 'created') throw new Error(shared.kind);
  expect(await bea.chat.invite(shared.group, ['ada'])).toEqual([{ name: 'ada', kind: 'done' }]);
  await ada.chat.caughtUp(WAIT_MS);
  const waiting = await goneUnseen(line, ada, 'cocoa');
  await bea.chat.send(shared.group, 'nobody waits for me');
  expect(await bea.chat.flushed(WAIT_MS)).toBe(0);
  given = new Promise((resolve) => {
    give = resolve;
  });
  line.restore();
  await ada.restart();
  await ada.waitForText(shared.group, 'nobody waits for me');
  expect((await ada.chat.groups()).find(({ group }) => group === waiting)).toMatchObject({ epoch: 0 });
  const shown = (await ada.lines(shared.group)).at(-1)!;
  await bea.chat.send(shared.group, 'nor for me');
  await ada.waitForText(shared.group, 'nor for me');
  // nor does what she sends and commits elsewhere
  await ada.chat.send(shared.group, 'here I am');
  expect(await ada.chat.flushed(WAIT_MS)).toBe(0);
  await bea.waitForText(shared.group, 'here I am');
  expect(await ada.chat.rotate(shared.group)).toEqual({ kind: 'done' });
  expect((await ada.chat.groups()).find(({ group }) => group === waiting)).toMatchObject({ epoch: 0 });
  give();
  await ada.waitForText(waiting, 'anybody here?');
  await ada.chat.caughtUp(WAIT_MS);
  expect((await ada.chat.groups()).find(({ group }) => group === waiting)).toMatchObject({ state: 'member', epoch: 1 });
  expect((await ada.texts(shared.group)).slice(-3)).toEqual(['nobody waits for me', 'nor for me', 'here I am']);
  // whoever had read up to there gets what was held behind it
  const later = await ada.chat.history(shown.cursor!, { limit: 100 });
  expect(later.flatMap((each) => (each.kind === 'message' ? [each.text] : []))).toEqual([
    'nor for me',
    'here I am',
    'anybody here?',
  ]);
  for (const each of [ada, bea]) await each.stop();
});

test('D16: the server is asked again at once what became of a commit, however long its last refusal asked to wait', async () => {
  let refusals = 0;
  const line = answering(silentLine(), async () => {
    if (refusals === 0) return;
    refusals -= 1;
    throw new ProblemError('not-ready', 'come back much later', { retryAfterSeconds: 86_400 });
  });
  const eve = await openChatter(line.server, 'eve');
  const group = await goneUnseen(line, eve, 'milk');
  line.restore();
  refusals = 1;
  await eve.restart();
  await eve.waitForText(group, 'anybody here?');
  expect(await eve.chat.groups()).toMatchObject([{ group, state: 'member', epoch: 1 }]);
  await eve.stop();
});
