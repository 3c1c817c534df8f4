import { describe, expect, test } from 'vitest';
import { withFirstHead, withHead } from '../../src/client/engine/recent-heads.ts';
import { emptyGroup } from '../../src/client/engine/welcome.ts';
import { isElsewhere } from '../../src/client/engine/witness.ts';
import { type ServerApi, TransportError } from '../../src/client/transport/server-api.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import type { Position } from '../../src/wire/ids.ts';
import type { MessagesResponse } from '../../src/wire/schemas/groups.ts';
import { type ConnectableServer, overHttp } from '../support/chat-clients.ts';
import { audited, deviceOf, together, useChatters, WAIT_MS, warningsOf } from '../support/chatters.ts';
import { receiptFor } from '../support/fake-server/receipts.ts';
import { createFakeServer } from '../support/fake-server.ts';
import { keepOnly } from '../support/keep-only.ts';
import { until } from '../support/until.ts';
import { useTestServer } from '../support/use-server.ts';

const GONE = /no longer on the server\.$/;
const chatter = useChatters();

describe('a message that is sent again after it was compacted, on an honest server', () => {
  const server = useTestServer();
  const real = overHttp(() => server().url());

  test('whose answer comes before the gap is read, is shown once, and nothing is said against the server', async () => {
    const alice = await chatter(real, 'alice');
    const line = heldLine(real);
    const bob = await chatter(line.server, 'bob');
    const group = await together([alice, bob]);
    line.hold('no-answers');
    await bob.chat.send(group, 'did you get this?');
    await alice.waitForText(group, 'did you get this?');
    await alice.chat.send(group, 'and more');
    expect(await alice.chat.flushed(WAIT_MS)).toBe(0);
    await keepOnly(server(), 1);
    line.hold('no-news');
    await until(() => line.answers.length > 0);
    const [answer] = line.answers;
    expect(answer!.logStart).toBeGreaterThan(answer!.results[0]!.position!);
    line.release();
    await bob.waitForText(group, 'and more');
    await until(async () => (await bob.chat.status()).unsent === 0);
    await bob.chat.caughtUp(WAIT_MS);
    expect((await bob.texts(group)).sort()).toEqual(['and more', 'did you get this?']);
    expect(await warningsOf(bob)).toEqual([expect.stringMatching(GONE)]);
    await bob.chat.send(group, 'good');
    await alice.waitForText(group, 'good');
    await bob.waitForText(group, 'good');
    const { groups, findings } = await audited(bob);
    expect(findings).toEqual([]);
    expect(groups).toMatchObject([{ waiting: 0 }]);
    // the promise about the end of what is gone was compared with the gap
    expect(groups[0]!.agreeing).toBeGreaterThanOrEqual(2);
  });

  test('and with it the commit that ended its epoch, is not encrypted anew: no number is missing to anybody', async () => {
    const alice = await chatter(real, 'ada');
    const line = heldLine(real);
    let mayPost = true;
    const untilJoined = (api: ServerApi): ServerApi => ({
      ...api,
      postMessages: async (...asked) => {
        if (!mayPost) throw new TransportError('unreachable', 'it got lost');
        return api.postMessages(...asked);
      },
      postCommit: async (...asked) => {
        const answer = await api.postCommit(...asked);
        mayPost = true;
        return answer;
      },
    });
    const bob = await chatter({ connect: (device, sign) => untilJoined(line.server.connect(device, sign)) }, 'bea');
    const group = await together([alice, bob], 'numbers');
    line.hold('no-answers');
    await bob.chat.send(group, 'did you get this?');
    await alice.waitForText(group, 'did you get this?');
    mayPost = false;
    await bob.chat.send(group, 'so I ask again');
    expect(await alice.chat.rotate(group)).toEqual({ kind: 'done' });
    await alice.chat.send(group, 'and more');
    expect(await alice.chat.flushed(WAIT_MS)).toBe(0);
    await keepOnly(server(), 1);
    line.release();
    await alice.waitForText(group, 'so I ask again');
    await alice.chat.caughtUp(WAIT_MS);
    expect(await warningsOf(alice)).toEqual([]);
    for (const text of ['did you get this?', 'so I ask again']) await bob.waitForText(group, text);
    expect((await bob.texts(group)).sort()).toEqual(['did you get this?', 'so I ask again']);
  });
});

