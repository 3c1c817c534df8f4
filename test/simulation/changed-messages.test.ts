import { expect, test } from 'vitest';
import type { HistoryLine } from '../../src/client/chat-client.ts';
import { keys } from '../../src/client/store/keys.ts';
import { toUtf8 } from '../../src/wire/bytes.ts';
import type { AccountId, DeviceId, GroupId, Position } from '../../src/wire/ids.ts';
import { misread } from './changed-messages.ts';
import { createClientView } from './client-view.ts';
import { createLedger } from './ledger.ts';
import type { Sayings } from './sayings.ts';
import type { Rule } from './violation.ts';

type MessageLine = HistoryLine & { readonly kind: 'message' };

const GROUP = 'tea' as GroupId;
const SENDER = { account: 'ann' as AccountId, device: 'ann-1' as DeviceId, name: 'ann' };
const SAYINGS: Sayings = {
  wrote: () => undefined,
  of: () => ({ text: 'what was sent', messageId: 'one' }),
  isSilent: () => false,
};
const LINE: MessageLine = {
  ...{ kind: 'message', group: GROUP, groupName: 'tea', id: '1', messageId: 'one', position: 2 as Position },
  ...{ time: 0, own: false, sender: SENDER, text: 'what was sent' },
};

test('a message of which no change came says what it was sent with', () => {
  expect(misread([LINE], GROUP, SAYINGS)).toEqual([]);
  const wrong: MessageLine[] = [
    { ...LINE, text: 'another text' },
    { ...LINE, edited: true },
    { ...LINE, text: '', deleted: true },
  ];
  for (const line of wrong) expect(misread([line], GROUP, SAYINGS)).toHaveLength(1);
});

test('a line is changed in its own place only by what tells of the same message', () => {
  const rules = (next: MessageLine): readonly Rule[] => {
    const found: Rule[] = [];
    const ledger = { ...createLedger(({ rule }) => found.push(rule)), shown: () => undefined };
    const view = createClientView({ name: 'ben', account: 'ben' as AccountId, device: 'ben-1' as DeviceId }, ledger);
    const key = keys.line(1);
    for (const line of [LINE, next]) view.take([{ key, value: toUtf8(JSON.stringify(line)) }]);
    return found;
  };
  expect(rules({ ...LINE, text: 'changed', edited: true })).toEqual([]);
  const wrong: MessageLine[] = [
    { ...LINE, own: true },
    { ...LINE, sender: { ...SENDER, account: 'zoe' as AccountId } },
    { ...LINE, sender: { ...SENDER, device: 'ann-2' as DeviceId } },
    { ...LINE, replaces: 'another' },
    { ...LINE, inReplyTo: 'another' },
  ];
  for (const line of wrong) expect(rules(line)).toEqual(['changes read alike']);
});
