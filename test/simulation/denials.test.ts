import { expect, test } from 'vitest';
import type { HistoryLine } from '../../src/client/chat-client.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { EMPTY_HEAD, encodeEntry, type GroupEntry, nextHead } from '../../src/wire/entry.ts';
import type { DeviceId, GroupId, Position } from '../../src/wire/ids.ts';
import { undenied } from './denials.ts';
import { createGroupTruth, type GroupTruth } from './group-truth.ts';
import { createLedger } from './ledger.ts';

const [TEA, JAM] = ['tea' as GroupId, 'jam' as GroupId];
const [ANN, BEN] = ['ann-1' as DeviceId, 'ben-1' as DeviceId];

function denial(text: string, group = TEA): HistoryLine {
  return { kind: 'warning', group, groupName: 'a group', time: 0, text: `Not sent (this device was removed): ${text}` };
}

test('each message taken back and lost needs a line of its own, in its own group', () => {
  const lost = [TEA, TEA, JAM].map((group) => ({ text: '', group }));
  const told = (group: GroupId) => denial('that a message is taken back', group);
  expect(undenied([told(TEA), told(JAM), told(TEA)], lost)).toEqual([]);
  expect(undenied([told(TEA)], lost)).toEqual(lost.slice(1));
  expect(undenied([told(JAM), told(JAM), told(JAM)], lost)).toEqual(lost.slice(0, 2));
  expect(undenied([denial('ben 1', JAM)], [{ text: 'ben 1', group: TEA }])).toHaveLength(1);
});

/** A group that lets somebody in at 2, takes it out at 3 and lets it in again at 4. */
function reentered(): GroupTruth {
  const truth = createGroupTruth(TEA, ANN, 'declared');
  const rosters = [undefined, [BEN], [], [BEN]];
  let head = EMPTY_HEAD;
  for (const [epoch, added] of rosters.entries()) {
    const place = {
      group: new Uint8Array(32),
      sender: ANN,
      time: 0,
      position: (epoch + 1) as Position,
      id: `${epoch}`,
    };
    const roster = { added: added ?? [], removed: added?.length === 0 ? [BEN] : [] };
    const entry: GroupEntry =
      added === undefined
        ? { ...place, kind: 'group-created', payload: {} }
        : { ...place, kind: 'commit', epoch: epoch - 1, payload: new Uint8Array(1), roster };
    const bytes = encodeEntry(entry);
    head = nextHead(head, bytes, nodeSha256);
    expect(truth.see(epoch + 1, bytes, head, 'a node')).toBeUndefined();
  }
  return truth;
}

test('that a text was not sent is explained by a removal that came after it was typed, and by no earlier one', () => {
  const rules = (position: number): readonly string[] => {
    const found: string[] = [];
    const ledger = createLedger(({ rule }) => found.push(rule));
    (ledger.groups as Map<GroupId, GroupTruth>).set(TEA, reentered());
    ledger.typed(BEN, TEA, 'ben 1', { position });
    ledger.shown('ben', BEN, denial('ben 1'));
    return found;
  };
  expect(rules(2)).toEqual([]);
  expect(rules(4)).toEqual(['no unexplained warning']);
});
