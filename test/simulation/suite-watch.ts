import type { Suite } from '../../src/mls/suite.ts';
import { toHex } from '../../src/wire/bytes.ts';

const TAG_BYTES = 16;

/** Looks at every content that is encrypted: a key belongs to one (epoch, leaf, generation) of one group, and opens one content. */
export interface CipherWatch {
  readonly suite: Suite;
  /** A PrivateMessage leaves its sender. @returns the key's other ciphertext that left before, if there is one */
  left(message: Uint8Array): 'first' | 'again' | 'generation-reused' | 'unknown';
}

export function createCipherWatch(base: Suite): CipherWatch {
  /** A signature is right or wrong whoever looks: the server and every member look at the same ones. */
  const verdicts = new Map<string, boolean>();
  /** By the tag, which ends the message. */
  const keyOf = new Map<string, string>();
  const leftUnder = new Map<string, string>();
  const tagOf = (bytes: Uint8Array): string => toHex(bytes.subarray(bytes.length - TAG_BYTES));
  return {
    suite: {
      ...base,
      signature: {
        ...base.signature,
        verify: async (key, message, signature) => {
          const id = `${latin1(key)}${latin1(signature)}${latin1(message)}`;
          const known = verdicts.get(id);
          if (known !== undefined) return known;
          const verdict = await base.signature.verify(key, message, signature);
          verdicts.set(id, verdict);
          return verdict;
        },
      },
      hpke: {
        ...base.hpke,
        encryptAead: async (key, nonce, aad, plaintext) => {
          const ciphertext = await base.hpke.encryptAead(key, nonce, aad, plaintext);
          keyOf.set(tagOf(ciphertext), toHex(key));
          return ciphertext;
        },
      },
    },
    left(message) {
      const tag = tagOf(message);
      const key = keyOf.get(tag);
      if (key === undefined) return 'unknown';
      const before = leftUnder.get(key);
      if (before === undefined) {
        leftUnder.set(key, tag);
        return 'first';
      }
      return before === tag ? 'again' : 'generation-reused';
    },
  };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
