import type { Group, OutboxItem } from './types.ts';

/** Texts that are remembered in one group, the newest. */
const GIVEN_UP_KEPT = 64;
const NO_CIPHERTEXT = new Uint8Array(0);

/**
 * Remembers texts that were just said to be not sent. Whoever is told so has not been answered for every copy of the request: one may
 * be on its way still, and is placed when it arrives while this device is a member again. Then the text has to be here, for nobody
 * can decrypt what it has encrypted itself. What was never encrypted never left.
 */
export function rememberGivenUp(group: Group, items: readonly OutboxItem[]): Group {
  const left = items.flatMap((item): OutboxItem[] => {
    const { sealed } = item;
    return sealed === undefined ? [] : [{ ...item, sealed: { ...sealed, message: NO_CIPHERTEXT } }];
  });
  if (left.length === 0) return group;
  return { ...group, givenUp: [...(group.givenUp ?? []), ...left].slice(-GIVEN_UP_KEPT) };
}

/** The group once a remembered text has come after all. */
export function forgetGivenUp(group: Group, item: OutboxItem): Group {
  const { givenUp, ...rest } = group;
  if (givenUp?.includes(item) !== true) return group;
  const left = givenUp.filter((other) => other !== item);
  return left.length === 0 ? rest : { ...rest, givenUp: left };
}
