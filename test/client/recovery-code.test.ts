import { expect, test } from 'vitest';
import { openChatter } from '../support/chat-clients.ts';
import { createFailingStore } from '../support/failing-store.ts';
import { createFakeServer } from '../support/fake-server.ts';

const CODE = /^([a-z2-7]{4}-){15}[a-z2-7]{4}$/;

test('S8: the recovery code is given out at every start until it was shown, and is then in no row any more', async () => {
  const alice = await openChatter(createFakeServer(), 'alice');
  const code = await alice.chat.takeRecoveryCode();
  expect(code).toMatch(CODE);
  expect(await alice.chat.takeRecoveryCode()).toBeUndefined();
  // died before anybody saw it
  await alice.restart();
  expect(await alice.chat.takeRecoveryCode()).toBe(code);
  const holds = (): boolean => [...alice.rows.values()].some((value) => Buffer.from(value).includes(code!));
  expect(holds()).toBe(true);
  await alice.chat.recoveryCodeShown();
  expect(holds()).toBe(false);
  await alice.restart();
  expect(await alice.chat.takeRecoveryCode()).toBeUndefined();
  await alice.stop();
});

test('S8: whoever dies anywhere in the registration is shown the recovery code at the next start', async () => {
  for (let at = 1; at <= 6; at += 1) {
    for (const applied of [false, true]) {
      const server = createFakeServer();
      const rows = new Map<string, Uint8Array>();
      let fault = { at, applied };
      const open = () => openChatter(server, 'carol', { store: () => createFailingStore(rows, fault) });
      const first = await open().catch(() => undefined);
      await first?.stop().catch(() => {});
      fault = { at: 0, applied: false };
      const carol = await open();
      expect(await carol.chat.takeRecoveryCode(), `died at ${at}, applied ${applied}`).toMatch(CODE);
      await carol.stop();
    }
  }
});
