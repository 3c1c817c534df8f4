import type { Group, LeafUse } from './types.ts';

/** When the keys of the own leaf are renewed without being asked. */
export interface RotationPolicy {
  /** After this many own messages. */
  readonly afterMessages: number;
  /** After this much time, milliseconds. */
  readonly afterMs: number;
}

export const DAY_MS = 24 * 60 * 60_000;
/** A commit a member and week, and one every few hundred messages: what leaks by then is bounded, and the log stays small. */
export const ROTATION: RotationPolicy = { afterMessages: 500, afterMs: 7 * DAY_MS };
/** Who has just come lets the others, and an inviter who goes on inviting, finish first. */
export const AFTER_JOIN_MS = 5 * 60_000;

/** The leaf's keys are new: made by an own commit. */
export function freshLeaf(now: number): LeafUse {
  return { since: now, messages: 0 };
}

/** The leaf's keys are those of the key package that was invited. */
export function packageLeaf(now: number): LeafUse {
  return { since: now, messages: 0, fromPackage: true };
}

/** One more own message under the same keys. */
export function usedOnce(use: LeafUse | undefined): LeafUse {
  return use === undefined ? { since: 0, messages: 1 } : { ...use, messages: use.messages + 1 };
}

/** Local time from which the own keys should be renewed; `undefined` while something else is to be done first, or never can be. */
export function renewalDue(group: Group, policy: RotationPolicy): number | undefined {
  if (group.phase !== 'member' || group.leaving !== undefined) return undefined;
  if (group.pending !== undefined || group.intentions.length > 0) return undefined;
  const { since, messages, fromPackage } = group.leafUse ?? { since: 0, messages: 0 };
  if (fromPackage === true) return since + AFTER_JOIN_MS;
  return messages >= policy.afterMessages ? since : since + policy.afterMs;
}
