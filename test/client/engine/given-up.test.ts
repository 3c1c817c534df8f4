import { describe, expect, test } from 'vitest';
import { encodeContent, encodeStatuses } from '../../../src/client/content/content.ts';
import { applyEntry } from '../../../src/client/engine/apply-entry.ts';
import { createDirectory } from '../../../src/client/engine/directory.ts';
import { passGap } from '../../../src/client/engine/gap.ts';
import { rememberGivenUp } from '../../../src/client/engine/given-up.ts';
import { failEverything } from '../../../src/client/engine/intentions.ts';
import { messagesAnswered, takeOwnMessage } from '../../../src/client/engine/outbox.ts';
import type { EngineEnv, Group, LineDraft, OutboxItem } from '../../../src/client/engine/types.ts';
import { emptyGroup } from '../../../src/client/engine/welcome.ts';
import { groupWrites, loadGroups } from '../../../src/client/store/group-rows.ts';
import { createMemoryStore } from '../../../src/client/store/memory-store.ts';
import { createMlsConfig } from '../../../src/mls/config.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { toBase64Url } from '../../../src/wire/bytes.ts';
import { encodeEntry, type MessageEntry } from '../../../src/wire/entry.ts';
import type { AccountId, ClientId, DeviceId, Position } from '../../../src/wire/ids.ts';

const device = 'bobd' as DeviceId;
// all that these steps use of it
const env = {
  sha256: nodeSha256,
  directory: createDirectory('chat.example'),
  me: { account: 'bob' as AccountId, device, domain: 'chat.example' },
  now: () => 1,
} as unknown as EngineEnv;
const bytes = new Uint8Array(32).fill(1);

const text = (id: string, isSealed: boolean): OutboxItem => {
  const localId = id as ClientId;
  const item = { localId, ordinal: 1, text: `text ${id}`, time: 1, accepted: false, stale: false };
  return isSealed ? { ...item, sealed: { id: localId, epoch: 2, message: new Uint8Array(9), generation: 0 } } : item;
};
const group: Group = { ...emptyGroup(bytes, 'tea'), phase: 'member', position: 8, outbox: [text('on-its-way', true)] };
const entryOf = (id: string): MessageEntry => ({
  ...{ kind: 'message', group: bytes, position: 11 as Position, id, sender: device, epoch: 2, time: 5 },
  payload: new Uint8Array(9),
});
const shown = [{ kind: 'message', text: 'text on-its-way', own: true, position: 11 }];

test('a text whose group ended before the answer is shown when a copy of it is placed after all, once', async () => {
  const ended = failEverything(env, { ...group, outbox: [...group.outbox, text('never-left', false)] }, 'gone', 1);
  expect(ended.lines).toHaveLength(2);
  expect(ended.group.outbox).toEqual([]);
  // what was never encrypted cannot come
  expect(ended.group.givenUp?.map(({ localId }) => localId)).toEqual(['on-its-way']);

  // it is there after a restart
  const store = createMemoryStore(new Map());
  await store.commit(groupWrites(undefined, ended.group));
  const [loaded] = await loadGroups(store, createMlsConfig({ validateCredential: () => true }));
  expect(loaded).toEqual(ended.group);

  const back: Group = { ...loaded!, phase: 'member', position: 10 };
  const taken = takeOwnMessage(env, back, entryOf('on-its-way'))!;
  expect(taken.lines).toMatchObject(shown);
  expect(taken.signals).toEqual([{ kind: 'sent', localId: 'on-its-way' }]);
  expect(takeOwnMessage(env, taken.group, entryOf('on-its-way'))).toBeUndefined();
  await store.commit(groupWrites(back, taken.group));
  const [after] = await loadGroups(store, createMlsConfig({ validateCredential: () => true }));
  expect(after?.givenUp).toBeUndefined();
});

test('a text that the server refused is shown when an earlier copy of the request is placed after all', () => {
  const refused = messagesAnswered(env, group, [{ id: 'on-its-way', kind: 'refused', reason: 'no' }]);
  expect(refused.lines).toMatchObject([{ kind: 'warning', text: 'Not sent (no): text on-its-way' }]);
  expect(refused.group.outbox).toEqual([]);
  expect(takeOwnMessage(env, refused.group, entryOf('on-its-way'))?.lines).toMatchObject(shown);
});

