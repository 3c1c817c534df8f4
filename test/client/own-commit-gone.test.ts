import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ServerApi, TransportError } from '../../src/client/transport/server-api.ts';
import { type ConnectableServer, openChatter, overHttp } from '../support/chat-clients.ts';
import { keepOnly } from '../support/keep-only.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

const WAIT_MS = 240_000;
let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server[Symbol.asyncDispose]());

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
  const opened = await alice.chat.openGroup('tea');
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
