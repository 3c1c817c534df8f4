import { expect, test } from 'vitest';
import { LogError } from '../../src/log/errors.ts';
import { killServer, openTestLog, readAll } from '../support/nats.ts';
import { seeded } from '../support/seeded.ts';
import { batchOf, commit, groupOf } from './events.ts';

const SEED = Number(process.env['SEED'] ?? 20_260_901);
const ROUNDS = 10;
const WRITERS = 24;
const GROUPS = 4;

test(`kill -9 of the server under load loses nothing acknowledged and stores nothing twice (seed ${SEED})`, async () => {
  await using opened = await openTestLog();
  const { log } = opened;
  const random = seeded(SEED);
  const acknowledged = new Map<string, number>();
  const epochs = new Map<number, number>();
  let writing = true;
  let number = 0;

  /** Commits compete for the groups' epochs, messages go through group commit, until the rounds are over. */
  const writer = async (mine: number): Promise<void> => {
    while (writing) {
      const id = `writer-${mine}-${number++}`;
      try {
        if (mine % 2 === 0) {
          const { sequence } = await log.submitMessages(batchOf(groupOf(1_000 + mine), [id], 300));
          acknowledged.set(id, sequence);
        } else {
          const group = mine % GROUPS;
          const expected = epochs.get(group) ?? 0;
          const lane = { kind: 'group-commit', group: groupOf(group) } as const;
          const result = await log.append({ lane, expected, event: commit(id, groupOf(group), expected) });
          if (result.kind !== 'conflict') acknowledged.set(id, result.sequence);
          epochs.set(group, result.kind === 'conflict' ? result.lastSequence : result.sequence);
        }
      } catch (error) {
        if (!(error instanceof LogError && error.retryable)) throw error;
      }
    }
  };
  const writers = Array.from({ length: WRITERS }, (_, mine) => writer(mine));
  for (let round = 0; round < ROUNDS; round += 1) {
    const enough = acknowledged.size + 20 + random.below(200);
    while (acknowledged.size < enough) await new Promise((resolve) => setImmediate(resolve));
    await killServer(log);
  }
  writing = false;
  await Promise.all(writers);

  const stored = new Map<string, number[]>();
  const heads = new Map<string, number>();
  for (const { sequence, event } of await readAll(log)) {
    if (event.type === 'messages-sent') {
      for (const batch of event.batches) {
        for (const [id] of batch.messages) stored.set(id, [...(stored.get(id) ?? []), sequence]);
      }
    }
    if (event.type !== 'commit-accepted') continue;
    stored.set(event.id, [...(stored.get(event.id) ?? []), sequence]);
    // D1: every commit stands on the one right before it in its lane; its epoch here is the sequence it expected.
    const group = Buffer.from(event.group).toString('hex');
    expect(event.epoch).toBe(heads.get(group) ?? 0);
    heads.set(group, sequence);
  }
  expect(acknowledged.size).toBeGreaterThan(200);
  for (const [id, sequence] of acknowledged) expect(stored.get(id), id).toEqual([sequence]);
  for (const [id, sequences] of stored) expect(sequences, id).toHaveLength(1);
});
