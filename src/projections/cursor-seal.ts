import { createCipheriv, createDecipheriv, hash } from 'node:crypto';
import { blockFromCursor, CURSOR_BLOCK_BYTES, cursorFromBlock } from '../wire/cursor.ts';
import { type Cursor, START_CURSOR } from '../wire/ids.ts';
import { type Order, readUint32, readUint48, START_ORDER, writeUint32, writeUint48 } from './order.ts';

/**
 * A cursor is one AES block: version (1) ‖ hash of the incarnation (5) ‖ sequence (6) ‖ index (4). A single block under
 * a secret key is a pseudorandom permutation, so it tells nothing about volume; a made-up one opens to a right version and
 * incarnation once in 2^48 tries.
 */
const VERSION = 1;
const INCARNATION_BYTES = 5;
const SEQUENCE_AT = 1 + INCARNATION_BYTES;
const INDEX_AT = SEQUENCE_AT + 6;
const KEY_BYTES = 32;
const CIPHER = 'aes-256-ecb';

type OpenedCursor =
  | { readonly kind: 'order'; readonly order: Order }
  | { readonly kind: 'invalid'; readonly reason: 'malformed' | 'foreign' };

/** Makes and opens the cursors of one domain. */
export interface CursorSeal {
  /** One block an order, joined. */
  sealBlocks(incarnation: string, orders: readonly Order[]): Uint8Array;
  seal(incarnation: string, order: Order): Cursor;
  /** `start` opens to the beginning. */
  open(incarnation: string, cursor: string): OpenedCursor;
}

/** @throws RangeError when the key has not 32 bytes */
export function createCursorSeal(key: Uint8Array): CursorSeal {
  if (key.length !== KEY_BYTES) throw new RangeError(`a cursor key has ${KEY_BYTES} bytes`);
  const secret = Buffer.from(key);

  const sealBlocks = (incarnation: string, orders: readonly Order[]): Uint8Array => {
    const tag = tagOf(incarnation);
    const plain = Buffer.alloc(orders.length * CURSOR_BLOCK_BYTES);
    orders.forEach(({ sequence, index }, i) => {
      const at = i * CURSOR_BLOCK_BYTES;
      plain[at] = VERSION;
      plain.set(tag, at + 1);
      writeUint48(plain, at + SEQUENCE_AT, sequence);
      writeUint32(plain, at + INDEX_AT, index);
    });
    const blocks = createCipheriv(CIPHER, secret, null).setAutoPadding(false).update(plain);
    return new Uint8Array(blocks.buffer, blocks.byteOffset, blocks.length);
  };

  return {
    sealBlocks,
    seal: (incarnation, order) => cursorFromBlock(sealBlocks(incarnation, [order])),
    open(incarnation, cursor) {
      if (cursor === START_CURSOR) return { kind: 'order', order: START_ORDER };
      const block = blockFromCursor(cursor);
      if (block === undefined) return { kind: 'invalid', reason: 'malformed' };
      const plain = createDecipheriv(CIPHER, secret, null).setAutoPadding(false).update(block);
      if (plain[0] !== VERSION || !plain.subarray(1, SEQUENCE_AT).equals(tagOf(incarnation))) {
        return { kind: 'invalid', reason: 'foreign' };
      }
      return {
        kind: 'order',
        order: { sequence: readUint48(plain, SEQUENCE_AT), index: readUint32(plain, INDEX_AT) },
      };
    },
  };
}

function tagOf(incarnation: string): Buffer {
  return Buffer.from(hash('sha256', `mlsd incarnation\0${incarnation}`, 'hex'), 'hex').subarray(0, INCARNATION_BYTES);
}
