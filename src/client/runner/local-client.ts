import { createMlsConfig } from '../../mls/config.ts';
import type { Suite } from '../../mls/suite.ts';
import { type ClientId, type Cursor, type GroupId, newClientId, type Sha256 } from '../../wire/ids.ts';
import type { ChatClient, HistoryLine } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import { withExpulsions } from '../engine/account-entry.ts';
import { noteRead } from '../engine/marks.ts';
import { ROTATION, type RotationPolicy } from '../engine/rotation.ts';
import { type EngineEnv, type Group, step } from '../engine/types.ts';
import type { ClientStore } from '../store/client-store.ts';
import { loadGroups } from '../store/group-rows.ts';
import { readHistory, readRecent } from '../store/history-rows.ts';
import { withQuotes } from '../store/message-rows.ts';
import { loadRecoveryCode, recoveryCodeRemoval } from '../store/recovery-rows.ts';
import type { ServerApi } from '../transport/server-api.ts';
import { createAccountCommands } from './account-commands.ts';
import { type AccountAlarm, accountWrite, createAccountBook } from './accounts.ts';
import { createFileCommands, dropStrayUploads } from './attachments.ts';
import { waitUntilCaughtUp } from './catch-up.ts';
import { openChatState } from './chat-state.ts';
import { createClientHub } from './client-hub.ts';
import { waitUntilCommitAnswered } from './commit-answered.ts';
import { createEffectRunner } from './effect-runner.ts';
import { createEntryReader, type PoisonedEntry, type ReadingProgress } from './entry-reader.ts';
import { asClientError } from './failures.ts';
import { accountsOf, membersStatus, statusOf } from './group-views.ts';
import { meOf, type StoredIdentity } from './identity.ts';
import { joinGroupByName } from './join-group.ts';
import { countKeyPackages, createRefiller, dropExpiredKeyPackages, refillKeyPackages } from './key-packages.ts';
import { leaveGroup } from './leave-command.ts';
import { createLocalCommands } from './local-commands.ts';
import { createMembershipCommands } from './membership-commands.ts';
import { openDirectory } from './open-directory.ts';
import { openGroupByName } from './open-group.ts';
import { type JoinedGroup, joinOwnGroups } from './own-groups.ts';
import { createPerformEffect } from './perform-effect.ts';
import { createPortableHistory } from './portable-history.ts';
import { createReceiptBook } from './receipt-book.ts';
import { loadReceiptsSetting } from './receipts-command.ts';
import { Aborted, pause, untilAnswered } from './retry.ts';
import { createRotationKeeper } from './rotation-keeper.ts';
import { createSendCommand, groupIn, unsentLines } from './send-command.ts';
import { createSerial } from './serial.ts';
import { createSyncLoop } from './sync-loop.ts';
import { openVerification } from './verification.ts';
import { createWaitingCommands } from './waiting-commands.ts';
import { withAny } from './with-any.ts';

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
  /** `false`: the caller does it, and looks at what comes of it. */
  readonly joinsAtStart?: boolean;
  readonly progress?: ReadingProgress;
  readonly poisoned?: readonly PoisonedEntry[];
  readonly rotation?: RotationPolicy;
}

export interface LocalClient extends ChatClient {
  /** Joins the groups of the account's other devices that this one does not know. Done by itself at every start. */
  joinOwnGroups(): Promise<readonly JoinedGroup[]>;
}

/**
 * The client in this thread: engine, store and connection. Takes over the store and the api and closes both.
 *
 * Fails as a whole when the store does: nothing is shown or sent that is not stored. Then the connection is `offline`
 * with the reason, and every call is refused.
 */
