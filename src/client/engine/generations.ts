import { epochOf } from '../../mls/session/state.ts';
import type { Group, OutboxItem } from './types.ts';

/**
 * Generations that are announced at most: more given up in one epoch, and receivers hear of the oldest as missing. A
 * warning too many is better than one too few.
 */
const VOIDED_MAX = 256;

/**
 * Messages of one sender and epoch are numbered without gaps (generations), so a receiver notices one that was withheld
 * (D20). A number can also be used for a message that the server refused, and that will never be there. Whoever gave up
 * such numbers names them, signed, in each later message of the epoch.
 */
export function voidedIn(group: Group): readonly number[] {
  const { voided, mls } = group;
  return voided === undefined || mls === undefined || voided.epoch !== epochOf(mls) ? [] : voided.generations;
}

/** Notes the numbers of ciphertexts that will never be in the log. Those of past epochs do not matter: nothing follows. */
export function giveUp(group: Group, items: readonly OutboxItem[]): Group {
  if (group.mls === undefined) return group;
  const epoch = epochOf(group.mls);
  const generations = items.flatMap(({ sealed }) =>
    sealed?.generation === undefined || sealed.epoch !== epoch ? [] : [sealed.generation],
  );
  if (generations.length === 0) return group;
  const all = [...new Set([...voidedIn(group), ...generations])].sort((a, b) => a - b);
  return { ...group, voided: { epoch, generations: all.slice(-VOIDED_MAX) } };
}

interface Sender {
  readonly leaf: number;
  readonly generation: number;
  readonly epoch: number;
}

/**
 * Counts a message that came. `missed`: how many of its sender's before it never did, apart from those it has given up.
 */
export function countGeneration(
  { generations }: Pick<Group, 'generations'>,
  { leaf, generation, epoch }: Sender,
  voided: readonly number[],
): { readonly missed: number; readonly generations: ReadonlyMap<string, number> } {
  const key = `${epoch}/${leaf}`;
  const expected = generations.get(key) ?? 0;
  if (generation < expected) return { missed: 0, generations };
  const given = voided.length === 0 ? voided : voided.filter((each) => each >= expected && each < generation);
  const named = given.length === 0 ? 0 : new Set(given).size;
  return { missed: generation - expected - named, generations: new Map(generations).set(key, generation + 1) };
}
