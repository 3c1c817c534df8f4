import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { openSession } from '../support/session-client.ts';
import { newId, okValue, type SignedClient } from '../support/signed-client.ts';
import { pathOf, TestDevice } from '../support/test-device.ts';
import { startTwoNodes, type TwoNodes } from '../support/two-nodes.ts';

let both: TwoNodes;
beforeAll(async () => {
  // behind a proxy the nodes have one name: a request that was captured in front of one is good for another
  both = await startTwoNodes({ behindTlsProxy: true });
});
afterAll(() => both[Symbol.asyncDispose]());

const url = (index: 0 | 1) => both.url(index);

/** A request as it went over the wire to the first node, and its answer there. */
interface Captured {
  readonly method: string;
  readonly target: string;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array | undefined;
  readonly status: number;
  readonly answer: Uint8Array;
}

async function captured(
  http: SignedClient,
  method: string,
  target: string,
  body?: Uint8Array,
  idempotencyKey?: string,
): Promise<Captured> {
  let headers: Record<string, string> = {};
  const answered = await http.request(method, target, {
    ...(body === undefined ? {} : { body }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    tamper: (made) => {
      headers = { ...made };
    },
  });
  return { method, target, headers, body, status: answered.status, answer: answered.bytes };
}

async function again(node: 0 | 1, { method, target, headers, body }: Captured, changed: Record<string, string> = {}) {
  // Host as the first node was called: what an attacker has captured says so
  const { host } = new URL(url(0)());

  const { port } = new URL(url(node)());
  return await new Promise<{ status: number; bytes: Buffer }>((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, method, path: target, headers: { ...headers, ...changed, host } },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, bytes: Buffer.concat(parts) }));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

const reasonOf = ({ bytes }: { bytes: Buffer }): unknown => JSON.parse(bytes.toString()).reason;

describe('D16: a request that was captured', () => {
  it('is not taken twice by one node, whatever in it was not signed is changed', async () => {
    const alice = await TestDevice.register(url(0), 'twice');
    for (const http of [alice.http, await openSession(url(0), alice.http)]) {
      const seen = await captured(http, 'GET', '/v1/groups');
      expect(seen.status).toBe(200);
      for (const changed of [{}, { accept: 'application/json' }, { 'x-forwarded-for': '192.0.2.9' }]) {
        expect(reasonOf(await again(0, seen, changed))).toBe('replayed');
      }
    }
  });

  it('does nothing a second time on another node: it gets its first answer, under no other Idempotency-Key', async () => {
    const [alice, bob] = [await TestDevice.register(url(0), 'claimer'), await TestDevice.register(url(0), 'claimed')];
    const group = await alice.createGroup();

    const body = encodeCbor({ group, accounts: [bob.account] });
    for (const http of [alice.http, await openSession(url(0), alice.http)]) {
      const claim = await captured(http, 'POST', '/v1/key-packages/claims', body, newId());
      expect(claim.status).toBe(200);
      const left = async () => okValue(await bob.http.request('GET', '/v1/key-packages')).available;
      const before = await left();
      const other = await again(1, claim, { 'idempotency-key': newId() });
      expect([other.status, reasonOf(other)]).toEqual([401, 'bad-signature']);
      const { 'idempotency-key': _, ...without } = claim.headers;
      expect(reasonOf(await again(1, { ...claim, headers: without }))).toBe('malformed');
      const same = await again(1, claim);
      expect(same.status).toBe(200);
      expect(Buffer.compare(same.bytes, claim.answer)).toBe(0);
      expect(await left()).toBe(before);
    }
  });

  it('sends no message twice, whichever node it is sent to', async () => {
    const alice = await TestDevice.register(url(0), 'sender');
    const group = await alice.createGroup();

    const message = await alice.encrypt(group, 'once');
    const body = encodeCbor({ messages: [{ id: newId(), message }] });
    const sent = await captured(alice.http, 'POST', `${pathOf(group)}/messages`, body);
    expect(sent.status).toBe(201);
    expect((await again(1, sent)).status).toBe(201);
    expect((await alice.syncAll()).filter(({ kind }) => kind === 'message')).toHaveLength(1);
  });

  it('is not taken by a node that was started after it was made', async () => {
    const alice = await TestDevice.register(url(0), 'before-the-start');
    const seen = await captured(alice.http, 'GET', '/v1/groups');
    await both.nodes[0].restart();
    expect(reasonOf(await again(0, seen))).toBe('stale');
  });
});
