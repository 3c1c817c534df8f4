import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ROUTES } from '../../src/api/routes.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { fromBase64Url, toBase64Url } from '../../src/wire/bytes.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { contentDigest, signRequest } from '../../src/wire/http-signature.ts';
import { useServer } from '../api/support.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { pathOf, type TestDevice } from '../support/test-device.ts';

const { server, device } = useServer();
const GROUP = 'a'.repeat(22);
const isAlive = async (): Promise<void> => {
  expect((await fetch(`${server().url()}/healthz`)).status).toBe(200);
};

/** Alice and Bob talk; Eve never was there, Mallory was removed. */
async function scene() {
  const [alice, bob, mallory, eve] = [await device(), await device(), await device(), await device()];
  const group = await alice.createGroup();
  await alice.invite(group, bob, mallory);
  await Promise.all([bob.catchUp(), mallory.catchUp()]);
  await alice.remove(group, mallory);
  await alice.send(group, 'among us');
  return { alice, bob, mallory, eve, group };
}
const refusal = async (by: TestDevice, method: string, target: string, body?: object) => {
  const more = body === undefined ? {} : { body, idempotencyKey: newId() };
  return problemOf(await by.http.request(method, target, more)).code;
};

describe('D11: what belongs to others', () => {
  it('is read by no stranger and by nobody who was removed: group, roster, GroupInfo, tree, and what came after', async () => {
    const { mallory, eve, group } = await scene();
    for (const by of [mallory, eve]) {
      for (const path of ['', '/group-info', '/tree?epoch=0', '/tree?epoch=1', '/tree?epoch=2']) {
        expect([path, await refusal(by, 'GET', `${pathOf(group)}${path}`)]).toEqual([path, 'not-found']);
      }
      expect(okValue(await by.http.request('GET', '/v1/groups')).groups).toEqual([]);
      expect(okValue(await by.http.request('GET', '/v1/groups?of=account')).groups).toEqual([]);
    }
    expect(await refusal(eve, 'GET', `${pathOf(group)}/log`)).toBe('not-found');
    const read = okValue(await mallory.http.request('GET', `${pathOf(group)}/log?after=0`));
    expect(read).toMatchObject({ position: 3, upToDate: true }); // her removal is the last she sees
    expect(await eve.syncAll()).toEqual([]);
    expect((await mallory.syncAll()).filter(({ kind }) => kind === 'message')).toEqual([]);
  });

  it('is written by neither: commits, proposals, messages, reports, attachments, claims in its name', async () => {
    const { alice, mallory, eve, group } = await scene();
    const made = await mallory.prepareCommit(group);
    const message = await mallory.encrypt(group, 'still here');
    const before = okValue(await alice.http.request('GET', pathOf(group)));
    for (const [by, code] of [
      [mallory, 'forbidden'],
      [eve, 'not-found'],
    ] as const) {
      const { commit, groupInfo } = made;
      expect(await refusal(by, 'POST', `${pathOf(group)}/commits`, { commit, groupInfo })).toBe(code);
      expect(await refusal(by, 'POST', `${pathOf(group)}/proposals`, { proposal: commit })).toBe(code);
      const messages = [{ id: newId(), message }];
      expect(await refusal(by, 'POST', `${pathOf(group)}/messages`, { messages })).toBe(code);
      const report = { epoch: 1, position: 3, commit: new Uint8Array(32), reason: 'cannot-process', code: 'x' };
      const reported = await by.http.request('POST', `${pathOf(group)}/reports`, { body: report });
      expect(problemOf(reported).code).toBe(code);
      expect(await refusal(by, 'POST', '/v1/key-packages/claims', { group, accounts: [alice.account] })).toBe(code);
    }
    for (const by of [mallory, eve]) {
      const blob = `${pathOf(group)}/blobs/${toBase64Url(nodeSha256(Uint8Array.of(1)))}`;
      expect(['not-found', 'forbidden']).toContain(await refusal(by, 'GET', blob));
      expect(['not-found', 'forbidden']).toContain(await refusal(by, 'PUT', blob, { blob: Uint8Array.of(1) }));
    }
    // a commit that Alice has made, sent by somebody else
    const hers = await alice.prepareCommit(group);
    expect(await refusal(eve, 'POST', `${pathOf(group)}/commits`, { ...pick(hers) })).toBe('not-found');
    expect(okValue(await alice.http.request('GET', pathOf(group)))).toEqual(before);
  });

  it('does not come with their cursors, nor with any that was made up', async () => {
    const { alice, bob, eve } = await scene();
    const known = [alice, bob];
    for (const by of known) await by.syncAll();
    for (const { cursor } of known) {
      const page = okValue(await eve.http.request('GET', `/v1/sync?cursor=${cursor}`));
      expect(page).toMatchObject({ entries: [], upToDate: true });
    }
    const block = fromBase64Url(alice.cursor.slice(1))!;
    const forged = [
      `c${toBase64Url(randomBytes(16))}`,
      `c${'A'.repeat(22)}`,
      `c${'A'.repeat(21)}`,
      'c',
      alice.cursor.slice(1),
    ];
    for (let at = 0; at < block.length; at += 1) {
      const changed = block.slice();
      changed[at]! ^= 1 << (at % 8);
      forged.push(`c${toBase64Url(changed)}`);
    }
    for (const cursor of forged) {
      const answered = await eve.http.request('GET', `/v1/sync?cursor=${encodeURIComponent(cursor)}`);
      expect([cursor, problemOf(answered).code]).toEqual([cursor, 'cursor-invalid']);
    }
  });

  it('is not answered to the Idempotency-Key of another device', async () => {
    const [alice, bob, eve] = [await device(), await device(), await device()];
    const { body, group, state } = await alice.prepareGroup();
    const idempotencyKey = newId();
    okValue(await alice.http.request('POST', '/v1/groups', { body, idempotencyKey }));
    alice.setState(group, state);
    const stolen = await eve.http.request('POST', '/v1/groups', { body, idempotencyKey });
    expect(problemOf(stolen).code).toBe('already-exists');
    const key = newId();
    const claimed = okValue(await alice.claim(group, [bob.account], key));
    expect(claimed.results[0]).toHaveProperty('keyPackage');
    expect(problemOf(await eve.claim(group, [bob.account], key)).code).toBe('not-found');
  });
});

