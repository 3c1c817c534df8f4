import { createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { createAuthenticator } from '../../src/api/auth/authenticate.ts';
import { createSignatureChecks } from '../../src/api/auth/signature-checks.ts';
import { createTickets } from '../../src/api/auth/tickets.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { fromBase64, toUtf8 } from '../../src/wire/bytes.ts';
import { contentDigest, signRequest } from '../../src/wire/http-signature.ts';
import type { AccountId, DeviceId } from '../../src/wire/ids.ts';
import { DEFAULT_LIMITS } from '../../src/wire/limits.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import { createDeviceKey } from '../support/signed-client.ts';

const NOW = Date.UTC(2026, 10, 1, 12);
const SECOND = NOW / 1000;
const key = createDeviceKey(new Uint8Array(32).fill(7));
const MAC_KEY = new Uint8Array(32).fill(9);
const tickets = createTickets(new Uint8Array(32).fill(5), 'chat.example');
const ticketOf = (expiresAt: number, device = key.id) =>
  tickets.seal({ device, account: 'a'.repeat(32) as AccountId, key: MAC_KEY, expiresAt });
const TICKET = ticketOf(NOW + 900_000);
const ALGORITHMS = ['ed25519', 'hmac-sha256'] as const;
type Algorithm = (typeof ALGORITHMS)[number];
const hmac = (base: Uint8Array) => new Uint8Array(createHmac('sha256', MAC_KEY).update(base).digest());
const signatures = createSignatureChecks({
  onFailure: (error) => {
    throw error;
  },
});
afterAll(() => signatures.close());
const BODY = toUtf8('{"hello":"world"}');

interface Sent {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: Uint8Array | undefined;
}

async function signed(
  options: {
    created?: number;
    nonce?: string;
    body?: Uint8Array | undefined;
    alg?: Algorithm;
    keyid?: string;
    sign?: (base: Uint8Array) => Uint8Array;
  } = {},
): Promise<Sent> {
  const body = 'body' in options ? options.body : BODY;
  const { alg = 'ed25519' } = options;
  const headers = await signRequest(
    {
      method: 'POST',
      authority: 'chat.example:4000',
      path: '/v1/groups/x/commits',
      query: '?a=1',
      ...(body === undefined ? {} : { contentDigest: contentDigest(body, nodeSha256) }),
    },
    {
      created: options.created ?? SECOND,
      nonce: options.nonce ?? 'n'.repeat(22),
      keyid: options.keyid ?? (alg === 'ed25519' ? key.id : TICKET),
      alg,
    },
    options.sign ?? (alg === 'ed25519' ? key.sign : hmac),
  );
  return { method: 'POST', url: '/v1/groups/x/commits?a=1', headers: { host: 'chat.example:4000', ...headers }, body };
}

function authenticator(now = () => NOW, bootSecond = SECOND - 100) {
  return createAuthenticator({ limits: DEFAULT_LIMITS, now, bootSecond, behindTlsProxy: false, tickets, signatures });
}

/** `accepted`, or the reason of the refusal. */
async function outcome(sent: Sent, by = authenticator(), proof?: 'device-key'): Promise<string> {
  const request = { method: sent.method, url: sent.url, headers: sent.headers } as unknown as IncomingMessage;
  try {
    const opened = by.open(request, proof);
    if (opened.device !== key.id) return 'unknown-key';
    await by.prove(opened, key.publicKey, request, sent.body);
    return 'accepted';
  } catch (error) {
    if (error instanceof ProblemError && error.members.reason !== undefined) return error.members.reason;
    throw error;
  }
}

describe('authentication by HTTP Message Signatures', () => {
  it('verifies the Ed25519 example of RFC 9421, B.2.6', async () => {
    const base = [
      '"date": Tue, 20 Apr 2021 02:07:55 GMT',
      '"@method": POST',
      '"@path": /foo',
      '"@authority": example.com',
      '"content-type": application/json',
      '"content-length": 18',
      '"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
    ].join('\n');
    const signature = fromBase64(
      'wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==',
    )!;
    const publicKey = fromBase64('JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=')!;
    const checked = (text: string) => signatures.check({ key: publicKey, data: toUtf8(text), signature });
    expect(await checked(base)).toBe(true);
    expect(await checked(base.replace('/foo', '/fou'))).toBe(false);
  });

  it.each(ALGORITHMS)('takes a request in the one form there is, with and without a body (%s)', async (alg) => {
    expect(await outcome(await signed({ alg }))).toBe('accepted');
    expect(await outcome(await signed({ alg, body: undefined }))).toBe('accepted');
  });

  it.each(ALGORITHMS)('refuses a request of which any byte that is sent was changed (%s)', async (alg) => {
    const sent = await signed({ alg });
    const parts = ['method', 'url', 'host', 'signature-input', 'signature', 'content-digest', 'body'] as const;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...parts),
        fc.nat(),
        fc.integer({ min: 1, max: 127 }),
        async (part, at, flip) => {
          const changed: Sent = { ...sent, headers: { ...sent.headers } };
          const change = (text: string): string => {
            const i = at % text.length;
            return text.slice(0, i) + String.fromCharCode(text.charCodeAt(i) ^ flip) + text.slice(i + 1);
          };
          if (part === 'body') {
            changed.body = BODY.slice();
            changed.body[at % BODY.length]! ^= flip;
          } else if (part === 'method' || part === 'url') changed[part] = change(sent[part]);
          else changed.headers[part] = change(sent.headers[part]!);
          // a host is compared without its case (RFC 9110 §4.2.3)
          fc.pre(part !== 'host' || changed.headers['host']!.toLowerCase() !== sent.headers['host']);
          expect(await outcome(changed)).not.toBe('accepted');
        },
      ),
      { numRuns: 400 },
    );
  });

  it('refuses what is not there, not in form, or covers another body', async () => {
    const sent = await signed();
    const without = (name: string): Sent => {
      const { [name]: _dropped, ...headers } = sent.headers;
      return { ...sent, headers };
    };
    expect(await outcome({ ...sent, headers: { host: 'x' } })).toBe('missing');
    expect(await outcome(without('signature'))).toBe('malformed');
    expect(await outcome(without('signature-input'))).toBe('malformed');
    expect(await outcome(without('content-digest'))).toBe('malformed');
    expect(await outcome({ ...sent, body: undefined })).toBe('malformed');
    expect(await outcome({ ...sent, body: toUtf8('another') })).toBe('bad-digest');
    expect(await outcome({ ...(await signed({ body: undefined })), body: BODY })).toBe('malformed');
  });

  it('takes the clock window and no more, to both sides', async () => {
    const by = authenticator(() => NOW, 0);
    const at = async (created: number): Promise<string> => outcome(await signed({ created }), by);
    expect([await at(SECOND - 60), await at(SECOND + 60)]).toEqual(['accepted', 'accepted']);
    expect([await at(SECOND - 61), await at(SECOND + 61)]).toEqual(['stale', 'stale']);
  });

  it('takes nothing that was signed before the boot', async () => {
    const by = authenticator(() => NOW, SECOND - 5);
    expect(await outcome(await signed({ created: SECOND - 6 }), by)).toBe('stale');
    expect(await outcome(await signed({ created: SECOND - 5 }), by)).toBe('accepted');
  });

  it.each(ALGORITHMS)(
    'takes a signature once in its whole window, also both copies at one moment (%s)',
    async (alg) => {
      let now = NOW;
      const by = authenticator(() => now, 0);
      const sent = await signed({ alg, created: SECOND + 60 });
      const both = await Promise.all([outcome(sent, by), outcome(sent, by)]);
      expect(both.sort()).toEqual(['accepted', 'replayed']);
      for (let waited = 0; waited <= 120; waited += 10) {
        now = NOW + waited * 1000;
        expect(await outcome(sent, by)).toBe('replayed');
      }
      now = NOW + 121_000;
      expect(await outcome(sent, by)).toBe('stale');
    },
  );

  it('a session is good until it ends, and only for what its own key signed', async () => {
    const forged = (base: Uint8Array) => new Uint8Array(createHmac('sha256', new Uint8Array(32)).update(base).digest());
    const session = (options: Parameters<typeof signed>[0]) => signed({ alg: 'hmac-sha256', ...options });
    expect(await outcome(await session({ sign: forged }))).toBe('bad-signature');
    expect(await outcome(await session({ keyid: ticketOf(NOW + 1) }))).toBe('accepted');
    expect(await outcome(await session({ keyid: ticketOf(NOW) }))).toBe('session-expired');
    expect(await outcome(await session({ keyid: ticketOf(NOW + 900_000, 'b'.repeat(32) as DeviceId) }))).toBe(
      'unknown-key',
    );
    expect(await outcome(await signed({ keyid: TICKET }))).toBe('unknown-key');
  });

  it('a session does not do where the device key is needed', async () => {
    expect(await outcome(await signed({ alg: 'hmac-sha256' }), authenticator(), 'device-key')).toBe(
      'device-key-required',
    );
    expect(await outcome(await signed(), authenticator(), 'device-key')).toBe('accepted');
  });
});

