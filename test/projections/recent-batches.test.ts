import { expect, test } from 'vitest';
import { createRecentBatches } from '../../src/projections/recent-batches.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { decodeEntry, isGroupEntry } from '../../src/wire/entry.ts';
import type { GroupId, Position } from '../../src/wire/ids.ts';
import { bytesOf, createScript, testDevice } from './builders.ts';
import { folded } from './open.ts';

const [alice, bob, carol] = [testDevice('alice'), testDevice('bob'), testDevice('carol')];
const TEA = bytesOf('tea', 16);

test('a batch that was placed whole is known by its event; of one with a message left out nothing is said', async () => {
  const script = createScript();
  const say = () => ({ id: script.clientId(), text: 'x' });
  const repeated = say();
  const events = [
    script.started(),
    script.register(alice),
    script.register(bob),
    script.register(carol),
    script.createGroup(alice, TEA, 'tea'),
    script.commit(alice, TEA, 0, 0, { adds: [bob] }),
  ];
  const sequence = events.length + 1;
  const sent = script.send(
    script.batch(alice, TEA, 1, [repeated, say()]),
    script.batch(carol, TEA, 1, [say()]),
    script.batch(bob, TEA, 1, [say()]),
    script.batch(alice, TEA, 1, [say(), repeated]),
  );
  const { read } = await folded([...events, sent]);
  const group = toBase64Url(TEA) as GroupId;
  const headAt = (position: number) => read.entryAt(group, position as Position)!.head;
  const idAt = (position: number) => {
    const entry = decodeEntry(read.entryAt(group, position as Position)!.bytes);
    return isGroupEntry(entry) ? entry.id : undefined;
  };
  const { epoch } = read.group(group)!;
  expect([0, 1, 2, 3, 4].map((index) => read.placedBatch(sequence, index))).toEqual([
    { id: idAt(3), first: 3, head: headAt(4), epoch },
    undefined,
    { id: idAt(5), first: 5, head: headAt(5), epoch },
    undefined,
    undefined,
  ]);
  expect(read.placedBatch(sequence - 1, 0)).toBeUndefined();
});

test('only the newest batches are held, event by event', () => {
  const recent = createRecentBatches(4);
  const head = new Uint8Array(32);
  for (let sequence = 1; sequence <= 3; sequence += 1) {
    recent.add(
      [0, 2].map((index) => ({ sequence, index, id: `${index}`, first: 10 * sequence + index, head, epoch: 0 })),
    );
  }
  expect([1, 2, 3].map((sequence) => recent.get(sequence, 2)?.first)).toEqual([undefined, 22, 32]);
  expect(recent.get(3, 1)).toBeUndefined();
});