describe('hostile paths', () => {
  const NASTY = [
    '..',
    '%2e%2e',
    '..%2f..%2f..%2fsecret',
    '%2e%2e%5csecret',
    `${GROUP}%00`,
    `${GROUP}/../../../secret`,
    `${GROUP}%2fblobs`,
    `${GROUP};x=1`,
    `${GROUP}%0d%0aset-cookie:%20a=b`,
    '__proto__',
    'constructor',
    '%',
    '%c0%ae%c0%ae',
    '*',
    'me',
    '-'.repeat(2_000),
  ];

  const isRefusal = (status: number): boolean => status === 400 || status === 404;

  it('D13: in the place of any parameter of any resource are refused or not found, and lead nowhere', async () => {
    const alice = await device();
    const withParameters = ROUTES.filter(({ path }) => path.includes(':'));
    expect(withParameters.length).toBeGreaterThan(8);
    for (const { method, path } of withParameters) {
      const names = path.match(/:\w+/g) ?? [];
      for (const name of names) {
        for (const value of NASTY) {
          const rest = names.filter((other) => other !== name);
          const target = rest.reduce((text, other) => text.replace(other, GROUP), path.replace(name, value));
          expect([target, await status(alice, method, target)]).toEqual([target, expect.toSatisfy(isRefusal)]);
        }
      }
    }
    await isAlive();
  });

  /** Of a request whose path is signed and sent just as it is written. */
  async function status(by: TestDevice, method: string, target: string): Promise<number> {
    const { host } = new URL(server().url());
    const body = method === 'get' ? undefined : encodeCbor({ a: 1 });
    const signed = await signRequest(
      {
        method: method.toUpperCase(),
        authority: host,
        path: target,
        query: '?',
        ...(body === undefined ? {} : { contentDigest: contentDigest(body, nodeSha256) }),
      },
      { created: Math.floor(Date.now() / 1000), nonce: newId(), keyid: by.id, alg: 'ed25519' },
      by.http.key.sign,
    );
    const headers = {
      host,
      ...signed,
      connection: 'close',
      ...(body === undefined ? {} : { 'content-type': 'application/cbor', 'content-length': String(body.length) }),
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `${method.toUpperCase()} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`;
    const answer = await raw(head + Buffer.from(body ?? []).toString('latin1'));
    expect(answer).not.toMatch(/set-cookie|root:/i);
    return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
  }
});

describe('hostile requests', () => {
  it('D13: bombs in any body of any resource are an invalid request: depth, counts that lie, names that are special', async () => {
    const alice = await device();
    const bombs: [string, Uint8Array, 'json' | 'cbor'][] = [
      ['deep maps', new Uint8Array(100_000).fill(0xa1), 'cbor'],
      ['deep tags', new Uint8Array(100_000).fill(0xc1), 'cbor'],
      ['deep lists in JSON', Buffer.from('{"a":'.repeat(50_000)), 'json'],
      ['a list of 2^32', Uint8Array.of(0x9a, 0xff, 0xff, 0xff, 0xff), 'cbor'],
      ['a list of 2^63', Uint8Array.of(0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 'cbor'],
      ['bytes of 2^32', Uint8Array.of(0xa1, 0x61, 0x61, 0x5a, 0xff, 0xff, 0xff, 0xff), 'cbor'],
      ['a map of 2^32', Uint8Array.of(0xba, 0xff, 0xff, 0xff, 0xff), 'cbor'],
      ['endless bytes', Uint8Array.of(0x5f, 0x41, 0x00), 'cbor'],
      ['a number without end', Buffer.from(`{"a":${'9'.repeat(500_000)}}`), 'json'],
      ['a prototype', Buffer.from('{"__proto__":{"keyPackages":[]},"constructor":{"prototype":1}}'), 'json'],
      ['a prototype in CBOR', encodeCbor({ ['__proto__']: {}, a: 1 }), 'cbor'],
      ['the same name twice', Buffer.from([0xa2, 0x61, 0x61, 0x01, 0x61, 0x61, 0x02]), 'cbor'],
      ['many names', Buffer.from(`{${Array.from({ length: 60_000 }, (_, i) => `"k${i}":0`).join(',')}}`), 'json'],
    ];
    for (const { method, path, body } of ROUTES) {
      if (body === undefined) continue;
      const target = path.replace(':group', GROUP).replace(':hash', 'a'.repeat(43)).replace(':id', alice.id);
      for (const [about, bytes, as] of bombs) {
        const answered = await alice.http.request(method.toUpperCase(), target, {
          body: new Uint8Array(bytes),
          as,
          idempotencyKey: newId(),
        });
        expect([path, about, problemOf(answered).code]).toEqual([path, about, 'invalid-request']);
      }
    }
    await isAlive();
    expect(({} as { keyPackages?: unknown }).keyPackages).toBeUndefined();
  });

  it('D13: floods of headers cost their connection: too many, too long, twice, folded, smuggled', async () => {
    const { host } = new URL(server().url());
    const head = `GET /v1/groups HTTP/1.1\r\nhost: ${host}\r\n`;
    const tries: [string, RegExp][] = [
      [`${head}x: ${'a'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 431/],
      [`${head}${Array.from({ length: 3_000 }, (_, i) => `x${i}: 1\r\n`).join('')}\r\n`, /^HTTP\/1\.1 431/],
      [
        `${head}${Array.from({ length: 1_500 }, () => 'x: 1\r\n').join('')}connection: close\r\n\r\n`,
        /^HTTP\/1\.1 401/,
      ],
      [`${head}signature: a\r\nsignature: b\r\nsignature-input: c\r\nconnection: close\r\n\r\n`, /^HTTP\/1\.1 401/],
      [
        `POST /v1/groups HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
        /^HTTP\/1\.1 400/,
      ],
      [
        `POST /v1/groups HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd`,
        /^HTTP\/1\.1 400/,
      ],
      [`GET /v1/groups HTTP/1.1\r\n\r\n`, /^HTTP\/1\.1 400/],
      [`${head} folded: 1\r\nconnection: close\r\n\r\n`, /^HTTP\/1\.1 40[01]/],
      [`TRACE /v1/groups HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`, /^HTTP\/1\.1 40[45]/],
    ];
    for (const [text, expected] of tries) expect(await raw(text)).toMatch(expected);
    await isAlive();
  });
});

function raw(text: string): Promise<string> {
  const { port } = server().running().http;
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(Buffer.from(text, 'latin1')));
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => {
      answer += String(chunk);
    });
    socket.on('error', () => resolve(answer));
    socket.on('close', () => resolve(answer));
  });
}

function pick({ commit, groupInfo }: { readonly commit: Uint8Array; readonly groupInfo: Uint8Array }) {
  return { commit, groupInfo };
}
