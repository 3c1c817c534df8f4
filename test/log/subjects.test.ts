import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  APPLICATION_SHARDS_MAX,
  isCompared,
  type Lane,
  laneSubject,
  nameLane,
  subjectLane,
} from '../../src/log/subjects.ts';

const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const group = fc.uint8Array({ minLength: 1, maxLength: 48 });
const lane: fc.Arbitrary<Lane> = fc.oneof(
  fc.constant<Lane>({ kind: 'log' }),
  group.map((bytes): Lane => ({ kind: 'group-commit', group: bytes })),
  group.map((bytes): Lane => ({ kind: 'group-proposal', group: bytes })),
  fc.nat(APPLICATION_SHARDS_MAX - 1).map((shard): Lane => ({ kind: 'application', shard })),
  id.map((account): Lane => ({ kind: 'account', account })),
  id.map((hash): Lane => ({ kind: 'name', hash })),
);

test('a lane and its subject are one to one', () => {
  fc.assert(
    fc.property(lane, lane, (a, b) => {
      expect(subjectLane(laneSubject(a))).toEqual(a);
      expect(laneSubject(a) === laneSubject(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
    }),
  );
});

test('no subject holds a wildcard, a space or an empty token, whatever the ids are', () => {
  const hostile: fc.Arbitrary<Lane> = fc.oneof(
    fc.string().map((account): Lane => ({ kind: 'account', account })),
    fc.string().map((hash): Lane => ({ kind: 'name', hash })),
    fc.uint8Array({ maxLength: 80 }).map((bytes): Lane => ({ kind: 'group-commit', group: bytes })),
    fc.integer().map((shard): Lane => ({ kind: 'application', shard })),
  );
  fc.assert(
    fc.property(hostile, (any) => {
      try {
        expect(laneSubject(any)).toMatch(/^mls(\.[A-Za-z0-9_-]+)+$/);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }),
  );
});

test('any other subject has no lane', () => {
  for (const subject of [
    '',
    'mls',
    'mls.log.x',
    'mls.group.AA.other',
    'mls.group.AA',
    'mls.application.01',
    'other.log',
  ]) {
    expect(subjectLane(subject), subject).toBeUndefined();
  }
  fc.assert(
    fc.property(fc.string(), (subject) => {
      const found = subjectLane(subject);
      if (found !== undefined) expect(laneSubject(found)).toBe(subject);
    }),
  );
});

test('names that are equal after folding share a lane, user and group names never do', () => {
  expect(nameLane('account', 'Alice')).toEqual(nameLane('account', 'aLICE'));
  expect(nameLane('account', 'ﬁn')).toEqual(nameLane('account', 'fin'));
  expect(nameLane('account', 'tea')).not.toEqual(nameLane('group', 'tea'));
});

test('only proposals and application messages go uncompared', () => {
  fc.assert(
    fc.property(lane, (any) => {
      expect(isCompared(any)).toBe(any.kind !== 'group-proposal' && any.kind !== 'application');
    }),
  );
});
