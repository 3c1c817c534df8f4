import { fromUtf8, toUtf8 } from '../../wire/bytes.ts';
import type { ClientStore, Write } from './client-store.ts';
import { keys } from './keys.ts';

/** Keeps the recovery code of a new account until its owner has it. */
export function recoveryCodeWrite(code: string): Write {
  return { key: keys.recoveryCode(), value: toUtf8(code) };
}

/** The recovery code that was not shown yet; `undefined` ever after. */
export async function loadRecoveryCode(store: ClientStore): Promise<string | undefined> {
  const value = await store.get(keys.recoveryCode());
  return value === undefined ? undefined : fromUtf8(value);
}

/** It was shown: what is left of it is on paper. */
export function recoveryCodeRemoval(): Write {
  return { key: keys.recoveryCode(), value: undefined };
}
