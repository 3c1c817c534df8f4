import type { ChatClient, ChatEvent, HistoryLine } from '../../src/client/chat-client.ts';
import { startOver } from '../../src/client/runner/start.ts';
import type { ClientStore } from '../../src/client/store/client-store.ts';
import { loadGroups } from '../../src/client/store/group-rows.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { createMlsConfig } from '../../src/mls/config.ts';
import { epochAuthenticatorOf } from '../../src/mls/session/state.ts';
import { toHex } from '../../src/wire/bytes.ts';
import { type Cursor, type GroupId, START_CURSOR } from '../../src/wire/ids.ts';
import type { FakeServer } from './fake-server.ts';
import { until } from './until.ts';

/** A client over a memory store and the fake server, that can be killed and started again with what it had stored. */
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
  readonly store?: (rows: Map<string, Uint8Array>) => ClientStore;
  readonly random?: () => number;
}

export async function openChatter(
  server: FakeServer,
  name: string,
  options: ChatterOptions = {},
): Promise<TestChatter> {
  const rows = new Map<string, Uint8Array>();
  const start = async (): Promise<ChatClient> => {
    const store = options.store?.(rows) ?? createMemoryStore(rows);
    const chat = await startOver(store, ({ id }) => server.connect(id), {
      server: 'fake',
      userName: name,
      ...(options.random === undefined ? {} : { random: options.random }),
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
