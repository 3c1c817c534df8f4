import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { loadIdentity, type StoredIdentity } from '../../src/client/runner/identity.ts';
import { linkDevice } from '../../src/client/runner/new-device.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { TransportError } from '../../src/client/transport/server-api.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import { encodeStatement, type LaterStatement } from '../../src/wire/account-chain.ts';
import { statementToSign } from '../../src/wire/account-statement.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import type { Account } from '../../src/wire/schemas/accounts.ts';
import type { ConnectableServer, TestChatter } from '../support/chat-clients.ts';
import { statusIn, together, useChatters, WAIT_MS, warningsOf } from '../support/chatters.ts';
import { createFakeServer, type FakeServer } from '../support/fake-server.ts';
import { newId } from '../support/signed-client.ts';
import { until } from '../support/until.ts';

const open = useChatters();

interface Scene {
  readonly server: FakeServer;
  readonly ann: TestChatter;
  readonly bob: TestChatter;
  readonly leo: TestChatter;
  readonly group: GroupId;
  /** What leo's phone, which is in no group, says of the account. */
  readonly says: (statement: Pick<LaterStatement, 'type'> & Record<string, unknown>) => Promise<unknown>;
  /** Leo's device in the group is revoked: nobody but ann is there to take it out. */
  readonly revoke: () => Promise<void>;
  /** From now on nothing that ann commits arrives. */
  readonly cutCommits: () => void;
  /** The same but for the next commit, which waits until what is returned is called; `made` resolves when it is on its way. */
  readonly holdNextCommit: () => { readonly made: Promise<void>; readonly release: () => void };
  /** From now on a node that bob asks has leo as he is now; asked for the newest, it lies as long as told to. */
  readonly fallBehind: (whenAsked?: () => 'still-old' | undefined) => Promise<void>;
  readonly asked: () => number;
  /** From now on bob is refused the newest of anybody else. */
  readonly refuseOthers: () => void;
}

/** Ann and leo in one group, leo with a phone beside it, and bob. */
async function scene(): Promise<Scene> {
  const server = createFakeServer();
  let isCut = false;
  let hold: (() => Promise<void>) | undefined;
  const annsServer: ConnectableServer = {
    connect: (device) => {
      const api = server.connect(device);
      return {
        ...api,
        postCommit: async (...request) => {
          if (isCut && hold === undefined) throw new TransportError('unreachable', 'ann is away');
          const held = hold?.();
          hold = undefined;
          await held;
          return api.postCommit(...request);
        },
      };
    },
  };
  let behind: Account | undefined;
  let lies: () => 'still-old' | undefined = () => undefined;
  let asked = 0;
  let refusesOthers = false;
  const bobsServer: ConnectableServer = {
    connect: (device) => {
      const api = server.connect(device);
      return {
        ...api,
        account: async (id, newest) => {
          if (id !== behind?.id) {
            if (refusesOthers && newest !== undefined) throw new ProblemError('forbidden', 'not for bob');
            return api.account(id, newest);
          }
          if (newest === undefined) return behind;
          asked += 1;
          return lies() === 'still-old' ? behind : api.account(id, newest);
        },
      };
    },
  };
  const [ann, bob, leo] = [await open(annsServer, 'ann'), await open(bobsServer, 'bob'), await open(server, 'leo')];
  const { account, device } = (await leo.chat.status()).me;
  const phone = await linked(server, leo);
  const stored = async (): Promise<Account> => (await server.connect(phone.device).account(account))!;
  const says: Scene['says'] = async (statement) => {
    const { statements } = await stored();
    const chained = { v: 1, account, previous: nodeSha256(statements.at(-1)!.statement), by: phone.device, time: 1 };
    const bytes = encodeStatement({ ...chained, ...statement } as LaterStatement);
    const signed = {
      statement: bytes,
      signature: await createNodeSuite().signature.sign(phone.deviceKey.signKey, statementToSign(bytes)),
    };
    const api = server.connect(phone.device);
    return statement.type === 'rename'
      ? api.renameAccount(newId(), signed as never)
      : api.revokeDevice(newId(), device, signed as never);
  };
  const group = await together([ann, leo]);
  return {
    ...{ server, ann, bob, leo, group, says },
    revoke: async () => {
      await says({ type: 'revoke-device', device });
      await until(async () => (await ann.lines(group)).some(({ kind }) => kind === 'account'));
    },
    cutCommits: () => {
      isCut = true;
    },
    holdNextCommit: () => {
      isCut = true;
      let release = (): void => {};
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      const made = new Promise<void>((resolve) => {
        hold = () => {
          resolve();
          return released;
        };
      });
      return { made, release: () => release() };
    },
    fallBehind: async (whenAsked = () => undefined) => {
      lies = whenAsked;
      behind = await stored();
    },
    asked: () => asked,
    refuseOthers: () => {
      refusesOthers = true;
    },
  };
}

