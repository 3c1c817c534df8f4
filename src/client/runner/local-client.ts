import { createMlsConfig } from '../../mls/config.ts';
import type { Suite } from '../../mls/suite.ts';
import { type ClientId, type Cursor, type GroupId, newClientId, type Sha256 } from '../../wire/ids.ts';
import type { ChatClient } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import { createDirectory } from '../engine/directory.ts';
import type { EngineEnv, Group } from '../engine/types.ts';
import type { ClientStore } from '../store/client-store.ts';
import { loadGroups } from '../store/group-rows.ts';
import { readHistory, readRecent } from '../store/history-rows.ts';
import type { ServerApi } from '../transport/server-api.ts';
import { accountWrite, createAccountBook, loadAccounts } from './accounts.ts';
import { waitUntilCaughtUp } from './catch-up.ts';
import { openChatState } from './chat-state.ts';
import { createClientHub } from './client-hub.ts';
import { createEffectRunner } from './effect-runner.ts';
import { createEntryReader, type PoisonedEntry, type ReadingProgress } from './entry-reader.ts';
import { asClientError } from './failures.ts';
import { membersStatus, statusOf } from './group-views.ts';
import { meOf, type StoredIdentity } from './identity.ts';
import { createRefiller, dropExpiredKeyPackages, refillKeyPackages } from './key-packages.ts';
import { leaveGroup } from './leave-command.ts';
import { createMembershipCommands } from './membership-commands.ts';
import { openGroupByName } from './open-group.ts';
import { createPerformEffect } from './perform-effect.ts';
import { Aborted, pause, untilAnswered } from './retry.ts';
import { createSendCommand, groupIn, unsentLines } from './send-command.ts';
import { createSerial } from './serial.ts';
import { createSyncLoop } from './sync-loop.ts';

export interface LocalClientOptions {
  readonly store: ClientStore;
  readonly api: ServerApi;
  /** Registered. */
  readonly identity: StoredIdentity;
  /** For people: where `api` leads. */
  readonly server: string;
  readonly suite: Suite;
  readonly sha256: Sha256;
  readonly now: () => number;
  readonly monotonicMs: () => number;
  readonly random: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly progress?: ReadingProgress;
  readonly poisoned?: readonly PoisonedEntry[];
}

/**
 * The client in this thread: engine, store and connection. Takes over the store and the api and closes both.
 *
 * Fails as a whole when the store does: nothing is shown or sent that is not stored. Then the connection is `offline`
 * with the reason, and every call is refused.
 */
