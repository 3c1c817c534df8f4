/** One change of the store; `undefined` removes the key, and its value does not stay behind in the place it had. */
export interface Write {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
  /** The value that is replaced must not stay behind either. */
  readonly secret?: true;
}

export interface RangeOptions {
  /** First key, included. */
  readonly from: Uint8Array;
  /** First key after the range. */
  readonly to: Uint8Array;
  readonly limit?: number;
  /** From the end of the range towards its beginning. */
  readonly reverse?: boolean;
}

/**
 * An ordered map of byte strings with atomic writes: all that the client needs of a database. Keys order as unsigned
 * bytes. Every implementation passes the same acceptance suite.
 */
export interface ClientStore extends AsyncDisposable {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** In the order of the keys, `undefined` for those that are not there. */
  getMany(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]>;
  range(options: RangeOptions): Promise<readonly (readonly [key: Uint8Array, value: Uint8Array])[]>;
  /** All of it or nothing. Resolves when readers see it and no end of the process can undo it; applied in call order. */
  commit(writes: readonly Write[]): Promise<void>;
  /** Resolves when everything committed so far survives a power cut; rejects once a commit has failed. */
  durable(): Promise<void>;
  close(): Promise<void>;
}