describe('D5: a server that says of a message that it is gone, to hide it,', () => {
  test.each<{ what: string; at: (read: number) => number }>([
    { what: 'where something else was read', at: (read) => read },
    { what: 'before it was written', at: () => 1 },
    { what: 'where something else is about to come', at: (read) => read + 1 },
  ])('is caught when it says that it stood $what', async ({ at }) => {
    const { alice, group, read } = await hidden(({ read, end }) => ({ position: at(read), signed: end }));
    expect(await warningsOf(alice)).toEqual([
      `The server said that a message of yours is entry ${at(read)} of #tea, and shows another one there: it is not to be trusted`,
    ]);
    expect(await alice.texts(group)).toEqual(['in its place']);
    expect((await audited(alice)).findings).toMatchObject([{ kind: 'unproven', position: at(read) }]);
  });

  test('is caught when it gives no receipt for that, however long ago it says it was', async () => {
    const { alice, group } = await hidden(() => ({ position: 1 }));
    expect((await warningsOf(alice)).join()).toMatch(/is not to be trusted|is worth nothing: there is none/);
    expect(await alice.texts(group)).toEqual(['in its place']);
  });

  test('is caught by its own signature when it shows another history than it promised', async () => {
    const { alice } = await hidden(({ read, end }) => ({
      position: read + 1,
      signed: { ...end, head: nodeSha256(end.head) },
    }));
    expect(await warningsOf(alice)).toEqual([expect.stringMatching(/^The server has signed another history of #tea/)]);
    expect((await audited(alice)).findings).toMatchObject([{ kind: 'receipt' }]);
  });

  interface Place {
    readonly position: number;
    readonly head: Uint8Array;
  }
  type Excuse = (now: { readonly read: number; readonly end: Place }) => {
    readonly position: number;
    readonly signed?: Place;
  };

  /** Bob said something that alice has not read when hers is dropped, with an excuse; then she reads on. */
  async function hidden(excuse: Excuse) {
    const server = createFakeServer();
    const line = heldLine({ connect: (device) => excusing(device, server.connect(device)) });
    let victim = '';
    let read = 0;
    const excusing = (device: string, api: ServerApi): ServerApi => ({
      ...api,
      postMessages: async (key, id, messages) => {
        if (device !== victim) return api.postMessages(key, id, messages);
        const { bytes, position, head, epoch } = server.groups.get(id)!;
        const { position: at, signed } = excuse({ read, end: { position, head } });
        const results = messages.map((message) => ({ id: message.id, position: at as Position }));
        if (signed === undefined) return { results, epoch };
        const receipt = receiptFor(bytes, signed.position, signed.head, 0);
        return { results, epoch, logStart: (signed.position + 1) as Position, receipt };
      },
    });
    const [alice, bob] = [await chatter(line.server, 'alice'), await chatter(server, 'bob')];
    const group = await together([alice, bob]);
    victim = await deviceOf(alice);
    read = server.groups.get(group)!.position;
    line.hold('no-news');
    await bob.chat.send(group, 'in its place');
    expect(await bob.chat.flushed(WAIT_MS)).toBe(0);
    await alice.chat.send(group, 'hidden');
    await until(() => line.answers.length > 0);
    line.release();
    await alice.waitForText(group, 'in its place');
    await until(async () => (await warningsOf(alice)).length > 0);
    return { alice, group, read };
  }
});

test('of what was never read here, as behind a gap, a place can be believed; of what was read, or is older than the text, not', () => {
  const head = new Uint8Array(32);
  const behindGap = withFirstHead(emptyGroup(new Uint8Array(16), 'tea'), 5, head);
  const group = withHead(withHead(behindGap, 6, head), 7, head);
  const places = (sealedAfter: number, on = group) =>
    [3, 4, 5, 6, 7, 8].filter((position) => isElsewhere(on, { sealedAfter }, position));
  expect(places(0)).toEqual([6, 7]);
  expect(places(3)).toEqual([3, 6, 7]);
  expect(places(7)).toEqual([3, 4, 5, 6, 7]);
  // a log that went back gives places again
  expect(places(20)).toEqual([6, 7]);
  expect(places(20, behindGap)).toEqual([]);
});

/** A client's line: without answers to messages and news, without news alone, or open. What was kept back is gone by then. */
function heldLine(real: ConnectableServer) {
  let open = (): void => {};
  let opening = Promise.resolve();
  let state: 'open' | 'no-answers' | 'no-news' = 'open';
  const answers: MessagesResponse[] = [];
  const wrap = (api: ServerApi): ServerApi => ({
    ...api,
    postMessages: async (...asked) => {
      const answer = await api.postMessages(...asked);
      if (state === 'no-answers') throw new TransportError('unreachable', 'the answer got lost');
      if (state === 'no-news') answers.push(answer);
      return answer;
    },
    syncPage: async (...asked) => {
      if (state !== 'open') throw new TransportError('unreachable', 'the page got lost');
      return api.syncPage(...asked);
    },
    async *syncStream(cursor, signal) {
      for await (const item of api.syncStream(cursor, signal)) {
        if (state !== 'open') {
          const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
          await Promise.race([opening, aborted]);
          throw new TransportError('unreachable', 'the connection was cut');
        }
        yield item;
      }
    },
  });
  return {
    answers,
    server: { connect: (device, sign) => wrap(real.connect(device, sign)) } satisfies ConnectableServer,
    hold: (what: 'no-answers' | 'no-news') => {
      if (state === 'open') {
        opening = new Promise((resolve) => {
          open = resolve;
        });
      }
      state = what;
    },
    release: () => {
      state = 'open';
      open();
    },
  };
}