/** A further device of the account, that is there and does nothing by itself. */
async function linked(server: FakeServer, leo: TestChatter): Promise<StoredIdentity> {
  const store = createMemoryStore(new Map());
  const { account } = (await leo.chat.status()).me;
  let offered: (code: string) => void = () => {};
  const offer = new Promise<string>((resolve) => {
    offered = resolve;
  });
  const adding = linkDevice(store, ({ id }) => server.connect(id), {
    ...{ account, label: 'phone', server: 'fake', long: true, onOffer: offered },
    signal: AbortSignal.timeout(WAIT_MS),
    now: Date.now,
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
  });
  expect(await leo.chat.link((await Promise.race([offer, adding]))!)).toEqual({ kind: 'done' });
  await adding;
  return (await loadIdentity(store))!;
}

/** Bob's way in by ann's invitation, which stands behind the revocation. */
async function invited({ ann, bob, group, holdNextCommit, revoke }: Scene): Promise<void> {
  const { made, release } = holdNextCommit();
  const inviting = ann.chat.invite(group, ['bob']);
  await made;
  await revoke();
  release();
  expect(await inviting).toMatchObject([{ kind: 'done' }]);
  await until(async () => (await statusIn(bob, group))?.state === 'member');
}

const names = async ({ bob, group }: Scene): Promise<string[]> =>
  (await bob.chat.members(group)).map(({ name }) => name);
const takesOut = (all: Scene): Promise<unknown> =>
  until(
    async () => (await names(all)).toSorted().join() === 'ann,bob',
    () => 'the revoked device stays',
  );
const warnings = ({ bob, group }: Scene): Promise<string[]> => warningsOf(bob, group);

test('S5: who is invited behind a revocation asks for it where the node is behind, and takes the device out that nobody else takes out', async () => {
  const all = await scene();
  await all.fallBehind();
  await invited(all);
  await takesOut(all);
  expect(all.asked()).toBe(1);
  expect(await warnings(all)).toEqual([]);
});

test('who is refused the account of one member asks for the others all the same, until each has answered', async () => {
  const all = await scene();
  await all.fallBehind(() => {
    if (all.asked() === 1) throw new TransportError('unreachable', 'not now');
    return undefined;
  });
  all.refuseOthers();
  await invited(all);
  await takesOut(all);
  expect(all.asked()).toBe(2);
});

test('who is invited behind a revocation has it also of an account that was known before', async () => {
  const all = await scene();
  const own = await together([all.bob, all.leo], 'own');
  expect(await all.bob.chat.remove(own, ['leo'])).toMatchObject([{ kind: 'done' }]);
  await invited(all);
  await takesOut(all);
  expect(await warnings(all)).toEqual([]);
});

test('who comes in from outside behind a revocation takes the device out too', async () => {
  const all = await scene();
  expect(await all.ann.chat.setPolicy(all.group, { join: 'open' })).toEqual({ kind: 'done' });
  await all.fallBehind();
  all.cutCommits();
  await all.revoke();
  expect(await all.bob.chat.joinGroup('tea')).toEqual({ kind: 'joined', group: all.group });
  await takesOut(all);
  expect(await warnings(all)).toEqual([]);
});

test('S5: a server that hides a revocation from who is let in cannot do so behind the next change of the account', async () => {
  const all = await scene();
  await all.fallBehind(() => (all.asked() === 1 ? 'still-old' : undefined));
  await invited(all);
  await until(() => all.asked() === 1);
  expect(await names(all)).toContain('leo');
  expect(await warnings(all)).toEqual([]);
  await all.says({ type: 'rename', name: 'leonard' });
  await takesOut(all);
  expect(await warnings(all)).toEqual([]);
});
