/** The client from the page it was sent to the rows it has stored, without a network around it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDirectory } from '../src/client/engine/directory.ts';
import type { EngineEnv, Group } from '../src/client/engine/types.ts';
import { emptyGroup } from '../src/client/engine/welcome.ts';
import { openChatState } from '../src/client/runner/chat-state.ts';
import { createEntryReader } from '../src/client/runner/entry-reader.ts';
import type { ClientStore } from '../src/client/store/client-store.ts';
import { openLmdbStore } from '../src/client/store/lmdb-store.ts';
import { createMlsConfig } from '../src/mls/config.ts';
import { decodeState, type EncodedState } from '../src/mls/session/state-codec.ts';
import { nodeSha256 } from '../src/mls/suite-node.ts';
import { EMPTY_HEAD } from '../src/wire/entry.ts';
import { groupIdOf } from '../src/wire/ids.ts';
import type { Page } from '../src/wire/page.ts';
import { DOMAIN, type Member, someBytes, suite } from './client-world.ts';

export interface BenchReader extends AsyncDisposable {
  read(page: Page): Promise<void>;
  group(): Group;
}

/** Knows one group, as these rows have it, and nothing of its log; `over` puts something between it and its store. */
export async function openReader(
  me: Member,
  members: readonly Member[],
  bytes: Uint8Array,
  rows: EncodedState,
  over: (store: ClientStore) => ClientStore = (store) => store,
): Promise<BenchReader> {
  const folder = await mkdtemp(join(tmpdir(), 'mlsd-bench-reader-'));
  const store = over(await openLmdbStore(join(folder, 'store')));
  const directory = createDirectory(
    DOMAIN,
    members.map(({ account: id, device, keys }) => ({
      id,
      name: id,
      devices: [{ id: device, signatureKeys: [keys.signPublic], revoked: false }],
      statements: [],
    })),
  );
  const config = createMlsConfig({ validateCredential: (identity, key) => directory.validate(identity, key) });
  const env: EngineEnv = {
    suite,
    config,
    sha256: nodeSha256,
    directory,
    me: { ...me, name: 'bob', domain: DOMAIN },
    now: Date.now,
    randomBytes: someBytes,
  };
  const group: Group = {
    ...emptyGroup(bytes, 'tea'),
    phase: 'member',
    head: EMPTY_HEAD,
    mls: decodeState(rows, config),
  };
  const state = await openChatState({ store, groups: [], notify: () => {}, accountWrites: () => [] });
  const first = state.begin();
  first.take({ group, lines: [], signals: [], consumed: [] });
  await first.commit();
  const progress = { begin: () => {}, end: () => {} };
  const reader = createEntryReader({
    env,
    store,
    state,
    progress,
    poisoned: [],
    monotonicMs: () => performance.now(),
  });
  return {
    read: async (page) => {
      for (let next = 0; next < page.entries.length; ) {
        const slice = await reader.readSlice(page, next);
        if (slice.needs !== undefined) throw new Error(`the reader waits for ${slice.needs.kind}`);
        next = slice.next;
      }
      await reader.finishPage(page);
    },
    group: () => state.groups.get(groupIdOf(bytes))!,
    async [Symbol.asyncDispose]() {
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
