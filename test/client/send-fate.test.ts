import { expect, test } from 'vitest';
import type { Write } from '../../src/client/store/client-store.ts';
import { keys } from '../../src/client/store/keys.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';
import { openChatter } from '../support/chat-clients.ts';
import { createFailingStore } from '../support/failing-store.ts';
import { createFakeServer } from '../support/fake-server.ts';

test('texts that go into one transaction share its fate: when it fails, each of their senders hears it', async () => {
  const fault = { at: 0, applied: false };
  let commits = (): number => 0;
  const alice = await openChatter(createFakeServer(), 'alice', {
    store: (rows) => {
      const store = createFailingStore(rows, fault);
      commits = store.commits;
      return store;
    },
  });
  const opened = await alice.chat.openGroup('tea');
  if (opened.kind !== 'created') throw new Error(opened.kind);
  await alice.chat.caughtUp(240_000);
  await alice.chat.send(opened.group, 'stored');
  expect(await alice.chat.flushed(240_000)).toBe(0);
  await alice.chat.caughtUp(240_000);
  fault.at = commits() + 1;
  const texts = ['one', 'two', 'three'];
  const fates = await Promise.allSettled(texts.map((text) => alice.chat.send(opened.group, text)));
  expect(fates.map(({ status }) => status)).toEqual(texts.map(() => 'rejected'));
  await alice.stop().catch(() => {});
});

test('a text or a file that is sent while the end of its group is being stored is refused, and does not wait for ever', async () => {
  const server = createFakeServer();
  const alice = await openChatter(server, 'alice');
  let endsHere = (): void => {};
  const ending = new Promise<void>((resolve) => {
    endsHere = resolve;
  });
  let goOn = (): void => {};
  const typed = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const bob = await openChatter(server, 'bob', {
    store: (rows) => {
      const store = createMemoryStore(rows);
      return {
        ...store,
        commit: async (writes) => {
          if (writes.some(endsGroup)) {
            endsHere();
            await typed;
          }
          await store.commit(writes);
        },
      };
    },
  });
  const opened = await alice.chat.openGroup('tea');
  if (opened.kind !== 'created') throw new Error(opened.kind);
  const { group } = opened;
  await alice.chat.invite(group, ['bob']);
  await bob.chat.caughtUp(240_000);
  const removal = alice.chat.remove(group, ['bob']);
  await ending;
  const file = { name: 'tea.txt', mediaType: 'text/plain', bytes: new Uint8Array(3) };
  const fates = Promise.allSettled([bob.chat.send(group, 'too late'), bob.chat.sendFile(group, file)]);
  goOn();
  const reason = { code: 'refused', message: 'you are no longer a member' };
  expect(await fates).toMatchObject([{ reason }, { reason }]);
  expect((await bob.chat.status()).unsent).toBe(0);
  expect(await removal).toEqual([{ name: 'bob', kind: 'done' }]);
  await alice.stop();
  await bob.stop();
});

/** The row of a group that this device is taken out of. */
function endsGroup({ key, value }: Write): boolean {
  const isGroup = value !== undefined && key[0] === keys.group(new Uint8Array(0))[0];
  return isGroup && (decodeCbor(value) as { phase: string }).phase === 'removed';
}
