import type { Person } from '../chat-client.ts';

/** What can be held against the server, see witness.ts. */
export interface Evidence {
  /** Receipts whose entries are still to come. */
  readonly promised: readonly Promised[];
  /** Receipts that were compared so far. */
  readonly settled: number;
  readonly broken: readonly BrokenPromise[];
  /** Members that were shown another history, and the first entry where it showed. */
  readonly splits: readonly { readonly with: Person; readonly position: number }[];
}

/** A receipt that the server signed. */
export interface Promised {
  readonly position: number;
  /** The head that it promises there. */
  readonly head: Uint8Array;
  readonly receipt: Uint8Array;
  readonly signature: Uint8Array;
  /** Of the entry it was given for. */
  readonly id?: string;
}

/** A receipt that was compared with what came. */
export interface SettledReceipt extends Promised {
  /** Where it is kept: the newest stands in place of the oldest. */
  readonly slot: number;
  /** The head of the chain that came here; absent when none was known there. */
  readonly served?: Uint8Array;
}

/** `receipt`, `signature`: the proof. `reason`: there is none, and why. */
export interface BrokenPromise {
  readonly position: number;
  readonly receipt?: Uint8Array;
  readonly signature?: Uint8Array;
  readonly served?: Uint8Array;
  readonly reason?: string;
}
