import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { concatBytes, equalBytes, toHex } from '../../wire/bytes.ts';
import type { ClientStore, RangeOptions, Write } from './client-store.ts';
import { damagedRow } from './damage.ts';
import { after, namedUpTo, namesIn } from './keys.ts';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Nonces are random: one key may seal 2^32 rows before two of them are alike with a chance of 2^-32. */
const NONCES_AT_ONCE = 256;
/** Of what stands in the place of a name, behind the first byte of a key. */
export const PSEUDONYM_BYTES = 16;
/** Groups whose pseudonyms are remembered; all are forgotten when there are more. */
const PSEUDONYMS_MAX = 4_096;
const END = new Uint8Array(64).fill(0xff);

type Row = readonly [key: Uint8Array, value: Uint8Array];

/**
 * Any store, encrypted: values under AES-256-GCM, bound to their keys; in keys, groups, accounts and whatever else they name
 * are replaced by pseudonyms. What stays visible is which tables have how many rows, how long these are, and the numbers
 * in keys (epochs, places in line).
 *
 * Reading what was changed, or sealed by another key, rejects with ClientError `storage`.
 *
 * @param dataKey 32 random bytes that seal this store alone
 */
export function createSealedStore(inner: ClientStore, dataKey: Uint8Array): ClientStore {
  const { hide, seal, open } = createRowSeal(dataKey);

  const get = async (key: Uint8Array): Promise<Uint8Array | undefined> => {
    const hidden = hide(key);
    const sealed = await inner.get(hidden);
    return sealed === undefined ? undefined : open(hidden, sealed)[1];
  };
  const range = async (options: RangeOptions): Promise<readonly Row[]> => {
    const { from, to, limit, reverse } = options;
    const bounds = sameOrder(from, to, hide);
    if (bounds !== undefined)
      return (await inner.range({ ...options, ...bounds })).map(([key, value]) => open(key, value));
    // pseudonyms have an order of their own: all that can be meant, then what is
    const around = {
      from: from.subarray(0, 1),
      to: to[0] === undefined || to[0] === 0xff ? END : Uint8Array.of(to[0] + 1),
    };
    const rows = (await inner.range(around))
      .map(([key, value]) => open(key, value))
      .filter(([key]) => Buffer.compare(key, from) >= 0 && Buffer.compare(key, to) < 0)
      .sort(([a], [b]) => Buffer.compare(a, b));
    if (reverse === true) rows.reverse();
    return rows.slice(0, limit);
  };
  const close = (): Promise<void> => inner.close();
  return {
    get,
    getMany: async (keys) => {
      const hidden = keys.map(hide);
      const sealed = await inner.getMany(hidden);
      return sealed.map((value, i) => (value === undefined ? undefined : open(hidden[i]!, value)[1]));
    },
    range,
    commit: (writes) =>
      inner.commit(
        writes.map((write): Write => {
          const key = hide(write.key);
          return { ...write, key, value: write.value === undefined ? undefined : seal(key, write.key, write.value) };
        }),
      ),
    durable: () => inner.durable(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** How {@link createSealedStore} keeps single rows. */
export interface RowSeal {
  /** The key that a row stands under. */
  hide(key: Uint8Array): Uint8Array;
  seal(hidden: Uint8Array, key: Uint8Array, value: Uint8Array): Uint8Array;
  /** The key as it was, and the value. @throws ClientError `storage` when it was changed, or sealed by another key */
  open(hidden: Uint8Array, sealed: Uint8Array): Row;
}

/** What seals the rows of a store with this data key, for whoever has its rows and no store. */
export function createRowSeal(dataKey: Uint8Array): RowSeal {
  return {
    hide: createHider(derive(dataKey, 'mlschat store names')),
    ...createSealer(derive(dataKey, 'mlschat store rows')),
  };
}

/** The bounds between which the hidden keys stand in the order of the plain ones; `undefined` where they do not. */
function sameOrder(
  from: Uint8Array,
  to: Uint8Array,
  hide: (key: Uint8Array) => Uint8Array,
): { readonly from: Uint8Array; readonly to: Uint8Array } | undefined {
  const [letter] = from;
  if (letter === undefined || letter === 0xff) return undefined;
  const names = namesIn(letter);
  if (names === 'nothing') {
    return to[0] === letter || equalBytes(to, Uint8Array.of(letter + 1)) ? { from, to } : undefined;
  }
  const named = names === 'group' ? namedUpTo(from) : undefined;
  if (named === undefined) return undefined;
  const prefix = from.subarray(0, named);
  if (equalBytes(to.subarray(0, named), prefix)) return { from: hide(from), to: hide(to) };
  return equalBytes(to, after(prefix)) ? { from: hide(from), to: after(hide(prefix)) } : undefined;
}

/** Keys with a pseudonym in the place of what they name: the same one for the same thing. */
function createHider(secret: Uint8Array): (key: Uint8Array) => Uint8Array {
  const known = new Map<string, Uint8Array>();
  const pseudonym = (named: Uint8Array): Uint8Array =>
    new Uint8Array(createHmac('sha256', secret).update(named).digest().subarray(0, PSEUDONYM_BYTES));
  const remembered = (named: Uint8Array): Uint8Array => {
    const name = toHex(named);
    const found = known.get(name) ?? pseudonym(named);
    if (known.size >= PSEUDONYMS_MAX) known.clear();
    known.set(name, found);
    return found;
  };
  return (key) => {
    const end = namedUpTo(key);
    if (end === undefined) return key;
    const named = key.subarray(1, end);
    const hidden = end === key.length ? pseudonym(named) : remembered(named);
    return concatBytes(key.subarray(0, 1), hidden, key.subarray(end));
  };
}

/** A sealed row: nonce, ciphertext, tag. In it, before the value, stands what the key names, after its length (two bytes). */
function createSealer(secret: Uint8Array): {
  seal(hidden: Uint8Array, key: Uint8Array, value: Uint8Array): Uint8Array;
  /** The key as it was, and the value. */
  open(hidden: Uint8Array, sealed: Uint8Array): Row;
} {
  let nonces = Buffer.alloc(0);
  let used = 0;
  const nextNonce = (): Uint8Array => {
    if (used === nonces.length) [nonces, used] = [randomBytes(NONCES_AT_ONCE * NONCE_BYTES), 0];
    used += NONCE_BYTES;
    return nonces.subarray(used - NONCE_BYTES, used);
  };
  return {
    seal: (hidden, key, value) => {
      const nonce = nextNonce();
      const named = key.subarray(1, namedUpTo(key) ?? 1);
      const cipher = createCipheriv(CIPHER, secret, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(hidden);
      const plain = concatBytes(Uint8Array.of(named.length >> 8, named.length & 0xff), named, value);
      const sealed = cipher.update(plain);
      cipher.final();
      return concatBytes(nonce, sealed, cipher.getAuthTag());
    },
    open: (hidden, sealed) => {
      const plain = opened(secret, hidden, sealed);
      const start = 2 + plain[0]! * 256 + plain[1]!;
      const key =
        start === 2
          ? hidden.slice()
          : concatBytes(hidden.subarray(0, 1), plain.subarray(2, start), hidden.subarray(1 + PSEUDONYM_BYTES));
      return [key, plain.subarray(start)];
    },
  };
}

function opened(secret: Uint8Array, hidden: Uint8Array, sealed: Uint8Array): Uint8Array {
  try {
    const decipher = createDecipheriv(CIPHER, secret, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(hidden);
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    const plain = decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES));
    decipher.final();
    return new Uint8Array(plain.buffer, plain.byteOffset, plain.length);
  } catch (cause) {
    throw damagedRow(hidden, cause);
  }
}

function derive(dataKey: Uint8Array, info: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', dataKey, new Uint8Array(0), info, KEY_BYTES));
}
