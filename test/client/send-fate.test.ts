import { expect, test } from 'vitest';
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
