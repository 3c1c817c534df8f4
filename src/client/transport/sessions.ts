import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { SessionResponse } from '../../wire/schemas/sessions.ts';
import { deriveSessionKey } from '../../wire/session.ts';
import type { HttpPlatform } from './http-client.ts';
import { TransportError } from './server-api.ts';

/** What signs requests without the device key, for a while. */
export interface ClientSession {
  /** `keyid` of what it signs. */
  readonly ticket: string;
  /** HMAC-SHA256. */
  sign(base: Uint8Array): Uint8Array;
}

export interface Sessions {
  /**
   * The running session; opened when there is none, renewed before it ends. Calls at one moment open one.
   *
   * @throws what opening throws, unless the running one is still good
   */
  current(): Promise<ClientSession>;
  /** The server does not take it any more; the next one is asked for. */
  drop(session: ClientSession): void;
}

/** How long before its end a session is renewed: longer than the clocks may differ, but never more than half its life. */
const RENEW_BEFORE_MS = 120_000;

interface Running {
  readonly session: ClientSession;
  readonly renewAt: number;
  readonly endsAt: number;
}

/** @param open asks the server for a session with this X25519 key; signed by the device key */
export function createSessions(
  open: (key: Uint8Array) => Promise<SessionResponse>,
  now: () => number,
  createKeyAgreement: HttpPlatform['createKeyAgreement'],
): Sessions {
  let running: Running | undefined;
  let opening: Promise<ClientSession> | undefined;

  async function renew(): Promise<ClientSession> {
    try {
      running = await openRunning(open, now, createKeyAgreement);
      return running.session;
    } catch (error) {
      if (running !== undefined && now() < running.endsAt) return running.session;
      throw error;
    } finally {
      opening = undefined;
    }
  }

  return {
    async current() {
      if (running !== undefined && now() < running.renewAt) return running.session;
      opening ??= renew();
      return await opening;
    },
    drop(session) {
      if (running?.session === session) running = undefined;
    },
  };
}

async function openRunning(
  open: (key: Uint8Array) => Promise<SessionResponse>,
  now: () => number,
  createKeyAgreement: HttpPlatform['createKeyAgreement'],
): Promise<Running> {
  const own = await createKeyAgreement();
  const { key, ticket, expiresAt } = await open(own.publicKey);
  const shared = await own.agree(key);
  const macKey = shared === undefined ? undefined : deriveSessionKey(shared, own.publicKey, key);
  if (macKey === undefined) throw new TransportError('malformed', "the server's session key is none");
  const sign = (base: Uint8Array): Uint8Array => hmac(sha256, macKey, base);
  const left = Math.max(0, expiresAt - now());
  return { session: { ticket, sign }, renewAt: expiresAt - Math.min(RENEW_BEFORE_MS, left / 2), endsAt: expiresAt };
}
