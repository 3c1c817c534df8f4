import { equalBytes } from './bytes.ts';
import type { AccountId, DeviceId } from './ids.ts';

/** Who a leaf says it is: the parts of its identity, and the key it signs with. */
export interface LeafCredential {
  readonly domain: string;
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly signatureKey: Uint8Array;
}

/** What is known of the device that a leaf names; every source of it says which account it belongs to. */
export interface CredentialDevice {
  readonly account: AccountId;
  readonly signatureKeys: readonly Uint8Array[];
  readonly revoked: boolean;
}

/**
 * - `valid`: this device of this account registered the key.
 * - `revoked`: it did, and was revoked since. Leaves that were there before stay readable; none may come.
 * - `wrong-domain`, `unknown-device`, `wrong-account`, `unknown-key`: it is not what it says.
 */
export type CredentialVerdict =
  | 'valid'
  | 'revoked'
  | 'wrong-domain'
  | 'unknown-device'
  | 'wrong-account'
  | 'unknown-key';

/**
 * The one verdict on a leaf's credential, for server and clients alike (S4). A key has no expiry of its own: it is good
 * from the statement that registers it to the one that revokes its device.
 *
 * @param domain the one that is judged for
 * @param device what the account's history says of the device; `undefined` when it says nothing
 */
export function judgeCredential(
  leaf: LeafCredential,
  domain: string,
  device: CredentialDevice | undefined,
): CredentialVerdict {
  if (leaf.domain !== domain) return 'wrong-domain';
  if (device === undefined) return 'unknown-device';
  if (device.account !== leaf.account) return 'wrong-account';
  if (!device.signatureKeys.some((key) => equalBytes(key, leaf.signatureKey))) return 'unknown-key';
  return device.revoked ? 'revoked' : 'valid';
}
