import { describe, expect, test } from 'vitest';
import { differences, type History, type PrintedLine, parsePrintedLine } from '../../src/demo/histories.ts';

const person = (name: string) => ({ name });
const message = (position: number, name: string, text: string): PrintedLine => ({
  ...{ cursor: `c${position}`, position, kind: 'message', sender: person(name), text },
});
const added = (position: number, by: string, name: string): PrintedLine => ({
  ...{ cursor: `c${position}`, position, kind: 'membership', by: person(by), added: [person(name)], removed: [] },
});
const first = (position: number, kind: 'created' | 'joined'): PrintedLine => ({
  ...{ cursor: `c${position}`, position, kind, by: person('alice') },
});

const ALICE = [first(1, 'created'), added(2, 'alice', 'bob'), message(3, 'alice', 'one'), message(4, 'bob', 'two')];
const BOB = [first(2, 'joined'), message(3, 'alice', 'one'), message(4, 'bob', 'two')];
const SENT = ['one', 'two'];
const histories = (alice: readonly PrintedLine[], bob: readonly PrintedLine[]): History[] => [
  { name: 'alice', lines: alice },
  { name: 'bob', lines: bob },
];

describe('the demonstration finds', () => {
  test('nothing when all have the same from where they joined', () => {
    expect(differences(histories(ALICE, BOB), SENT)).toEqual([]);
  });

  test.each([
    ['a lost message in the middle', ALICE, [BOB[0]!, BOB[2]!]],
    ['a message twice', ALICE, [...BOB, { ...BOB[2]!, position: 5, cursor: 'c5' }]],
    ['another order', ALICE, [BOB[0]!, { ...BOB[2]!, position: 3 }, { ...BOB[1]!, position: 4 }]],
    ['another text', ALICE, [...BOB.slice(0, 2), message(4, 'bob', 'too')]],
    ['another sender', ALICE, [...BOB.slice(0, 2), message(4, 'carol', 'two')]],
    ['a position that goes back', ALICE, [...BOB, message(2, 'bob', 'three')]],
    ['a warning', ALICE, [...BOB, { cursor: 'c5', position: 5, kind: 'warning', text: 'a gap' }]],
    ['a missed commit', [...ALICE, added(5, 'alice', 'carol')], BOB],
  ])('%s', (_name, alice, bob) => {
    expect(differences(histories(alice, bob), SENT)).not.toEqual([]);
  });

  test('a row that mlschat did not print', () => {
    expect(() => parsePrintedLine('{"hello": 1}')).toThrow(/not a line/);
  });
});
