import { createCipheriv, randomBytes, scryptSync } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openLmdbStore } from '../../../src/client/store/lmdb-store.ts';
import { createSealedStore } from '../../../src/client/store/sealed-store.ts';
import { toUtf8 } from '../../../src/wire/bytes.ts';
import type { GroupId } from '../../../src/wire/ids.ts';
import { type ConnectableServer, openChatter, type TestChatter } from '../../support/chat-clients.ts';

export const SECRET = toUtf8('sesame');

/** bob's client in a folder, closed, after a conversation in two groups with alice, who is still there. */
export interface Scene {
  readonly dir: string;
  readonly alice: TestChatter;
  readonly bob: TestChatter;
  readonly groups: readonly [tea: GroupId, coffee: GroupId];
  /** bob's file in the middle of the conversation, after a rotation and some messages. */
  readonly earlier: Buffer;
  /** Starts bob's client over what is in the folder now. */
  reopen(): Promise<TestChatter>;
}

/** A store key that costs nothing to open: many stores are opened. */
export function writeCheapKey(folder: string, dataKey: Uint8Array): void {
  const [salt, nonce] = [randomBytes(16), randomBytes(12)];
  const cost = { N: 2, r: 1, p: 1 };
  const cipher = createCipheriv('aes-256-gcm', scryptSync(SECRET, salt, 32, cost), nonce, { authTagLength: 16 });
  cipher.setAAD(toUtf8('key.json'));
  const wrapped = Buffer.concat([nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]);
  const stored = {
    v: 1,
    kdf: 'scrypt',
    ...cost,
    salt: salt.toString('base64url'),
    wrapped: wrapped.toString('base64url'),
  };
  writeFileSync(join(folder, 'key.json'), JSON.stringify(stored), { mode: 0o600 });
}

const ROUNDS = 12;

export async function playScene(server: ConnectableServer, dir: string, kind: 'plain' | 'encrypted'): Promise<Scene> {
  const folder = join(dir, 'store');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const dataKey = kind === 'plain' ? undefined : new Uint8Array(randomBytes(32));
  if (dataKey !== undefined) writeCheapKey(folder, dataKey);
  const alice = await openChatter(server, 'alice');
  const openBob = (): Promise<TestChatter> =>
    openChatter(server, 'bob', {
      store: async () => {
        const store = await openLmdbStore(folder);
        return dataKey === undefined ? store : createSealedStore(store, dataKey);
      },
    });
  const bob = await openBob();
  const open = async (name: string): Promise<GroupId> => {
    const opened = await alice.chat.openGroup(name);
    if (opened.kind !== 'created') throw new Error(opened.kind);
    await alice.chat.invite(opened.group, ['bob']);
    return opened.group;
  };
  const groups = [await open('tea'), await open('coffee')] as const;
  await bob.chat.caughtUp(240_000);
  const talk = async (from: number): Promise<void> => {
    for (let i = from; i < from + ROUNDS; i += 1) {
      for (const group of groups) {
        await alice.chat.send(group, `alice says ${i} ${'x'.repeat((i % 5) * 300)}`);
        await bob.chat.send(group, `bob says ${i}`);
      }
    }
    for (const chatter of [alice, bob]) await chatter.chat.flushed(240_000);
    for (const chatter of [alice, bob]) await chatter.chat.caughtUp(240_000);
    for (const group of groups) await bob.waitForText(group, `bob says ${from + ROUNDS - 1}`);
  };
  await talk(0);
  await bob.chat.rotate(groups[0]);
  await talk(ROUNDS);
  await bob.restart(); // what was committed is in the file
  const earlier = readFileSync(join(folder, 'data.mdb'));
  await talk(2 * ROUNDS);
  await bob.stop();
  return { dir, alice, bob, groups, earlier, reopen: openBob };
}
