import { concatBytes, fromBase32, toBase32, toUtf8 } from './bytes.ts';
import { decodeGroupedCode, encodeGroupedCode } from './grouped-code.ts';
import type { AccountId, Sha256 } from './ids.ts';

/** Random bytes that a recovery key is made from; they stand in the recovery code and nowhere else. */
export const RECOVERY_SECRET_BYTES = 16;
const ACCOUNT_BYTES = 20;
const SEED_CONTEXT = toUtf8('mlsd recovery key v1\0');

/** What its owner writes down: the secret, and which account it is for, so that no server can name another one. */
export interface RecoveryCode {
  readonly secret: Uint8Array;
  readonly account: AccountId;
}

/** The seed of the Ed25519 recovery key. The account's registration holds its public key; only the code holds the secret. */
export function recoverySeed(secret: Uint8Array, sha256: Sha256): Uint8Array {
  return sha256(concatBytes(SEED_CONTEXT, secret));
}

/** 64 characters in groups of four. */
export function formatRecoveryCode({ secret, account }: RecoveryCode, sha256: Sha256): string {
  const bytes = fromBase32(account);
  if (bytes === undefined) throw new RangeError('not an account id');
  return encodeGroupedCode(concatBytes(secret, bytes), sha256);
}

/** `undefined` for what is no recovery code, or one with a slip in it. */
export function parseRecoveryCode(text: string, sha256: Sha256): RecoveryCode | undefined {
  const bytes = decodeGroupedCode(text, sha256);
  if (bytes?.length !== RECOVERY_SECRET_BYTES + ACCOUNT_BYTES) return undefined;
  const account = toBase32(bytes.slice(RECOVERY_SECRET_BYTES)) as AccountId;
  return { secret: bytes.slice(0, RECOVERY_SECRET_BYTES), account };
}
