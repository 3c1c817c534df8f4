import { expect, test } from 'vitest';
import { effectsOf } from '../../../src/client/engine/effects.ts';
import { refuseIntention } from '../../../src/client/engine/intentions.ts';
import {
  endedMeanwhile,
  leadsOn,
  passedOver,
  RECOVERY_ATTEMPTS_MAX,
  reportAnswered,
  tryRecovery,
} from '../../../src/client/engine/recovery.ts';
import type { EngineEnv, Group, Recovery } from '../../../src/client/engine/types.ts';
import { emptyGroup } from '../../../src/client/engine/welcome.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';

const env = { now: () => 1 } as unknown as EngineEnv; // all that these steps use of it
const recovery: Recovery = {
  epoch: 11,
  position: 40,
  commit: new Uint8Array(32),
  code: 'invalid-commit',
  committer: 'mallory',
  reported: false,
  attempts: 0,
  gaveUp: false,
};
const parked: Group = { ...emptyGroup(new Uint8Array(16), 'tea'), phase: 'parked', position: 39, recovery };
const kinds = (group: Group) => effectsOf(group, nodeSha256).map(({ kind }) => kind);

test('D21: a commit is reported first, then joining again is tried so often and no more, and then a person is asked', () => {
  expect(kinds(parked)).toEqual(['report']);
  let group = reportAnswered(parked, 40).group;
  expect(reportAnswered(parked, 41).group).toBe(parked);
  for (let attempt = 1; attempt <= RECOVERY_ATTEMPTS_MAX; attempt += 1) {
    expect(kinds(group)).toEqual(['recover']);
    const tried = tryRecovery(env, group);
    expect(tried.lines).toEqual([]);
    expect(kinds(tried.group)).toEqual(['rejoin']);
    expect(tryRecovery(env, tried.group).group).toBe(tried.group);
    group = refuseIntention(tried.group, tried.group.intentions[0]!.id, 'no').group;
  }
  const last = tryRecovery(env, group);
  expect(last.lines).toMatchObject([
    { kind: 'warning', text: expect.stringMatching(/^Commit 12 by mallory .*\/rejoin .* administrator/) },
  ]);
  expect(kinds(last.group)).toEqual([]);
  expect(tryRecovery(env, last.group).lines).toEqual([]);
});

test('a GroupInfo that does not lead past the commit is no way back', () => {
  expect(leadsOn(parked, 11)).toBe(false);
  expect(leadsOn(parked, 12)).toBe(true);
});

test('a parked group that the server knows no longer is at its end: told once, and nothing is tried any more', () => {
  const asked = tryRecovery(env, reportAnswered(parked, 40).group).group;
  const ended = endedMeanwhile(env, passedOver(passedOver(asked, 44), 43));
  const text =
    'Commit 12 by mallory could not be processed here, and this device was taken out of the group in the meantime ' +
    '(3 before that cannot be read).';
  expect(ended.lines).toEqual([{ kind: 'warning', text, time: 1, position: 44 }]);
  expect(ended.signals).toMatchObject([{ kind: 'intention', outcome: { kind: 'refused' } }]);
  expect(kinds(ended.group)).toEqual([]);
  expect(endedMeanwhile(env, ended.group)).toMatchObject({ group: ended.group, lines: [] });
  expect(passedOver(ended.group, 50)).toBe(ended.group);
});
