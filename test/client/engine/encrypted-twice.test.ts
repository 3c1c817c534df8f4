import { describe, expect, test } from 'vitest';
import { passGap } from '../../../src/client/engine/gap.ts';
import { countGeneration, voidedIn } from '../../../src/client/engine/generations.ts';
import {
  keepTexts,
  messagesAnswered,
  queueText,
  sealTexts,
  sendable,
  takeOwnMessage,
} from '../../../src/client/engine/outbox.ts';
import type { EngineEnv, Group } from '../../../src/client/engine/types.ts';
import type { MessageEntry } from '../../../src/wire/entry.ts';
import type { ClientId, DeviceId, Position } from '../../../src/wire/ids.ts';
import { enginePerson, introduce, memberOf, newGroup } from '../../support/engine-people.ts';

const bytes = new Uint8Array(32).fill(1);
/** Of the membership that ended. */
const OLD_EPOCH = 5;
const FIRST_CIPHERTEXT = new Uint8Array(40).fill(5);

/** Back in a group after a commit that could not be processed, with a text that was asked for before and not answered. */
async function cameBack(): Promise<{ env: EngineEnv; group: Group }> {
  const env = await enginePerson('bob');
  introduce([env]);
  const { state } = await newGroup(env, { groupId: bytes });
  const sealed = { id: 'first' as ClientId, epoch: OLD_EPOCH, message: FIRST_CIPHERTEXT, generation: 3 };
  const asked = {
    localId: sealed.id,
    ordinal: 1,
    text: 'asked before',
    time: 1,
    sealed,
    accepted: false,
    stale: false,
  };
  const outbox = keepTexts({ outbox: [asked] });
  return { env, group: memberOf(bytes, state, { position: 9, outbox }) };
}

const entryOf = (id: string, payload: Uint8Array): MessageEntry => ({
  ...{ kind: 'message', group: bytes, position: 10 as Position, id, sender: 'bobd' as DeviceId, time: 5 },
  ...{ epoch: OLD_EPOCH, payload },
});

/** With a text behind it. */
const withNext = (group: Group): Group =>
  queueText(group, { localId: 'next' as ClientId, ordinal: 2, text: 'and on', time: 2 }).group;

test('D20: of a text that was encrypted twice the first ciphertext comes after all: nobody misses the second one’s number', async () => {
  const { env, group } = await cameBack();
  const twice = (await sealTexts(env, group, { reseal: true })).group;
  expect(twice.outbox[0]?.sealed).toMatchObject({ id: 'first', epoch: 0, generation: 0 });
  const typed = withNext(twice);
  const both = (await sealTexts(env, typed, { reseal: false })).group;
  const taken = takeOwnMessage(env, both, entryOf('first', FIRST_CIPHERTEXT))!;
  expect(taken.lines).toMatchObject([{ kind: 'message', text: 'asked before' }]);
  await expectNoneMissed(env, taken.group);
});

/** The text that waited is encrypted now, and whoever gets it as the first of its sender's misses none before it. */
async function expectNoneMissed(env: EngineEnv, group: Group): Promise<void> {
  const after = (await sealTexts(env, group, { reseal: false })).group;
  expect(after.outbox).toMatchObject([{ localId: 'next', stale: false }]);
  const { generation = -1 } = after.outbox[0]!.sealed!;
  const counted = countGeneration({ generations: new Map() }, { leaf: 1, epoch: 0, generation }, voidedIn(after));
  expect(counted.missed).toBe(0);
}

test('D20: behind a text that was encrypted twice nothing is encrypted or sent until its entry has come, also once the server has it', async () => {
  const { env, group } = await cameBack();
  const typed = withNext(group);
  const twice = (await sealTexts(env, typed, { reseal: true })).group;
  expect(sendable(twice).map(({ localId }) => localId)).toEqual(['first']);
  const answered = messagesAnswered(env, twice, [{ id: 'first', kind: 'accepted', position: 10 }]).group;
  const waiting = (await sealTexts(env, answered, { reseal: true })).group;
  expect(waiting.outbox).toMatchObject([{ localId: 'first', accepted: true }, { localId: 'next' }]);
  expect(waiting.outbox[1]?.sealed).toBeUndefined();
  expect(sendable(waiting)).toEqual([]);
  await expectNoneMissed(env, takeOwnMessage(env, waiting, entryOf('first', FIRST_CIPHERTEXT))!.group);
});

test('what follows a text that was encrypted twice goes on when it was refused: no entry is to be waited for', async () => {
  const { env, group } = await cameBack();
  const typed = withNext(group);
  const twice = (await sealTexts(env, typed, { reseal: true })).group;
  const refused = messagesAnswered(env, twice, [{ id: 'first', kind: 'stale' }]).group;
  const again = (await sealTexts(env, refused, { reseal: true })).group;
  expect(sendable(again).map(({ localId }) => localId)).toEqual(['first', 'next']);
});

describe('D20: the entry of a text that was encrypted twice may be in a gap', () => {
  const gap = {
    ...{ group: bytes, from: 10 as Position, to: 12 as Position },
    next: { epoch: 0, head: new Uint8Array(32), time: 6 },
  };
  /** Asked again, with what follows it waiting for the answer, also where the server had taken it before. */
  async function behindGap(): Promise<{ env: EngineEnv; group: Group }> {
    const { env, group } = await cameBack();
    const typed = withNext(group);
    const twice = (await sealTexts(env, typed, { reseal: true })).group;
    const taken = messagesAnswered(env, twice, [{ id: 'first', kind: 'accepted', position: 10 }]).group;
    const passed = (await sealTexts(env, passGap(env, taken, gap).group, { reseal: false })).group;
    expect(passed.outbox[1]?.sealed).toBeUndefined();
    expect(sendable(passed).map(({ localId }) => localId)).toEqual(['first']);
    return { env, group: passed };
  }

  test('said to be there, nobody misses the number of the other ciphertext', async () => {
    const { env, group } = await behindGap();
    const answered = messagesAnswered(env, group, [{ id: 'first', kind: 'accepted', position: 10 }]);
    expect(answered.lines).toMatchObject([{ kind: 'message', text: 'asked before', own: true }]);
    await expectNoneMissed(env, answered.group);
  });

  test('said to be another one, without a place, nothing waits for its entry', async () => {
    const { env, group } = await behindGap();
    const { group: answered } = messagesAnswered(env, group, [{ id: 'first', kind: 'accepted' }]);
    const sealed = (await sealTexts(env, answered, { reseal: false })).group;
    expect(sendable(sealed).map(({ localId }) => localId)).toEqual(['next']);
    expect(voidedIn(sealed)).toEqual([0]);
  });

  test('said to come, what follows waits for the entry', async () => {
    const { env, group } = await behindGap();
    const { group: answered } = messagesAnswered(env, group, [{ id: 'first', kind: 'accepted', position: 14 }]);
    expect(sendable((await sealTexts(env, answered, { reseal: false })).group)).toEqual([]);
    await expectNoneMissed(env, takeOwnMessage(env, answered, entryOf('first', FIRST_CIPHERTEXT))!.group);
  });
});

test('a text that comes as it was encrypted last gives no number up, and leaves what follows it as it is', async () => {
  const { env, group } = await cameBack();
  const typed = withNext(group);
  const both = (await sealTexts(env, typed, { reseal: true })).group;
  const [first, next] = both.outbox;
  const taken = takeOwnMessage(env, both, entryOf('first', first!.sealed!.message.slice()))!;
  expect(taken.group.outbox).toEqual([next]);
  expect(voidedIn(taken.group)).toEqual([]);
});
