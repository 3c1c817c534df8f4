import { expect, test } from 'vitest';
import type { HistoryLine } from '../../src/client/chat-client.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { EMPTY_HEAD, encodeEntry, type GroupEntry, nextHead } from '../../src/wire/entry.ts';
import type { AccountId, DeviceId, GroupId, Position } from '../../src/wire/ids.ts';
import { createGroupTruth, type GroupTruth } from './group-truth.ts';
import { overtold, untold } from './missed.ts';

const GROUP = 'tea' as GroupId;
const ACCOUNT = 'ben' as AccountId;
/** Two devices of one account: what the one sends is `own` for the other. */
const [SENDER, READER] = ['ben-1' as DeviceId, 'ben-2' as DeviceId];
/** Entries 4 and 5 are gone. */
const FIRST_KEPT = 6;
const KNOWN = { firstKept: FIRST_KEPT, wasCalled: () => true, isSilent: () => false };

/** A group, and five messages of its creator at 2 to 6. */
function truth(): GroupTruth {
  const made = createGroupTruth(GROUP, SENDER, 'declared');
  const place = { group: new Uint8Array(32), sender: SENDER, time: 0 };
  let head = EMPTY_HEAD;
  for (let at = 1; at <= FIRST_KEPT; at += 1) {
    const [position, id] = [at as Position, `${at}`];
    const entry: GroupEntry =
      at === 1
        ? { ...place, kind: 'group-created', position, id, payload: {} }
        : { ...place, kind: 'message', position, id, epoch: 0, payload: new Uint8Array(1) };
    const bytes = encodeEntry(entry);
    head = nextHead(head, bytes, nodeSha256);
    expect(made.see(position, bytes, head, 'a node')).toBeUndefined();
  }
  return made;
}

const PLACE = { group: GROUP, groupName: 'tea', time: 0 };
const GAP: HistoryLine = { ...PLACE, kind: 'warning', text: '#tea: 2 entries are no longer on the server.' };

function message(position: number): HistoryLine {
  const sender = { account: ACCOUNT, device: SENDER, name: 'ben' };
  return { ...PLACE, kind: 'message', id: `${position}`, sender, text: `ben ${position}`, own: true, position };
}

function neverCame(count: number): HistoryLine {
  const text = `${count} message(s) of ben before this one never came.`;
  return { ...PLACE, kind: 'warning', text, position: FIRST_KEPT };
}

test('what another device of the same account sent counts as heard where a device says what never came', () => {
  const tell = (count: number) => [message(2), message(3), GAP, neverCame(count), message(FIRST_KEPT)];
  const found = (count: number) => overtold({ lines: tell(count), device: READER }, truth(), KNOWN);
  expect(found(2)).toEqual([]);
  expect(found(4)).toEqual(['4 message(s) of ben before this one never came.']);
});

test('a gap told before a message of another device of the same account does not cover what is missing behind it', () => {
  const shown = { lines: [GAP, message(3)], device: READER };
  expect(untold(shown, GROUP, [2], FIRST_KEPT)).toEqual([]);
  expect(untold(shown, GROUP, [4], FIRST_KEPT)).toEqual([4]);
});

test('what the device itself sent is shown as it comes by, and is no place in that order', () => {
  expect(untold({ lines: [GAP, message(3)], device: SENDER }, GROUP, [4], FIRST_KEPT)).toEqual([]);
});
