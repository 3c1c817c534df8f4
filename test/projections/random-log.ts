import * as fc from 'fast-check';
import type { LogEvent } from '../../src/log/events.ts';
import type { ClientId } from '../../src/wire/ids.ts';
import { bytesOf, createScript, keyPackage, sha256, type TestDevice, testDevice } from './builders.ts';

export const PEOPLE = ['alice', 'bob', 'carol', 'dave'].map(testDevice);
export const GROUP_IDS = [bytesOf('group 0', 16), bytesOf('group 1', 16)];

/** One step of a history; numbers are taken modulo what there is. */
type Step = readonly [kind: number, person: number, group: number, extra: number];

interface TestGroup {
  readonly id: Uint8Array;
  epoch: number;
  readonly roster: (TestDevice | undefined)[];
  pending: { ref: Uint8Array; leaf: number }[];
}

/** Histories that are mostly as a server writes them: with lost commits, strangers, repeats and old epochs in between. */
export const randomLog: fc.Arbitrary<LogEvent[]> = fc
  .array(fc.tuple(fc.nat(13), fc.nat(3), fc.nat(1), fc.nat(1_000)), { minLength: 1, maxLength: 60 })
  .map(historyOf);

function historyOf(steps: readonly Step[]): LogEvent[] {
  const script = createScript();
  const groups: TestGroup[] = GROUP_IDS.map((id) => ({ id, epoch: 0, roster: [PEOPLE[0]], pending: [] }));
  const events: LogEvent[] = [
    script.started(),
    ...PEOPLE.map((person) => script.register(person, [keyPackage(`${person.name} 1`)])),
    ...groups.map(({ id }, i) => script.createGroup(PEOPLE[0]!, id, `name ${i}`.replace(' ', '-'))),
  ];
  const sent: { person: TestDevice; group: TestGroup; id: ClientId }[] = [];
  for (const step of steps) events.push(eventOf(step));
  return events;

  function eventOf([kind, personNo, groupNo, extra]: Step): LogEvent {
    const person = PEOPLE[personNo]!;
    const group = groups[groupNo]!;
    const members = group.roster.flatMap((member, leaf) => (member === undefined ? [] : [{ member, leaf }]));
    const acting = members[extra % members.length]!;
    switch (kind) {
      case 0: {
        const outsiders = PEOPLE.filter((other) => !group.roster.includes(other));
        return commit(group, acting, { adds: outsiders.slice(0, 1 + (extra % 2)), removes: [] });
      }
      case 1: {
        const others = members.filter(({ leaf }) => leaf !== acting.leaf).slice(0, 1);
        return commit(group, acting, { adds: [], removes: others.map(({ leaf }) => leaf) });
      }
      case 2: // from another epoch
        return script.commit(acting.member, group.id, group.epoch + 1 + (extra % 2), acting.leaf);
      case 3: // from somebody else's leaf
        return script.commit(person, group.id, group.epoch, extra % 3);
      case 4: {
        const leaf = group.roster.indexOf(person);
        if (leaf < 0) return external(group, person);
        const event = script.propose(person, group.id, group.epoch, leaf, { kind: 'remove', leaf });
        if (members.length > 1) group.pending.push({ ref: sha256(event.proposal), leaf });
        return event;
      }
      case 5:
        return script.claim(person, PEOPLE[extra % 4]!, group.id, [keyPackage(`${PEOPLE[extra % 4]!.name} 1`).ref]);
      case 6:
        return script.publish(person, [keyPackage(`${person.name} ${extra % 5}`, { lastResort: extra % 7 === 0 })]);
      case 7: {
        const again = sent[extra % Math.max(1, sent.length)];
        if (again === undefined) return script.send();
        const messages = [{ id: again.id, text: 'again' }, 'new'];
        return script.send(script.batch(again.person, again.group.id, again.group.epoch, messages));
      }
      case 8: // from an epoch that may be too old, or to come
        return script.send(script.batch(acting.member, group.id, Math.max(0, group.epoch + 1 - (extra % 9)), ['old']));
      case 9: // perhaps a stranger
        return script.send(script.batch(person, group.id, group.epoch, ['hello']));
      default: {
        const messages = Array.from({ length: 1 + (extra % 4) }, (_, i) => ({ id: script.clientId(), text: `${i}` }));
        for (const { id } of messages) sent.push({ person: acting.member, group, id });
        const other = groups[1 - groupNo]!;
        return script.send(
          script.batch(acting.member, group.id, group.epoch, messages),
          script.batch(person, other.id, other.epoch, ['other group']),
          script.batch(acting.member, group.id, group.epoch, ['and more']),
        );
      }
    }
  }

  function commit(
    group: TestGroup,
    by: { member: TestDevice; leaf: number },
    change: { adds: TestDevice[]; removes: number[] },
  ): LogEvent {
    const pending = group.pending.filter(({ leaf }) => leaf !== by.leaf && !change.removes.includes(leaf));
    const unique = pending.filter(({ leaf }, i) => pending.findIndex((other) => other.leaf === leaf) === i);
    const event = script.commit(by.member, group.id, group.epoch, by.leaf, {
      ...change,
      refs: unique.map(({ ref }) => ref),
    });
    for (const leaf of [...change.removes, ...unique.map((proposal) => proposal.leaf)]) group.roster[leaf] = undefined;
    for (const added of change.adds) place(group, added);
    group.epoch += 1;
    group.pending = [];
    return event;
  }

  function external(group: TestGroup, person: TestDevice): LogEvent {
    const event = script.commit(person, group.id, group.epoch, 'external');
    place(group, person);
    group.epoch += 1;
    group.pending = [];
    return event;
  }

  function place(group: TestGroup, person: TestDevice): void {
    while (group.roster.length > 0 && group.roster.at(-1) === undefined) group.roster.pop();
    const blank = group.roster.indexOf(undefined);
    group.roster[blank === -1 ? group.roster.length : blank] = person;
  }
}
