import { expect, test } from 'vitest';
import type { HistoryLine } from '../../src/client/chat-client.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { EMPTY_HEAD, encodeEntry, type GroupEntry, nextHead } from '../../src/wire/entry.ts';
import type { DeviceId, GroupId, Position } from '../../src/wire/ids.ts';
import { type Branch, firstBranch } from './branches.ts';
import {
  isOfBlind,
  isRefusedMeanwhile,
  isToldLost,
  isToldOfGoingBack,
  isUnreadableOfBlind,
  wasAbsent,
} from './gone-back.ts';
import { createGroupTruth, type GroupTruth } from './group-truth.ts';

const TEA = 'tea' as GroupId;
const [ANN, BEN] = ['ann-1' as DeviceId, 'ben-1' as DeviceId];
type Warning = HistoryLine & { readonly kind: 'warning' };

/** A group that Ann made and let Ben into, and what they said since; two letters: a commit of Ann's. */
function group(said: string): GroupTruth {
  const truth = createGroupTruth(TEA, ANN, 'declared');
  let head = EMPTY_HEAD;
  let epoch = 0;
  const place = (make: (about: Pick<GroupEntry, 'group' | 'time' | 'position'>) => GroupEntry): void => {
    const position = (truth.entries.length + 1) as Position;
    const entry = make({ group: new Uint8Array(32), time: 0, position });
    const bytes = encodeEntry(entry);
    head = nextHead(head, bytes, nodeSha256);
    expect(truth.see(position, bytes, head, 'a node')).toBeUndefined();
  };
  const commit = (id: string, added: DeviceId[]): void => {
    const about = { kind: 'commit', sender: ANN, id, epoch, payload: new Uint8Array(1) } as const;
    place((where) => ({ ...where, ...about, roster: { added, removed: [] } }));
    epoch += 1;
  };
  place((where) => ({ ...where, kind: 'group-created', sender: ANN, id: 'made', payload: {} }));
  commit('ben', [BEN]);
  for (const id of said.split(' ').filter((word) => word !== '')) {
    if (id.length > 1) commit(id, []);
    else place((where) => ({ ...where, kind: 'message', sender: BEN, id, epoch, payload: new Uint8Array(1) }));
  }
  return truth;
}

/** A log that held the one, and holds the other since it went back to so many entries of the group; `undefined`: the group is new. */
function wentBack(before: GroupTruth | undefined, begun: number | undefined, now: GroupTruth): readonly Branch[] {
  const known = (truth: GroupTruth | undefined) => new Map(truth === undefined ? [] : [[TEA, truth] as const]);
  return [
    { ...firstBranch(), groups: known(before) },
    { ...firstBranch(), groups: known(now), begun: new Map(begun === undefined ? [] : [[TEA, begun]]) },
  ];
}

function warning(text: string, position?: number): Warning {
  const line = { kind: 'warning', group: TEA, groupName: 'tea', time: 0, text } as const;
  return (position === undefined ? line : { ...line, position }) as Warning;
}
const lost = (entry: number) =>
  warning(
    `The server's log went back: entry ${entry}, which was read here, is no longer in it; /rejoin joins the group again`,
  );
const refused = warning('Not sent (this device is no longer a member of the group): hi');
const UNREADABLE = 'A message could not be read (another epoch).';
const NEVER_CAME = '1 message(s) of ben before this one never came.';

test('an entry is excused as lost where it was in the log, and the log went back behind it', () => {
  const branches = wentBack(group('a b'), 3, group('a c d e'));
  expect([3, 4, 5].map((entry) => isToldOfGoingBack(branches, lost(entry)))).toEqual([false, true, false]);
  expect(isToldOfGoingBack(wentBack(group('a'), undefined, group('')), lost(2))).toBe(true);
});

test('of a group that was made since the log went back nothing is excused by that', () => {
  const branches = wentBack(undefined, undefined, group('a b'));
  expect(isToldOfGoingBack(branches, lost(2))).toBe(false);
  expect(isRefusedMeanwhile(branches, refused, BEN)).toBe(false);
});

test('a refusal is excused for whom the log lost as a member, and for nobody else', () => {
  expect(isRefusedMeanwhile(wentBack(group('a'), 1, group('a')), refused, BEN)).toBe(true);
  expect(isRefusedMeanwhile(wentBack(group('a'), 2, group('b')), refused, BEN)).toBe(false);
});

test('what a message that left too early causes is excused where it stands in what came since, and no other message', () => {
  // c left before its sender could hear of it, in the epoch that the log lost; so did a, which was in the log before
  const branches = wentBack(group('a xx b'), 3, group('a yy c d'));
  const left = new Map([
    ['a', 0],
    ['c', 0],
    ['d', 1],
  ]);
  const leftIn = (_device: DeviceId, id: string) => left.get(id);
  const excused = (of: typeof isOfBlind, text: string) =>
    [3, 5, 6].map((position) => of(branches, warning(text, position), leftIn));
  expect(excused(isOfBlind, UNREADABLE)).toEqual([false, true, false]);
  expect(excused(isOfBlind, NEVER_CAME)).toEqual([false, true, false]);
  // a message that is not shown is explained by what is said of it, not by what is said of others
  expect(excused(isUnreadableOfBlind, UNREADABLE)).toEqual([false, true, false]);
  expect(excused(isUnreadableOfBlind, NEVER_CAME)).toEqual([false, false, false]);
});

test('an own message is excused as told to be lost where it was lost', () => {
  const branches = wentBack(group('a b'), 3, group('a'));
  const shown = (id: string, position: number) =>
    ({ kind: 'message', group: TEA, own: true, text: id, id, position }) as unknown as HistoryLine;
  const told = (lines: readonly HistoryLine[], text: string, phase = 'member') =>
    isToldLost(branches, { lines, groups: new Map([[TEA, { phase }]]) as never }, { text, group: TEA });
  expect(told([shown('b', 4), lost(4)], 'b')).toBe(true);
  expect(told([shown('b', 4)], 'b')).toBe(false);
  expect(told([shown('b', 4)], 'b', 'removed')).toBe(true);
  expect(told([shown('a', 3), lost(4)], 'a')).toBe(false);
  expect(told([shown('c', 5)], 'c', 'removed')).toBe(false);
});

test('what was passed by is excused until one is in the group again', () => {
  const branches = wentBack(group('a b'), 3, group('a c d e'));
  const joined = { kind: 'joined', group: TEA, position: 6 } as unknown as HistoryLine;
  const absent = (lines: readonly HistoryLine[], position: number, isOut: boolean) =>
    wasAbsent(branches, lines, TEA, position, isOut);
  expect([3, 4, 6].map((position) => absent([lost(4), joined], position, false))).toEqual([false, true, false]);
  expect([true, false].map((isOut) => absent([lost(4)], 6, isOut))).toEqual([true, false]);
  expect(absent([joined], 4, true)).toBe(false);
});