export async function openLocalClient(options: LocalClientOptions): Promise<LocalClient> {
  const { store, api, identity, suite, sha256, now, random, randomBytes } = options;
  const me = meOf(identity);
  const { directory, onKnown } = await openDirectory(store, identity, sha256);
  const config = createMlsConfig({ validateCredential: (text, key) => directory.validate(text, key) });
  const receiptsSetting = await loadReceiptsSetting(store);
  const marks = (): boolean => receiptsSetting.on;
  const env: EngineEnv = { suite, config, sha256, directory, me, now, randomBytes, marks };
  await dropExpiredKeyPackages(store, now());

  const serial = createSerial();
  const hub = createClientHub(serial);
  const { signal } = hub;
  const groups = (await loadGroups(store, config)).map((group) => withExpulsions(directory, group));
  await dropStrayUploads(store, groups);
  const state = await openChatState({
    store,
    groups,
    accountWrites: (account) => [accountWrite(account)],
    notify: (notices) => hub.tell(notices, (id) => effects.reconcile(id)),
  });
  const onAlarm = ({ account, text, group }: AccountAlarm): void => {
    const warn = async (): Promise<void> => {
      const batch = state.begin();
      const concerned = [...state.groups.values()].filter((each) => each.id === group || accountsOf(each).has(account));
      for (const { id } of concerned) {
        const present = batch.group(id);
        if (present !== undefined) batch.take(step(present, { lines: [{ kind: 'warning', text, time: now() }] }));
      }
      await batch.commit();
    };
    hub.run(serial.run(warn));
  };
  const accounts = createAccountBook({ store, api, directory, domain: me.domain, suite, sha256, signal, onAlarm });
  const verification = await openVerification({ store, state, serial, directory, accounts, me, sha256, now });
  onKnown((account) => hub.run(verification.look(account)));
  const refill = createRefiller((replaceLastResort) =>
    untilAnswered(
      () => {
        const newId = (): ClientId => newClientId(now(), randomBytes);
        return refillKeyPackages({ store, api, world: { suite, now }, me, newId, replaceLastResort, serial });
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
    commitAnswered: (group, until) => waitUntilCommitAnswered({ state, hub, ask: askForCommit }, group, until),
    onConnection: (connection) => hub.emit({ type: 'connection', connection }),
    onCaughtUp: (cursor) => hub.emit({ type: 'caught-up', cursor }),
    onProgress: (progress) => hub.emit({ type: 'progress', ...progress }),
    onStock: (news) => hub.run(refill(news.lastResortUsed)),
  });
  const catchUp = (until: AbortSignal, group?: GroupId): Promise<void> =>
    waitUntilCaughtUp({ api, sync, random }, until, group);
  const caughtUpOnce = (until: AbortSignal, group?: GroupId): Promise<void> =>
    untilAnswered(() => catchUp(until, group), { signal: until, random, wake: (ms) => pause(ms, until) });
  const receipts = createReceiptBook({ store, api, suite, sha256, domain: me.domain });
  const perform = createPerformEffect({
    env,
    receipts,
    api,
    store,
    state,
    serial,
    accounts,
    sync,
    caughtUp: caughtUpOnce,
    random,
  });
  const askForCommit = (id: GroupId, until: AbortSignal): void => {
    const pending = state.groups.get(id)?.pending;
    if (pending === undefined) return;
    const effect = { kind: 'post-commit', key: pending.id, id: pending.id } as const;
    hub.run(withAny([signal, until], (either) => perform(id, effect, either)));
  };
  const effects = createEffectRunner({ groups: state.groups, sha256, perform, signal, onFailure: hub.fail });

  const groupOf = (id: GroupId): Group => groupIn(state.groups.get(id));
  const quoted = (lines: readonly HistoryLine[]) =>
    withQuotes(store, lines, ({ group }) => state.groups.get(group)?.bytes);
  const checkOpen = (): void => {
    if (signal.aborted) throw new ClientError('closed', 'the client is closed');
  };

  const waiting = createWaitingCommands({ signal, state, sync, hub, catchUp: caughtUpOnce, checkOpen });
  const { caughtUp, flushed, unsent } = waiting;

  const commands = createMembershipCommands({ env, api, state, serial, accounts, outcomes: hub.outcomes });

  const ownAccount = createAccountCommands({ ...options, accounts, directory, signal });
  let recoveryCode = await loadRecoveryCode(store);
  const joinGroups = (): Promise<readonly JoinedGroup[]> =>
    joinOwnGroups({ env, api, state, serial, outcomes: hub.outcomes });
  const hasOtherDevices = (): boolean =>
    (directory.get(me.account)?.devices ?? []).some(({ id, revoked }) => id !== me.device && !revoked);
  /** Once caught up, so that what an invitation brings is not joined from outside. */
  const joinAtStart = async (): Promise<void> => {
    await sync.whenUpToDate(signal);
    if (signal.aborted || (directory.get(me.account)?.devices.length ?? 1) === 1) return;
    await untilAnswered(joinGroups, { signal, random, wake: (ms) => pause(ms, signal) });
  };

  const send = createSendCommand({ env, store, state, serial, sync });

  const keeper = createRotationKeeper({
    ...{ state, sync, now, random },
    policy: options.rotation ?? ROTATION,
    rotate: (id) => commands.rotate(id),
  });

  hub.run(sync.run(signal));
  hub.run(keeper.run(signal));
  hub.run(sync.whenUpToDate(signal).then(() => (signal.aborted ? undefined : refill(false))));
  const joinedAtStart = options.joinsAtStart === false ? Promise.resolve() : joinAtStart();
  hub.run(joinedAtStart);
  for (const id of state.groups.keys()) effects.reconcile(id);

  /** A new device is in its account's groups before it says that it is not invited to one. */
  const caughtUpAndJoined = async (timeoutMs: number): Promise<void> => {
    await caughtUp(timeoutMs);
    await joinedAtStart;
  };

  return {
    status: async () => ({
      me: { account: me.account, device: me.device, name: directory.get(me.account)?.name ?? me.name },
      server: options.server,
      connection: sync.connection,
      cursor: state.cursor,
      unsent: unsent(),
      keyPackages: await countKeyPackages(store),
      receipts: receiptsSetting.on,
    }),
    groups: async () => [...state.groups.values()].filter((group) => group.phase !== 'creating').map(statusOf),
    members: async (id) => membersStatus(groupOf(id), directory, me, verification.of),
    openGroup: async (name, wanted) => {
      checkOpen();
      const opened = await openGroupByName(
        { env, api, state, serial, caughtUp: caughtUpAndJoined, creations: hub.creations },
        name,
        wanted,
      );
      if (opened.kind === 'created' && hasOtherDevices()) {
        // the account's other devices belong there too; /invite with the own name does the same later
        const own = directory.get(me.account)?.name ?? me.name;
        hub.run(commands.invite(opened.group, [own]).then(() => {}));
      }
      return opened;
    },
    send: async (id, text, how) => {
      checkOpen();
      return send(id, text, how);
    },
    invite: async (id, names) => commands.invite(id, names),
    remove: async (id, names) => commands.remove(id, names),
    promote: async (id, names) => commands.promote(id, names),
    demote: async (id, names) => commands.demote(id, names),
    setPolicy: async (id, policy) => commands.setPolicy(id, policy),
    joinGroup: async (name) => {
      checkOpen();
      return joinGroupByName({ env, api, state, serial, caughtUp, outcomes: hub.outcomes }, name);
    },
    safetyNumber: verification.safetyNumber,
    markVerified: verification.markVerified,
    ...createFileCommands({ env, api, store, state, serial }),
    ...createLocalCommands({ store, state, serial }),
    ...createPortableHistory({ store, state, serial, directory, identity, suite, sha256 }),
    setReceipts: (on) => receiptsSetting.set(on, { state, serial }),
    rotate: async (id) => commands.rotate(id),
    rejoin: async (id) => commands.rejoin(id),
    leave: (id) => leaveGroup({ env, state, serial, leaves: hub.leaves }, id),
    ...ownAccount,
    takeRecoveryCode: async () => {
      const code = recoveryCode;
      recoveryCode = undefined;
      return code;
    },
    recoveryCodeShown: () => serial.run(() => store.commit([recoveryCodeRemoval()])),
    joinOwnGroups: joinGroups,
    markRead: (id) =>
      serial.run(async () => {
        const batch = state.begin();
        const group = groupOf(id);
        const read = noteRead(group);
        if (group.unread === 0 && read === group) return;
        batch.take(step({ ...read, unread: 0 }));
        await batch.commit();
      }),
    history: (after: Cursor, { group, limit }) =>
      readHistory(store, after, { limit, ...(group === undefined ? {} : { group: groupOf(group).bytes }) }).then(
        quoted,
      ),
    recent: async (id, limit) => {
      const group = groupOf(id);
      const lines = await quoted(await readRecent(store, group.bytes, limit));
      return [...lines, ...unsentLines(group, env)].slice(-limit);
    },
    caughtUp,
    flushed,
    subscribe: hub.subscribe,
    close: async () => {
      const ended = hub.close();
      // requests under way end with their connections: what they ask for is stored, and asked again at the next start
      await api.close();
      await ended;
      await effects.stopped();
      await serial.idle();
      serial.fail(new ClientError('closed', 'the client is closed'));
      await store.close();
    },
  };
}
