import { concatBytes, toBase64Url, toUtf8 } from './bytes.ts';
import { encodeCbor } from './cbor.ts';
import type { AccountId, DeviceId, Sha256 } from './ids.ts';

const CONTEXT = toUtf8('mlsd safety number v1\0');
const DIGITS_PER_GROUP = 5;
const BYTES_PER_GROUP = 5;
const GROUPS_PER_ACCOUNT = 6;

/** What of an account people compare: the keys that may speak for it now. */
export interface ComparedAccount {
  readonly id: AccountId;
  readonly devices: readonly {
    readonly id: DeviceId;
    readonly signatureKeys: readonly Uint8Array[];
    readonly revoked: boolean;
  }[];
}

/**
 * The number that two people read to each other: sixty digits in twelve groups, thirty for each account, the same whoever
 * of the two computes it. It is another one as soon as a key of either account is.
 */
export function safetyNumber(domain: string, one: ComparedAccount, other: ComparedAccount, sha256: Sha256): string {
  const parts = [one, other].map((account) => digitsOf(domain, account, sha256));
  return parts.sort().join(' ');
}

/** The valid keys of an account by name, ascending: one text a signature key, which names its device's key too. */
export function comparedKeys({ devices }: ComparedAccount): readonly string[] {
  return devices
    .filter(({ revoked }) => !revoked)
    .flatMap(({ id, signatureKeys }) => signatureKeys.map((key) => `${id}/${toBase64Url(key)}`))
    .sort();
}

function digitsOf(domain: string, account: ComparedAccount, sha256: Sha256): string {
  const hash = sha256(concatBytes(CONTEXT, encodeCbor([domain, account.id, comparedKeys(account)])));
  return Array.from({ length: GROUPS_PER_ACCOUNT }, (_, index) => {
    const bytes = hash.subarray(index * BYTES_PER_GROUP, (index + 1) * BYTES_PER_GROUP);
    const number = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
    return String(number % 10 ** DIGITS_PER_GROUP).padStart(DIGITS_PER_GROUP, '0');
  }).join(' ');
}
