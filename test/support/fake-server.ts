/**
 * The server's HTTP API as a deterministic model in memory: it orders, checks epochs, keeps rosters and inboxes, and
 * can be told to lose answers, to refuse, or to be away. Calls take effect at once, in the order they are made.
 */
import type { ServerApi } from '../../src/client/transport/server-api.ts';
import type { DeviceId, GroupId } from '../../src/wire/ids.ts';
import { DEFAULT_LIMITS } from '../../src/wire/limits.ts';
import type { Page } from '../../src/wire/page.ts';
import type { Account } from '../../src/wire/schemas/accounts.ts';
import { accountCalls } from './fake-server/accounts.ts';
import { groupCalls } from './fake-server/groups.ts';
import { handshakeCalls } from './fake-server/handshakes.ts';
import { keyPackageCalls } from './fake-server/key-packages.ts';
import { createLine, type FakeLine, type Intercept } from './fake-server/line.ts';
import { messageCalls } from './fake-server/messages.ts';
import { createReading } from './fake-server/reading.ts';
import { FAKE_DOMAIN, SERVER_KEY } from './fake-server/receipts.ts';
import { createWorld, type FakeGroup, type FakeWorld, type LogItem, wake } from './fake-server/world.ts';

export interface FakeServer extends Pick<FakeLine, 'calls' | 'cut'> {
  /** The API as this device sees it. */
  connect(device: DeviceId): ServerApi;
  /** Every entry in log order. */
  readonly log: readonly LogItem[];
  readonly groups: ReadonlyMap<GroupId, FakeGroup>;
  /** The next such call of the device takes effect, but its answer is lost. */
  loseAnswer(device: DeviceId, method: keyof ServerApi): void;
  /** The next messages of the device are answered as accepted, and never placed. */
  swallowMessages(device: DeviceId): void;
  intercept: Intercept | undefined;
  /** Rewrites accounts as they are looked up: for servers that lie. */
  tamperAccount: ((account: Account) => Account) | undefined;
  /** Rewrites pages as they leave: for servers that lie. */
  tamper: ((device: DeviceId, page: Page) => Page) | undefined;
  /** Replaces the log by one with other cursors. */
  newIncarnation(): void;
  /** What it returns replaces the log by one that has lost all entries, answers and groups since. */
  remember(): () => void;
  /** Ends every stream. */
  dropStreams(): void;
  /** Largest number of entries a page has. */
  pageEntries: number;
}

export function createFakeServer(): FakeServer {
  const world = createWorld();
  const swallowed = new Set<DeviceId>();
  const line = createLine(world, {
    get intercept() {
      return server.intercept;
    },
    onCut: () => wake(world),
  });
  const reading = createReading(world, line, {
    get pageEntries() {
      return server.pageEntries;
    },
    get tamper() {
      return server.tamper;
    },
  });
  const served = (account: Account): Account => server.tamperAccount?.(account) ?? account;

  const server: FakeServer = {
    connect: (device) => ({
      serverInfo: () => line.act(device, 'serverInfo', [], () => serverInfo(world)),
      ...accountCalls(world, line, device, served),
      ...keyPackageCalls(world, line, device),
      ...groupCalls(world, line, device),
      ...handshakeCalls(world, line, device),
      ...messageCalls(world, line, device, swallowed),
      syncPage: (cursor, limit) =>
        line.act(device, 'syncPage', [cursor], () => reading.syncPage(device, cursor, limit)),
      syncStream: (cursor, signal) => reading.syncStream(device, cursor, signal),
      close: async () => {},
    }),
    log: world.log,
    groups: world.groups,
    calls: line.calls,
    cut: line.cut,
    loseAnswer: line.loseAnswer,
    swallowMessages: (device) => void swallowed.add(device),
    intercept: undefined,
    tamper: undefined,
    tamperAccount: undefined,
    newIncarnation: () => {
      world.incarnation += 1;
      wake(world);
    },
    remember: () => {
      const goBack = snapshot(world);
      return () => {
        goBack();
        server.newIncarnation();
      };
    },
    dropStreams: reading.dropStreams,
    pageEntries: 1000,
  };
  return server;
}

function serverInfo({ clock }: FakeWorld) {
  return {
    domain: FAKE_DOMAIN,
    version: '0',
    protocol: 1 as const,
    serverKey: SERVER_KEY.publicKey,
    ciphersuites: [1],
    time: clock,
    limits: { ...DEFAULT_LIMITS },
  };
}

/** The log as it is now, with what hangs on it; accounts and key packages stay as they are. */
function snapshot({ log, groups, answers, placed }: FakeWorld): () => void {
  const { length } = log;
  const kept = [...groups].map(([id, group]): [GroupId, FakeGroup] => {
    const { trees, proposals, entries } = group;
    return [id, { ...group, trees: new Map(trees), proposals: [...proposals], entries: [...entries] }];
  });
  const [answered, messages] = [[...answers], [...placed]];
  return () => {
    log.splice(length);
    refill(groups, kept);
    refill(answers, answered);
    refill(placed, messages);
  };
}

function refill<Key, Value>(map: Map<Key, Value>, entries: Iterable<readonly [Key, Value]>): void {
  map.clear();
  for (const [key, value] of entries) map.set(key, value);
}
