import { comparedKeys } from '../../wire/safety-number.ts';
import type { KnownAccount } from './directory.ts';

/** Somebody's keys as a person has compared them over another way. */
export interface VerifiedMark {
  readonly v: 1;
  readonly account: KnownAccount['id'];
  readonly keys: readonly string[];
  /** Local time of the comparison, milliseconds since 1970. */
  readonly time: number;
  /** A key came that was not compared: the mark counts no more, until the number is compared again. */
  readonly changed?: true;
}

export function markOf(account: KnownAccount, time: number): VerifiedMark {
  return { v: 1, account: account.id, keys: comparedKeys(account), time };
}

/** Whether the account has a key that nobody compared. One that is gone makes nobody a stranger. */
export function hasNewKey(mark: VerifiedMark, account: KnownAccount): boolean {
  const known = new Set(mark.keys);
  return comparedKeys(account).some((key) => !known.has(key));
}

/** What everybody who had compared is told, loudly. */
export function changedKeyText(name: string): string {
  return (
    `ATTENTION: ${name} has keys that you have not compared. It may be a new device of theirs, or somebody who poses as ` +
    `${name}. ${name} is not verified any more: compare the safety number again, over another way (/verify ${name}).`
  );
}