describe('a report of what came and was read that cannot be sent any more is nothing to tell a person,', () => {
  const content = encodeStatuses([{ id: toBase64Url(new Uint8Array(32).fill(1)), is: 'read' }], new Uint8Array(16));
  const report: OutboxItem = { ...text('report', true), text: 'that messages came', content };
  // a person may have typed the very words
  const typed: OutboxItem = { ...text('typed', true), text: report.text };
  const told: Group = { ...group, outbox: [report, typed] };
  const texts = (lines: readonly LineDraft[]) => lines.map((line) => (line.kind === 'warning' ? line.text : line.kind));

  test('whether the group ends', () => {
    const ended = failEverything(env, told, 'gone', 1);
    expect(texts(ended.lines)).toEqual(['Not sent (gone): that messages came']);
    expect(ended.signals).toHaveLength(2);
  });

  test('or the server refuses it', () => {
    const answers = [report, typed].map(({ localId: id }) => ({ id, kind: 'refused' as const, reason: 'no' }));
    expect(texts(messagesAnswered(env, told, answers).lines)).toEqual(['Not sent (no): that messages came']);
  });

  test('or it is not known whether it was', () => {
    const { lines } = passGap(env, told, { group: bytes, from: 1 as Position, to: 20 as Position });
    expect(texts(lines).filter((line) => line.startsWith('Not known'))).toEqual([
      'Not known whether sent: that messages came',
    ]);
  });
});

test('a text that was refused after a request without an answer is not said to be not sent, and is shown when it was', () => {
  const {
    lines,
    signals,
    group: after,
  } = messagesAnswered(env, group, [{ id: 'on-its-way', kind: 'unknown', reason: 'no' }]);
  expect(lines).toMatchObject([{ kind: 'warning', text: 'Not known whether sent: text on-its-way' }]);
  const refused = 'no, and it is not known whether it was sent before';
  expect(signals).toEqual([{ kind: 'sent', localId: 'on-its-way', refused }]);
  expect([after.outbox, after.voided]).toEqual([[], undefined]);
  expect(takeOwnMessage(env, after, entryOf('on-its-way'))?.lines).toMatchObject(shown);
});

describe('of what changes a message the warning says what did not get through,', () => {
  const salt = new Uint8Array(16);
  const replaces = toBase64Url(new Uint8Array(32).fill(1));
  const change = (id: string, written: { text: string; deleted?: true }): OutboxItem => {
    return { ...text(id, true), text: written.text, content: encodeContent({ ...written, replaces }, salt) };
  };
  const items = [change('taken-back', { text: '', deleted: true }), change('edited', { text: 'better' })];
  const changed: Group = { ...group, outbox: items };
  const said = ['that a message is taken back', 'better'];
  const texts = (lines: readonly LineDraft[]) => lines.map((line) => (line.kind === 'warning' ? line.text : line.kind));

  test('whether the group ends', () => {
    expect(texts(failEverything(env, changed, 'gone', 1).lines)).toEqual(
      said.map((each) => `Not sent (gone): ${each}`),
    );
  });

  test.each(['refused', 'unknown'] as const)('or the server answers that it is %s', (kind) => {
    const answers = items.map(({ localId: id }) => ({ id, kind, reason: 'no' }));
    const what = kind === 'refused' ? 'Not sent (no)' : 'Not known whether sent';
    expect(texts(messagesAnswered(env, changed, answers).lines)).toEqual(said.map((each) => `${what}: ${each}`));
  });

  test('or it is gone with what came', () => {
    const { lines } = passGap(env, changed, { group: bytes, from: 1 as Position, to: 20 as Position });
    const open = texts(lines).filter((line) => line.startsWith('Not known'));
    expect(open).toEqual(said.map((each) => `Not known whether sent: ${each}`));
  });
});

test('of texts that were given up the newest are remembered, without their ciphertexts', () => {
  const many = Array.from({ length: 100 }, (_, i) => text(`given-${i}`, true));
  const { givenUp = [] } = rememberGivenUp(group, many);
  expect(givenUp.length).toBeLessThan(many.length);
  expect(givenUp.at(-1)).toMatchObject({ localId: 'given-99', sealed: { message: new Uint8Array(0) } });
});

test('an own message of which nothing is known here any more is not passed over in silence', async () => {
  const entry = entryOf('of-another-life');
  const result = await applyEntry(env, { ...group, position: 10 }, entry, encodeEntry(entry));
  expect(result).toMatchObject({
    group: { position: 11, outbox: [{ localId: 'on-its-way' }] },
    lines: [{ kind: 'warning', position: 11, text: expect.stringContaining('not known here any more') }],
  });
});
