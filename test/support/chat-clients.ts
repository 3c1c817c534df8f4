import { randomBytes } from 'node:crypto';
import type { ChatClient, ChatEvent, HistoryLine } from '../../src/client/chat-client.ts';
import type { RotationPolicy } from '../../src/client/engine/rotation.ts';
import { startOver } from '../../src/client/runner/start.ts';
import type { ClientStore } from '../../src/client/store/client-store.ts';
import { loadGroups } from '../../src/client/store/group-rows.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { createHttpApi } from '../../src/client/transport/http-api.ts';
import { nodeHttp } from '../../src/client/transport/http-request.ts';
import type { ServerApi } from '../../src/client/transport/server-api.ts';
import { createMlsConfig } from '../../src/mls/config.ts';
import { epochAuthenticatorOf } from '../../src/mls/session/state.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { toHex } from '../../src/wire/bytes.ts';
import { type Cursor, type DeviceId, type GroupId, START_CURSOR } from '../../src/wire/ids.ts';
import { until } from './until.ts';

/** A client over a memory store, that can be killed and started again with what it had stored. */
export interface TestChatter {
  readonly name: string;
  readonly rows: Map<string, Uint8Array>;
  chat: ChatClient;
  /** Every event since the last start. */
  events: ChatEvent[];
  /** Ends it as it is, and starts it again over the same rows. */
  restart(): Promise<void>;
  stop(): Promise<void>;
  /** Texts of the group's messages, as stored, oldest first. */
  texts(group: GroupId): Promise<string[]>;
  lines(group?: GroupId): Promise<readonly HistoryLine[]>;
  waitForText(group: GroupId, text: string): Promise<void>;
  /** Of the epoch as stored: equal for members that agree about everything up to it. */
  epochAuthenticator(group: GroupId): Promise<string>;
}

export interface ChatterOptions {
  readonly store?: (rows: Map<string, Uint8Array>) => ClientStore | Promise<ClientStore>;
  readonly random?: () => number;
  readonly rotation?: RotationPolicy;
}

/** A server that clients can be connected to: the fake one, or {@link overHttp}. */
export interface ConnectableServer {
  connect(device: DeviceId, sign: (message: Uint8Array) => Promise<Uint8Array>): ServerApi;
}

/** A real server, to be asked for its address whenever a client connects. */
export function overHttp(url: () => string): ConnectableServer {
  const world = {
    sha256: nodeSha256,
    now: Date.now,
    randomBytes: (length: number) => new Uint8Array(randomBytes(length)),
    platform: nodeHttp,
  };
  return { connect: (device, sign) => createHttpApi({ server: url(), device, sign, ...world }) };
}

export async function openChatter(
  server: ConnectableServer,
  name: string,
  options: ChatterOptions = {},
): Promise<TestChatter> {
  const rows = new Map<string, Uint8Array>();
  const start = async (): Promise<ChatClient> => {
    const store = (await options.store?.(rows)) ?? createMemoryStore(rows);
    const chat = await startOver(store, ({ id, sign }) => server.connect(id, sign), {
      server: 'fake',
      userName: name,
      ...(options.random === undefined ? {} : { random: options.random }),
      ...(options.rotation === undefined ? {} : { rotation: options.rotation }),
    });
    chatter.events = [];
    chat.subscribe((event) => chatter.events.push(event));
    return chat;
  };
  const chatter: TestChatter = {
    name,
    rows,
    chat: undefined as unknown as ChatClient,
    events: [],
    restart: async () => {
      await chatter.chat.close();
      chatter.chat = await start();
    },
    stop: () => chatter.chat.close(),
    texts: async (group) =>
      (await chatter.lines(group)).flatMap((line) => (line.kind === 'message' ? [line.text] : [])),
    lines: async (group) => {
      const lines: HistoryLine[] = [];
      let after: Cursor = START_CURSOR;
      for (;;) {
        const more = await chatter.chat.history(after, { limit: 100, ...(group === undefined ? {} : { group }) });
        lines.push(...more);
        const last = more.at(-1)?.cursor;
        if (more.length < 100 || last === undefined) return lines;
        after = last;
      }
    },
    epochAuthenticator: async (group) => {
      const stored = await loadGroups(createMemoryStore(rows), createMlsConfig({ validateCredential: () => true }));
      return toHex(epochAuthenticatorOf(stored.find(({ id }) => id === group)!.mls!));
    },
    waitForText: async (group, text) => {
      await until(
        async () => (await chatter.texts(group)).includes(text),
        () => `${name} never saw ${text}`,
      );
    },
  };
  chatter.chat = await start();
  return chatter;
}
