import { describe, expect, test } from 'vitest';
import type { HistoryLine } from '../../src/client/chat-client.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { openChatter, type TestChatter } from '../support/chat-clients.ts';
import { createFailingStore } from '../support/failing-store.ts';
import { createFakeServer, type FakeServer } from '../support/fake-server.ts';

interface Scene {
  readonly server: FakeServer;
  readonly alice: TestChatter;
  readonly bob: TestChatter;
  readonly group: GroupId;
  /** The crash armed for bob's next start. */
  readonly arm: (fault: { at: number; applied: boolean }) => void;
  readonly commits: () => number;
  readonly crashed: () => boolean;
}

/** alice and bob in a group; bob away. */
async function scene(): Promise<Scene> {
  const server = createFakeServer();
  let fault = { at: 0, applied: false };
  let store: ReturnType<typeof createFailingStore> | undefined;
  const alice = await openChatter(server, 'alice');
  const bob = await openChatter(server, 'bob', {
    store: (rows) => {
      store = createFailingStore(rows, fault);
      return store;
    },
  });
  const opened = await alice.chat.openGroup('tea');
  if (opened.kind !== 'created') throw new Error(opened.kind);
  await alice.chat.invite(opened.group, ['bob']);
  await bob.chat.caughtUp(240_000);
  await bob.stop();
  return {
    server,
    alice,
    bob,
    group: opened.group,
    arm: (next) => {
      fault = next;
    },
    commits: () => store!.commits(),
    crashed: () => store!.crashed(),
  };
}

/** What bob does in one life: reads what he missed, writes two texts, rotates. Whatever fails, fails with the crash. */
async function live({ bob, group }: Scene, said: string[]): Promise<void> {
  const swallow = (error: unknown): undefined => {
    if (!['Crash', 'ClientError', 'Aborted'].includes((error as Error).name)) throw error;
    return undefined;
  };
  await bob.chat.caughtUp(3000).catch(swallow);
  for (const text of ['one', 'two']) {
    // a person who saw the program die looks first whether the text is there
    const seen = await bob.chat.recent(group, 100);
    if (said.includes(text) || seen.some((line) => line.kind === 'message' && line.text === text)) continue;
    const sent = await bob.chat.send(group, text).catch(swallow);
    if (sent !== undefined) said.push(text);
  }
  await bob.chat.rotate(group).catch(swallow);
  await bob.chat.flushed(3000);
  await bob.chat.caughtUp(3000).catch(swallow);
}

async function missed({ alice, group }: Scene): Promise<void> {
  for (let i = 0; i < 3; i += 1) await alice.chat.send(group, `missed ${i}`);
  await alice.chat.flushed(240_000);
  await alice.chat.rotate(group);
  await alice.chat.send(group, 'after the rotation');
  await alice.chat.flushed(240_000);
}

async function commitsOfAnOrdinaryRun(): Promise<number> {
  const ordinary = await scene();
  await missed(ordinary);
  await ordinary.bob.restart();
  await live(ordinary, []);
  await ordinary.bob.stop();
  await ordinary.alice.stop();
  return ordinary.commits();
}

describe('a client killed at any of its writes', () => {
  test('shows nothing twice, loses nothing, uses no generation twice, and stays in its group', async () => {
    const commits = await commitsOfAnOrdinaryRun();
    expect(commits).toBeGreaterThan(5);
    for (let at = 1; at <= commits; at += 1) {
      for (const applied of [false, true]) {
        const here = await scene();
        const { server, alice, bob, group } = here;
        await missed(here);
        const said: string[] = [];
        here.arm({ at, applied });
        const start = await bob.restart().then(
          () => true,
          () => false,
        );
        if (start) await live(here, said);
        // the second life, over what the first one left
        here.arm({ at: 0, applied: false });
        if (start) await bob.stop().catch(() => {});
        await bob.restart();
        await live(here, said);
        expect(await bob.chat.flushed(240_000)).toBe(0);
        await bob.chat.caughtUp(240_000);
        await alice.chat.caughtUp(240_000);

        const where = `crash at ${at}, applied ${applied}`;
        const texts = await bob.texts(group);
        expect(texts.slice(0, 4), where).toEqual(['missed 0', 'missed 1', 'missed 2', 'after the rotation']);
        for (const text of ['one', 'two'])
          expect(
            texts.filter((seen) => seen === text),
            where,
          ).toEqual([text]);
        expect(await alice.texts(group), where).toEqual(texts);
        const positions = (await bob.lines(group)).flatMap((line: HistoryLine) =>
          line.kind === 'message' ? [line.position] : [],
        );
        expect(new Set(positions).size, where).toBe(positions.length);
        const warnings = [...(await bob.lines(group)), ...(await alice.lines(group))].filter(
          (line) => line.kind === 'warning',
        );
        expect(warnings, where).toEqual([]);
        expect(await bob.epochAuthenticator(group), where).toBe(await alice.epochAuthenticator(group));
        const ids = server.log.flatMap(({ entry }) => (entry.kind === 'message' ? [entry.id] : []));
        expect(new Set(ids).size, where).toBe(ids.length);
        await bob.stop();
        await alice.stop();
      }
    }
  });

  test('during its registration: the same keys are registered at the next start', async () => {
    for (let at = 1; at <= 6; at += 1) {
      for (const applied of [false, true]) {
        const server = createFakeServer();
        let fault = { at, applied };
        const rows = new Map<string, Uint8Array>();
        const open = () => openChatter(server, 'carol', { store: () => createFailingStore(rows, fault) });
        const first = await open().catch(() => undefined);
        await first?.stop().catch(() => {});
        fault = { at: 0, applied: false };
        const carol = await open();
        expect((await carol.chat.openGroup(`tea${at}`)).kind).toBe('created');
        await carol.stop();
      }
    }
  });
});
