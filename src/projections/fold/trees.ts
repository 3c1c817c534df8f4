import type { Draft } from './draft.ts';
import { groupInfos, type UnusedWelcome, unusedWelcomes } from './rows.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** A Welcome nobody used for this long does not keep its tree any longer: the key package in it has expired too. */
export const WELCOME_MAX_AGE_MS = 90 * DAY_MS;
/** Epochs whose GroupInfo one group keeps for Welcomes; those of the oldest epochs go first. */
const WELCOME_EPOCHS_MAX = 128;

/**
 * GroupInfos, and the ratchet trees in them, are kept for the current epoch and for every epoch that an unused Welcome
 * leads into. A Welcome counts as used when its device places anything in the group.
 */
export function replaceWelcomes(
  draft: Draft,
  group: number,
  currentEpoch: number,
  before: readonly UnusedWelcome[],
  after: readonly UnusedWelcome[],
): void {
  if (after.length === 0) {
    if (before.length > 0) draft.remove(unusedWelcomes, group);
  } else draft.put(unusedWelcomes, group, after);
  const kept = new Set(after.map(({ epoch }) => epoch)).add(currentEpoch);
  for (const epoch of new Set(before.map((welcome) => welcome.epoch))) {
    if (!kept.has(epoch)) draft.remove(groupInfos, { group, epoch });
  }
}

/** The device has shown that it is in. */
export function useWelcome(draft: Draft, group: number, currentEpoch: number, device: number): void {
  const before = draft.get(unusedWelcomes, group);
  if (before === undefined) return;
  const after = before.filter((welcome) => welcome.device !== device);
  if (after.length < before.length) replaceWelcomes(draft, group, currentEpoch, before, after);
}

/** The Welcomes that still count at `now` (ms of event time), within the bound on epochs. */
export function pruneWelcomes(welcomes: readonly UnusedWelcome[], now: number): readonly UnusedWelcome[] {
  const young = welcomes.filter(({ time }) => now - time < WELCOME_MAX_AGE_MS);
  const epochs = [...new Set(young.map(({ epoch }) => epoch))].sort((a, b) => b - a).slice(0, WELCOME_EPOCHS_MAX);
  const oldest = epochs.at(-1) ?? 0;
  return young.filter(({ epoch }) => epoch >= oldest);
}
