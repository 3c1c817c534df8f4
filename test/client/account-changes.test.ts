import { describe, expect, test } from 'vitest';
import { type ServerApi, TransportError } from '../../src/client/transport/server-api.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import { useChatters } from '../support/chatters.ts';
import { createFakeServer } from '../support/fake-server.ts';
import { until } from '../support/until.ts';

const open = useChatters();

/** Alice at a server whose way of answering a test may change. */
async function alone(changed: (api: ServerApi) => Partial<ServerApi> = () => ({})) {
  const server = createFakeServer();
  const connect: typeof server.connect = (device) => {
    const api = server.connect(device);
    return { ...api, ...changed(api) };
  };
  const alice = await open({ connect }, 'alice');
  const { account, device } = (await alice.chat.status()).me;
  const stored = async () => (await server.connect(device).account(account))!;
  const renamings = (): number => server.calls.filter((method) => method === 'renameAccount').length;
  return { server, alice, device, stored, renamings };
}
/** A line on which nothing of the log comes. */
const blind = (api: ServerApi): Pick<ServerApi, 'syncStream'> => ({
  async *syncStream(...args) {
    for await (const item of api.syncStream(...args)) if (item.type !== 'page') yield item;
  },
});
const notReady = (): ProblemError => new ProblemError('not-ready', 'away');

describe('a change of the account', () => {
  test('D16: whose answer was lost is sent again as it was, made once, and said to be done', async () => {
    const { server, alice, device, stored, renamings } = await alone();
    server.loseAnswer(device, 'renameAccount');
    expect(await alice.chat.rename('adele')).toEqual({ kind: 'done' });
    expect(renamings()).toBe(2);
    expect(await stored()).toMatchObject({ name: 'adele', statements: { length: 2 } });
    await until(async () => (await alice.chat.status()).me.name === 'adele');
  });

  test('D16: that the server took, and could not answer for a moment, is not said to be refused', async () => {
    let away = 2;
    const { alice, stored } = await alone((api) => ({
      renameAccount: async (key, body) => {
        const answer = await api.renameAccount(key, body);
        away -= 1;
        if (away >= 0) throw notReady();
        return answer;
      },
    }));
    expect(await alice.chat.rename('adele')).toEqual({ kind: 'done' });
    expect((await stored()).statements).toHaveLength(2);
  });

  test('of which nobody says what came of it is said to be unknown, and never to be refused', async () => {
    const { alice, stored } = await alone((api) => ({
      ...blind(api),
      renameAccount: async (key, body) => {
        await api.renameAccount(key, body);
        throw notReady();
      },
    }));
    await expect(alice.chat.rename('adele')).rejects.toMatchObject({
      code: 'unreachable',
      message: 'it is not known whether this was done: away',
    });
    expect((await stored()).statements).toHaveLength(2);
  });

  test('D16: that was made without an answer is not said to be refused when the next sending is turned away at the door', async () => {
    for (const code of ['rate-limited', 'storage-full', 'unauthenticated'] as const) {
      let sendings = 0;
      const { alice, stored } = await alone((api) => ({
        renameAccount: async (key, body) => {
          sendings += 1;
          if (sendings === 2) throw new ProblemError(code, 'later');
          const answer = await api.renameAccount(key, body);
          if (sendings === 1) throw notReady();
          return answer;
        },
      }));
      expect([code, await alice.chat.rename('adele')]).toEqual([code, { kind: 'done' }]);
      expect((await stored()).statements).toHaveLength(2);
    }
  });

  test('that nobody but the door answers after the first sending is said to be unknown', async () => {
    let sendings = 0;
    const { alice, stored } = await alone((api) => ({
      ...blind(api),
      renameAccount: async (key, body) => {
        sendings += 1;
        if (sendings > 1) throw new ProblemError('rate-limited', 'later');
        await api.renameAccount(key, body);
        throw new TransportError('malformed', 'the server answered 502 without a reason');
      },
    }));
    await expect(alice.chat.rename('adele')).rejects.toMatchObject({
      code: 'unreachable',
      message: 'it is not known whether this was done: later',
    });
    expect((await stored()).statements).toHaveLength(2);
  });

  test('D16: that was made without an answer, by a device that is revoked before it asks again, is never said to be refused', async () => {
    for (const isShown of [false, true]) {
      let sendings = 0;
      const { alice, stored } = await alone((api) => ({
        renameAccount: async (key, body) => {
          sendings += 1;
          if (sendings > 1) {
            // what the log shows before the line goes dead is known
            if (isShown) await until(async () => (await alice.chat.status()).me.name === 'adele');
            throw new ProblemError('unauthenticated', 'revoked', { members: { reason: 'revoked' } });
          }
          await api.renameAccount(key, body);
          throw notReady();
        },
        ...(isShown ? {} : blind(api)),
      }));
      const renamed = alice.chat.rename('adele').catch((error: unknown) => error);
      if (isShown) expect(await renamed).toEqual({ kind: 'done' });
      else {
        expect(await renamed).toMatchObject({
          code: 'unreachable',
          message: expect.stringMatching(/^it is not known whether this was done: this device was revoked/),
        });
      }
      expect([sendings, (await stored()).statements.length]).toEqual([2, 2]);
      await alice.stop();
    }
  });

  test('that was decided against is refused at once', async () => {
    const { alice, renamings } = await alone((api) => ({
      renameAccount: async (key, body) => {
        await api.renameAccount(key, body).catch(() => undefined);
        throw new ProblemError('storage-full', 'no room');
      },
    }));
    expect(await alice.chat.rename('adele')).toEqual({ kind: 'refused', reason: 'no room' });
    expect(renamings()).toBe(1);
  });

  test('stands although the account cannot be shown as it is now', async () => {
    let isBehind = false;
    const { alice, stored } = await alone((api) => ({
      renameAccount: async (key, body) => {
        const { account } = await api.renameAccount(key, body);
        return { account: isBehind ? { ...account, statements: account.statements.slice(0, 1) } : account };
      },
      account: (id, newest) => {
        if (newest !== undefined) throw notReady();
        return api.account(id);
      },
    }));
    expect(await alice.chat.rename('adele')).toEqual({ kind: 'done' });
    isBehind = true;
    expect(await alice.chat.rename('ada')).toEqual({ kind: 'done' });
    expect(await stored()).toMatchObject({ name: 'ada', statements: { length: 3 } });
    await until(async () => (await alice.chat.status()).me.name === 'ada');
  });
});