describe('tickets', () => {
  it('open under the secret and domain they were sealed with, and under no other', () => {
    const again = createTickets(new Uint8Array(32).fill(5), 'chat.example').open(TICKET);
    expect(again).toMatchObject({ device: key.id, account: 'a'.repeat(32), expiresAt: NOW + 900_000 });
    expect(again!.key.export()).toEqual(Buffer.from(MAC_KEY));
    expect(createTickets(new Uint8Array(32).fill(5), 'other.example').open(TICKET)).toBeUndefined();
    expect(createTickets(new Uint8Array(32).fill(6), 'chat.example').open(TICKET)).toBeUndefined();
  });

  it('do not open when any byte was changed, and tell nothing of what they hold', () => {
    fc.assert(
      fc.property(fc.nat(TICKET.length - 1), fc.constantFrom(...'ABCZabcz0189-_'), (at, character) => {
        fc.pre(TICKET[at] !== character);
        expect(tickets.open(`${TICKET.slice(0, at)}${character}${TICKET.slice(at + 1)}`)).toBeUndefined();
      }),
    );
    for (const text of ['', 'x', 'A'.repeat(38), 'A'.repeat(400), '?']) expect(tickets.open(text)).toBeUndefined();
    expect(Buffer.from(TICKET, 'base64url').toString('latin1')).not.toContain(key.id);
    expect(ticketOf(NOW + 900_000)).not.toBe(TICKET);
  });

  it('fit into a keyid whatever the domain is', () => {
    const long = createTickets(new Uint8Array(32), `${'d'.repeat(60)}.`.repeat(4)).seal({
      device: key.id,
      account: 'a'.repeat(32) as AccountId,
      key: MAC_KEY,
      expiresAt: Number.MAX_SAFE_INTEGER,
    });
    expect(long.length).toBeLessThanOrEqual(512);
  });
});
