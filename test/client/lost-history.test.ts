import { expect, test } from 'vitest';
import type { Person } from '../../src/client/chat-client.ts';
import { takeShown } from '../../src/client/engine/content.ts';
import { withFirstHead, withHead } from '../../src/client/engine/recent-heads.ts';
import { leadsOn, recoveredLine } from '../../src/client/engine/recovery.ts';
import type { EngineEnv, Group } from '../../src/client/engine/types.ts';
import { emptyGroup } from '../../src/client/engine/welcome.ts';
import { openChatState } from '../../src/client/runner/chat-state.ts';
import { compareHistories } from '../../src/client/runner/compare-histories.ts';
import { createSerial } from '../../src/client/runner/serial.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';

const GROUP_ID = new Uint8Array(32).fill(1);
const headAt = (position: number, history: number): Uint8Array => new Uint8Array(32).fill(16 * history + position);

/** A group of which ten entries were read. */
function read(): Group {
  let group: Group = withFirstHead({ ...emptyGroup(GROUP_ID, 'tea'), phase: 'member' }, 1, headAt(1, 0));
  for (let position = 2; position <= 10; position += 1) group = withHead(group, position, headAt(position, 0));
  return group;
}

/** What becomes of it where the log holds `common` of these entries, then others up to `end`. */
async function compared(group: Group, common: number, end: number): Promise<{ group: Group; asked: number }> {
  let asked = 0;
  const state = await openChatState({
    store: createMemoryStore(new Map()),
    groups: [group],
    notify: () => {},
    accountWrites: () => [],
  });
  const api = {
    headAt: async (_id: unknown, position: number) => {
      asked += 1;
      return position > end ? undefined : headAt(position, position > common ? 1 : 0);
    },
    endOf: async () => end,
  };
  await compareHistories({ api, state, serial: createSerial(), now: () => 1 });
  return { group: state.groups.get(group.id)!, asked };
}

test('a group whose log went back is parked where the histories part, so that own texts in the new one are found', async () => {
  for (const [common, end] of [
    [6, 6],
    [6, 8],
    [6, 10],
    [6, 20],
    [9, 10],
    [1, 10],
  ] as const) {
    const { group, asked } = await compared(read(), common, end);
    expect(group).toMatchObject({ phase: 'parked', position: common });
    expect(asked).toBeLessThan(9);
  }
  // nothing that is kept here is in the log: where the histories part is not known
  expect((await compared(read(), 0, 10)).group).toMatchObject({ phase: 'parked', position: 10 });
  expect((await compared(read(), 10, 20)).group).toMatchObject({ phase: 'member', position: 10 });
});

test('whoever was taken out in what is lost is told how to join again, and nobody else who is out', async () => {
  const removed: Group = { ...read(), phase: 'removed' };
  for (const end of [6, 12]) {
    expect((await compared(removed, 6, end)).group).toMatchObject({ phase: 'parked', position: 6 });
  }
  expect((await compared(removed, 10, 12)).group).toBe(removed);
});

test('a group of a lost history is joined again in whatever epoch the log has it now', async () => {
  const recovery = { epoch: 7, position: 9, commit: GROUP_ID, code: 'x', committer: 'bob', reported: true };
  const behind: Group = { ...read(), recovery: { ...recovery, attempts: 0, gaveUp: false } };
  expect(leadsOn(behind, 3)).toBe(false);
  const { group } = await compared(behind, 6, 8);
  expect(leadsOn(group, 3)).toBe(true);
  const { text } = recoveredLine(group.recovery!, { epoch: 4, time: 1, position: 9 }) as { text: string };
  expect(text).toBe('commit 8 by bob could not be processed here; rejoined at epoch 4');
});

test('a topic of a lost history gives way to the next one, wherever that stands', () => {
  const told = { id: 'x', sender: { account: 'a', device: 'd', name: 'bob' } as Person, own: false, time: 1 };
  const topic = { text: 'lost', by: told.sender, position: 10 };
  const shown = { text: 'new', as: 'topic' } as const;
  const env = {} as EngineEnv; // nothing of it is used for a topic
  expect(takeShown(env, { ...read(), topic }, shown, { ...told, position: 8 }).group.topic).toMatchObject({
    text: 'new',
    position: 8,
  });
  const again = { ...shown, since: 9 };
  expect(takeShown(env, { ...read(), topic }, again, { ...told, position: 12 }).group.topic).toBe(topic);
});
