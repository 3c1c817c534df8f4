import { describe, expect, it } from 'vitest';
import { createPublicGroups } from '../../src/api/writes/public-groups.ts';
import { publicEpochOf, publicPendingOf } from '../../src/mls/public-group/group.ts';
import { foldGroupInfo } from '../../src/mls/public-group/open.ts';
import { createCommit } from '../../src/mls/session/commit.ts';
import { createLeaveProposal } from '../../src/mls/session/proposal.ts';
import { type GroupState, groupIdOf } from '../../src/mls/session/state.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import type { GroupView, PendingProposal, ReadModel } from '../../src/projections/read-model.ts';
import { toUtf8 } from '../../src/wire/bytes.ts';
import { groupIdOf as nameOf } from '../../src/wire/ids.ts';
import { founded, NOW, person } from '../mls/support/people.ts';
import { suite } from '../support/test-device.ts';

type Stored = Pick<ReadModel, 'groupInfo'>;

const stored = (epoch: number, groupInfo: Uint8Array): Stored => ({
  groupInfo: () => ({ epoch, groupInfo, ratchetTree: new Uint8Array(0) }),
});
const viewOf = (state: GroupState, epoch: number, ...waiting: Uint8Array[]) => {
  const bytes = groupIdOf(state);
  const proposals = new Map(
    waiting.map((message, i) => [`${i}`, { message, position: i } as unknown as PendingProposal]),
  );
  return { id: nameOf(bytes), bytes, epoch, proposals } as unknown as GroupView;
};
const rotated = (state: GroupState) => createCommit(suite, state, { inlineTree: true, groupInfoTree: true, now: NOW });
async function group(name: string) {
  const who = await person(suite, name);
  return await founded(suite, who, nodeSha256(toUtf8(name)));
}

describe('opened groups', () => {
  it('are kept between two commits, and opened from the table when they are not there', async () => {
    const { state, groupInfo } = await group('a');
    const groups = createPublicGroups();
    const view = viewOf(state, 0);
    const first = groups.current(stored(0, groupInfo), view);
    expect(groups.current(stored(0, groupInfo), view)).toBe(first);
    const made = await rotated(state);
    const opened = foldGroupInfo({ groupInfo: made.groupInfo }, nodeSha256);
    if (opened.kind === 'refused') throw new Error(opened.reason);
    groups.keep(opened.group, made.groupInfo);
    expect(groups.current(stored(1, made.groupInfo), viewOf(state, 1))).toBe(opened.group);
  });

  it('of a log that came to the same epoch by another way are not taken for that', async () => {
    const { state, groupInfo } = await group('b');
    const groups = createPublicGroups();
    const [lost, valid] = [await rotated(state), await rotated(state)];
    const before = groups.current(stored(1, lost.groupInfo), viewOf(state, 1));
    const after = groups.current(stored(1, valid.groupInfo), viewOf(state, 1));
    expect(after).not.toEqual(before);
    expect(publicEpochOf(groups.current(stored(0, groupInfo), viewOf(state, 0)))).toBe(0);
  });

  it('have the proposals that wait, and forget them with their epoch', async () => {
    const { state, groupInfo } = await group('c');
    const groups = createPublicGroups();
    const { proposal } = await createLeaveProposal(suite, state);
    const current = groups.current(stored(0, groupInfo), viewOf(state, 0, proposal));
    expect(publicPendingOf(current)).toHaveLength(1);
    expect(publicPendingOf(groups.current(stored(0, groupInfo), viewOf(state, 0)))).toEqual([]);
  });

  it('D13: are no more than there is room for; the one that was used last stays', async () => {
    const [a, b, c] = [await group('a'), await group('b'), await group('c')];
    for (const bounds of [
      { groups: 2, bytes: Number.MAX_SAFE_INTEGER },
      { groups: 9, bytes: a.groupInfo.length + b.groupInfo.length + 100 },
    ]) {
      const groups = createPublicGroups(bounds);
      const open = ({ state, groupInfo }: typeof a) => groups.current(stored(0, groupInfo), viewOf(state, 0));
      const [first, second] = [open(a), open(b)];
      expect(open(a)).toBe(first);
      open(c);
      expect(open(a)).toBe(first);
      expect(open(b)).not.toBe(second);
    }
  });
});
