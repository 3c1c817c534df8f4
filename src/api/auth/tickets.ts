import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { fromBase64Url, toBase64Url, toUtf8 } from '../../wire/bytes.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import { type AccountId, type DeviceId, isShortId } from '../../wire/ids.ts';
import { SESSION_KEY_BYTES } from '../../wire/session.ts';

/** What a ticket holds. */
export interface Session {
  readonly device: DeviceId;
  readonly account: AccountId;
  /** HMAC-SHA256 key of its requests. */
  readonly key: KeyObject;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/**
 * Sessions sealed under a secret that all nodes of a domain share: no node keeps a table of them, every node opens
 * them. A ticket is bound to its domain; one of another domain, or under another secret, does not open.
 */
export interface Tickets {
  /** @param session `key` as its 32 bytes */
  seal(session: Omit<Session, 'key'> & { readonly key: Uint8Array }): string;
  /** `undefined` for what was not sealed here. Says nothing about its age. */
  open(ticket: string): Session | undefined;
}

const VERSION = 1;
const CIPHER = 'aes-256-gcm';
export const TICKET_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Tickets that were opened lately; the least recently used is opened anew. */
const OPENED_MAX = 20_000;

/** @throws RangeError when the key has not {@link TICKET_KEY_BYTES} */
export function createTickets(key: Uint8Array, domain: string): Tickets {
  if (key.length !== TICKET_KEY_BYTES) throw new RangeError(`a ticket key has ${TICKET_KEY_BYTES} bytes`);
  const secret = createSecretKey(key);
  const boundTo = toUtf8(`mlsd ticket v${VERSION} ${domain}`);
  const opened = new LRUCache<string, Session>({ max: OPENED_MAX });

  function unseal(ticket: string): Session | undefined {
    const bytes = fromBase64Url(ticket);
    if (bytes === undefined || bytes.length <= NONCE_BYTES + TAG_BYTES) return undefined;
    const end = bytes.length - TAG_BYTES;
    const decipher = createDecipheriv(CIPHER, secret, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(boundTo).setAuthTag(bytes.subarray(end));
    const plain = decipher.update(bytes.subarray(NONCE_BYTES, end));
    try {
      decipher.final();
    } catch {
      return undefined; // not made under this key, or changed on its way
    }
    return sessionOf(decodeCbor(new Uint8Array(plain)));
  }

  return {
    seal({ device, account, key: macKey, expiresAt }) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, secret, nonce, { authTagLength: TAG_BYTES }).setAAD(boundTo);
      const sealed = cipher.update(encodeCbor([VERSION, device, account, macKey, expiresAt]));
      cipher.final();
      return toBase64Url(Buffer.concat([nonce, sealed, cipher.getAuthTag()]));
    },
    open(ticket) {
      const known = opened.get(ticket);
      if (known !== undefined) return known;
      const session = unseal(ticket);
      if (session !== undefined) opened.set(ticket, session);
      return session;
    },
  };
}

/** Sealed by a node of this domain, maybe of another version of this program. */
function sessionOf(value: unknown): Session | undefined {
  if (!Array.isArray(value) || value.length !== 5) return undefined;
  const [version, device, account, key, expiresAt] = value as unknown[];
  if (version !== VERSION || !isId(device) || !isId(account) || !Number.isSafeInteger(expiresAt)) return undefined;
  if (!(key instanceof Uint8Array) || key.length !== SESSION_KEY_BYTES) return undefined;
  return {
    device: device as DeviceId,
    account: account as AccountId,
    key: createSecretKey(key),
    expiresAt: expiresAt as number,
  };
}

function isId(value: unknown): boolean {
  return typeof value === 'string' && isShortId(value);
}
