import type { AccountId, DeviceId } from '../../src/wire/ids.ts';

/** One machine of somebody, and what is on its disk when a history begins. */
export interface Persona {
  /** Unique in a history. */
  readonly name: string;
  /** What the account is called, or wants to be called, when the history begins. */
  readonly user: string;
  /**
   * - `registered`: the server knows the device.
   * - `newcomer`: has keys and has not asked for its name yet.
   * - `further`: has keys and waits to be made a device of an account that is there.
   */
  readonly kind: 'registered' | 'newcomer' | 'further';
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly rows: ReadonlyMap<string, Uint8Array>;
}