export async function openLocalClient(options: LocalClientOptions): Promise<ChatClient> {
  const { store, api, identity, suite, sha256, now, random, randomBytes } = options;
  const me = meOf(identity);
  const directory = createDirectory(me.domain, await loadAccounts(store));
  if (directory.get(me.account) === undefined) {
    const { statement, signature, device } = identity;
    const devices = [{ id: device, signatureKeys: [identity.keys.signPublic], revoked: false }];
    const own = { id: me.account, name: me.name, devices, statements: [{ statement, signature }] };
    directory.put(own);
    await store.commit([accountWrite(own)]);
  }
  const config = createMlsConfig({ validateCredential: (text, key) => directory.validate(text, key) });
  const env: EngineEnv = { suite, config, sha256, directory, me, now, randomBytes };
  await dropExpiredKeyPackages(store, now());

  const serial = createSerial();
  const hub = createClientHub(serial);
  const { signal } = hub;
  const state = await openChatState({
    store,
    groups: await loadGroups(store, config),
    notify: (notices) => hub.tell(notices, (id) => effects.reconcile(id)),
  });
  const accounts = createAccountBook({ store, api, directory, domain: me.domain, suite, sha256 });
  const refill = createRefiller((replaceLastResort) =>
    untilAnswered(
      () => {
        const newId = (): ClientId => newClientId(now(), randomBytes);
        return refillKeyPackages({ store, api, world: { suite, now }, me, newId, replaceLastResort });
      },
      { signal, random, wake: (ms) => pause(ms, signal) },
    ).catch((error: unknown) => {
      // a package that is refused is no reason to stop: the next notice asks again
      if (error instanceof Aborted || asClientError(error, 'publishing key packages').code === 'refused') return;
      throw error;
    }),
  );
  const reader = createEntryReader({
    env,
    store,
    state,
    progress: options.progress ?? { begin: () => {}, end: () => {} },
    poisoned: options.poisoned ?? [],
    monotonicMs: options.monotonicMs,
  });
  const sync = createSyncLoop({
    api,
    state,
    reader,
    accounts,
    serial,
    random,
    now: env.now,
    onConnection: (connection) => hub.emit({ type: 'connection', connection }),
    onCaughtUp: (cursor) => hub.emit({ type: 'caught-up', cursor }),
    onProgress: (done) => hub.emit({ type: 'progress', done }),
    onStock: (news) => hub.run(refill(news.lastResortUsed)),
  });
  const catchUp = (until: AbortSignal): Promise<void> => waitUntilCaughtUp({ api, state, sync }, until);
  const caughtUpOnce = (until: AbortSignal): Promise<void> =>
    untilAnswered(() => catchUp(until), { signal: until, random, wake: (ms) => pause(ms, until) });
  const perform = createPerformEffect({
    env,
    api,
    store,
    state,
    serial,
    accounts,
    sync,
    caughtUp: caughtUpOnce,
    random,
  });
  const effects = createEffectRunner({ groups: state.groups, sha256, perform, signal, onFailure: hub.fail });

  const groupOf = (id: GroupId): Group => groupIn(state.groups.get(id));
  const unsent = (): number =>
    [...state.groups.values()].reduce((sum, group) => sum + group.outbox.filter((item) => !item.accepted).length, 0);
  const checkOpen = (): void => {
    if (signal.aborted) throw new ClientError('closed', 'the client is closed');
  };

  const caughtUp = async (timeoutMs: number): Promise<void> => {
    checkOpen();
    sync.nudge();
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      await caughtUpOnce(AbortSignal.any([signal, timeout]));
    } catch (error) {
      checkOpen();
      if (!(error instanceof Aborted)) throw asClientError(error, 'catching up');
      const { connection } = sync;
      if (connection.state === 'online') throw new ClientError('timeout', `not caught up within ${timeoutMs} ms`);
      const why = connection.state === 'offline' ? connection.reason : 'no answer yet';
      throw new ClientError('unreachable', `the server cannot be reached: ${why}`);
    }
  };

  const commands = createMembershipCommands({ env, api, state, serial, accounts, outcomes: hub.outcomes });

  const send = createSendCommand({ env, store, state, serial, sync });

  hub.run(sync.run(signal));
  hub.run(sync.whenUpToDate(signal).then(() => (signal.aborted ? undefined : refill(false))));
  for (const id of state.groups.keys()) effects.reconcile(id);

  return {
    status: async () => ({
      me: { account: me.account, device: me.device, name: me.name },
      server: options.server,
      connection: sync.connection,
      cursor: state.cursor,
      unsent: unsent(),
    }),
    groups: async () => [...state.groups.values()].filter((group) => group.phase !== 'creating').map(statusOf),
    members: async (id) => membersStatus(groupOf(id), directory, me),
    openGroup: async (name) => {
      checkOpen();
      return openGroupByName({ env, api, state, serial, caughtUp, creations: hub.creations }, name);
    },
    send: async (id, text) => {
      checkOpen();
      return send(id, text);
    },
    invite: async (id, names) => commands.invite(id, names),
    remove: async (id, names) => commands.remove(id, names),
    rotate: async (id) => commands.rotate(id),
    rejoin: async (id) => commands.rejoin(id),
    leave: (id) => leaveGroup({ env, state, serial, leaves: hub.leaves }, id),
    markRead: (id) =>
      serial.run(async () => {
        const batch = state.begin();
        const group = groupOf(id);
        if (group.unread === 0) return;
        batch.take({ group: { ...group, unread: 0 }, lines: [], signals: [], consumed: [] });
        await batch.commit();
      }),
    history: (after: Cursor, { group, limit }) =>
      readHistory(store, after, { limit, ...(group === undefined ? {} : { group: groupOf(group).bytes }) }),
    recent: async (id, limit) => {
      const group = groupOf(id);
      const lines = await readRecent(store, group.bytes, limit);
      return [...lines, ...unsentLines(group, env)].slice(-limit);
    },
    caughtUp,
    flushed: async (timeoutMs) => {
      if (unsent() > 0 && !signal.aborted) {
        const empty = new AbortController();
        const look = (): void => {
          if (unsent() === 0) empty.abort();
        };
        const stopLooking = hub.onCommitted(look);
        sync.nudge();
        await pause(timeoutMs, AbortSignal.any([signal, empty.signal]));
        stopLooking();
      }
      return unsent();
    },
    subscribe: hub.subscribe,
    close: async () => {
      await hub.close();
      await effects.stopped();
      await serial.idle();
      serial.fail(new ClientError('closed', 'the client is closed'));
      await api.close();
      await store.close();
    },
  };
}
