import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createTickets, TICKET_KEY_BYTES } from '../../src/api/auth/tickets.ts';
import { deriveKey } from '../../src/api/receipts.ts';
import { createKeyAgreement } from '../../src/mls/key-agreement-node.ts';
import type { AccountId } from '../../src/wire/ids.ts';
import { decodePage } from '../../src/wire/page.ts';
import { addDevice, revoke } from '../support/account-statements.ts';
import { openManualServer } from '../support/nats.ts';
import { startServer } from '../support/server.ts';
import { openSession, withSession } from '../support/session-client.ts';
import { createDeviceKey, createSignedClient, newId, okValue, problemOf } from '../support/signed-client.ts';
import { follow } from '../support/stream-reader.ts';
import { pathOf, TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';
import { useServer } from './support.ts';

const clock = { offsetMs: 0 };
const { server, device } = useServer({ clock });
const SESSION_MS = 15 * 60 * 1000;

describe('a session', () => {
  it('signs everything but what changes who somebody is', async () => {
    const alice = await device();
    const before = Date.now();
    const session = await openSession(server().url, alice.http);
    expect(session.expiresAt).toBeGreaterThanOrEqual(before + SESSION_MS);
    expect(session.expiresAt).toBeLessThanOrEqual(Date.now() + SESSION_MS);
    const group = await alice.createGroup();
    const message = await alice.encrypt(group, 'by the session');
    const sent = await session.request('POST', `${pathOf(group)}/messages`, {
      body: { messages: [{ id: newId(), message }] },
      idempotencyKey: newId(),
    });
    expect(sent.status).toBe(201);
    expect(decodePage((await session.request('GET', '/v1/sync?cursor=start')).bytes).entries).toHaveLength(2);
    const registration = { statement: new Uint8Array(1), signature: new Uint8Array(64), keyPackages: [] };
    for (const [path, body] of [
      ['/v1/sessions', { key: createKeyAgreement().publicKey }],
      ['/v1/accounts', registration],
    ] as const) {
      const refused = await session.request('POST', path, { body, idempotencyKey: newId() });
      expect(problemOf(refused)).toMatchObject({ code: 'forbidden', status: 403, reason: 'device-key-required' });
    }
  });

  it('is opened by a registered device alone, and by no key of low order', async () => {
    const alice = await device();
    const open = (by: typeof alice.http, key: Uint8Array) => by.request('POST', '/v1/sessions', { body: { key } });
    const stranger = createSignedClient(server().url);
    expect(problemOf(await open(stranger, createKeyAgreement().publicKey)).reason).toBe('unknown-key');
    for (const key of [new Uint8Array(32), Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0))]) {
      expect(problemOf(await open(alice.http, key)).code).toBe('invalid-request');
    }
    expect(problemOf(await open(alice.http, new Uint8Array(31))).code).toBe('invalid-request');
  });

  it('ends after its time, and its requests are never taken twice', async () => {
    const alice = await device();
    const session = await openSession(server().url, alice.http);
    let captured: Record<string, string> = {};
    okValue(await session.request('GET', '/v1/groups', { tamper: (made) => (captured = { ...made }) }));
    const again = await fetch(`${server().url()}/v1/groups`, { headers: captured });
    expect(await again.json()).toMatchObject({ reason: 'replayed' });
    try {
      clock.offsetMs = SESSION_MS + 5_000;
      const created = Math.floor((Date.now() + clock.offsetMs) / 1000);
      const late = await session.request('GET', '/v1/groups', { parameters: { created } });
      expect(problemOf(late)).toMatchObject({ code: 'unauthenticated', reason: 'session-expired' });
      okValue(await alice.http.request('GET', '/v1/groups', { parameters: { created } }));
    } finally {
      clock.offsetMs = 0;
    }
  });

  it('of a device that is not registered, or not any more, is worth nothing', async () => {
    const secret = Buffer.from((await readFile(join(server().folder, 'secret'), 'utf8')).trim(), 'hex');
    const tickets = createTickets(deriveKey(secret, 'sessions', TICKET_KEY_BYTES), 'localhost');
    const { id } = createDeviceKey();
    const alice = await device();
    const ticketOf = (sealed: { device: typeof id; account: AccountId }) =>
      tickets.seal({ ...sealed, key: new Uint8Array(32), expiresAt: Date.now() + SESSION_MS });
    const ask = async (keyid: string) => {
      const parameters = { keyid, alg: 'hmac-sha256' } as const;
      const http = createSignedClient(server().url, { ...alice.http.key, sign: () => new Uint8Array(32) });
      return problemOf(await http.request('GET', '/v1/groups', { parameters })).reason;
    };
    expect(await ask(ticketOf({ device: id, account: alice.account }))).toBe('unknown-key');
    expect(await ask(ticketOf({ device: alice.id, account: 'a'.repeat(32) as AccountId }))).toBe('session-expired');
    expect(await ask(ticketOf({ device: alice.id, account: alice.account }))).toBe('bad-signature');
  });

  it('ends at once with its device: requests, live stream and long poll, when that is revoked', async () => {
    const alice = await device();
    const phone = await alice.sibling(server().url);
    okValue(await addDevice(alice, phone));
    const session = await openSession(server().url, phone.http);
    const response = await session.fetch('GET', '/v1/sync?cursor=start', { accept: 'application/cbor-seq' });
    const poll = session.request('GET', `/v1/sync?cursor=${(await phone.syncPage()).cursor}&wait=60`);
    await until(async () => (await streamsOpen()) === 2);
    okValue(await revoke(alice, phone.id));
    const { closing } = await follow(response.body!, () => false);
    expect(closing).toEqual({ type: 'closing', reason: 'device-revoked', resumable: false });
    for (const answered of [await poll, await session.request('GET', '/v1/groups')]) {
      expect(problemOf(answered)).toMatchObject({ code: 'unauthenticated', status: 401, reason: 'revoked' });
    }
  });

  it('that one node of a domain opened is taken by every other, and by none with another secret', async () => {
    await using nats = await openManualServer();
    const tokenFile = join(nats.folder, 'token');
    await writeFile(tokenFile, nats.place.token);
    const log = { kind: 'remote', servers: nats.place.servers, tokenFile, replicas: 1 } as const;
    await using first = await startServer({ log });
    await using second = await startServer({ log, secretFile: join(first.folder, 'secret') });
    await using foreign = await startServer({ log });
    const alice = await TestDevice.register(first.url, 'alice');
    const session = await openSession(first.url, alice.http);
    const at = (url: () => string) =>
      until(async () => {
        const answered = await withSession(url, session, alice.http).request('GET', '/v1/groups');
        // a node that has not folded the registration yet does not know the device
        return answered.status === 401 && problemOf(answered).reason === 'unknown-key' ? undefined : answered;
      });
    expect((await at(first.url)).status).toBe(200);
    expect((await at(second.url)).status).toBe(200);
    expect(problemOf(await at(foreign.url))).toMatchObject({ code: 'unauthenticated', reason: 'session-expired' });
  });

  it('ends its live streams and long polls when it ends; the cursor goes on', async () => {
    await using small = await startServer({ limits: { sessionTtlMs: 6_000 } });
    const alice = await TestDevice.register(small.url, 'alice');
    const group = await alice.createGroup();
    const session = await openSession(small.url, alice.http);
    const response = await session.fetch('GET', '/v1/sync?cursor=start', { accept: 'application/cbor-seq' });
    const poll = session.request('GET', `/v1/sync?cursor=${(await alice.syncPage()).cursor}&wait=60`);
    const { closing, cursors, entries } = await follow(response.body!, () => false);
    expect(closing).toEqual({ type: 'closing', reason: 'session-expired', resumable: true });
    expect(entries).toHaveLength(1);
    expect(decodePage((await poll).bytes).entries).toEqual([]);
    expect(problemOf(await session.request('GET', '/v1/groups')).reason).toBe('session-expired');
    await alice.send(group, 'after');
    const next = await openSession(small.url, alice.http);
    const rest = await next.request('GET', `/v1/sync?cursor=${cursors.at(-1)}`);
    expect(decodePage(rest.bytes).entries).toHaveLength(1);
  });

  async function streamsOpen(): Promise<number> {
    const text = await (await fetch(`${server().url()}/metrics`)).text();
    return Number(/^mlsd_streams_open (\d+)$/m.exec(text)?.[1]);
  }
});
