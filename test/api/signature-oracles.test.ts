import { createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto';
import { createSignature, type RequestDescriptor, verifySignature } from 'http-message-sig';
import { httpbis } from 'http-message-signatures';
import { describe, expect, it } from 'vitest';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { contentDigest } from '../../src/wire/http-signature.ts';
import { openSession } from '../support/session-client.ts';
import { newId, type SignedClient } from '../support/signed-client.ts';
import { useServer } from './support.ts';

const { server, device } = useServer();
const COVERED = ['@method', '@authority', '@path', '@query'];
const WITH_BODY = [...COVERED, 'content-digest', 'idempotency-key'];
const PARAMETERS = ['created', 'nonce', 'keyid', 'alg', 'tag'];

/** What signs and what checks, as an independent library is given it. */
interface Keys {
  readonly alg: 'ed25519' | 'hmac-sha256';
  readonly keyid: string;
  readonly http: SignedClient;
  sign(data: Uint8Array): Uint8Array;
  verify(data: Uint8Array, signature: Uint8Array): boolean;
}

async function keysOf(alg: Keys['alg']): Promise<Keys> {
  const { http } = await device();
  if (alg === 'ed25519') {
    const x = toBase64Url(http.key.publicKey);
    const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    return {
      alg,
      keyid: http.key.id,
      http,
      sign: http.key.sign,
      verify: (data, signature) => verify(null, data, publicKey, signature),
    };
  }
  const session = await openSession(server().url, http);
  const sign = (data: Uint8Array) => new Uint8Array(createHmac('sha256', session.macKey).update(data).digest());
  return {
    alg,
    keyid: session.ticket,
    http: session,
    sign,
    verify: (data, signature) => timingSafeEqual(sign(data), signature),
  };
}

const CASES = [
  { method: 'GET', target: '/v1/key-packages', body: undefined, covered: COVERED },
  { method: 'GET', target: '/v1/sync?cursor=start&limit=3', body: undefined, covered: COVERED },
  { method: 'PUT', target: '/v1/key-packages', body: { keyPackages: [Uint8Array.of(1)] }, covered: WITH_BODY },
] as const;

describe.each(['ed25519', 'hmac-sha256'] as const)('the profile of RFC 9421 with %s', (alg) => {
  it('is understood by two independent libraries', async () => {
    const keys = await keysOf(alg);
    for (const { method, target, body, covered } of CASES) {
      let headers: Record<string, string> = {};
      const answered = await keys.http.request(method, target, {
        ...(body === undefined ? {} : { body, idempotencyKey: newId() }),
        tamper: (made) => {
          headers = { ...made };
        },
      });
      expect(answered.status).toBe(200);
      const url = `${server().url()}${target}`;
      const request = { method, url, headers };
      const algs = [alg];
      const checked = await httpbis.verifyMessage(
        {
          keyLookup: async ({ keyid }) =>
            keyid === keys.keyid ? { algs, verify: async (data, signature) => keys.verify(data, signature) } : null,
          requiredFields: [...covered],
          requiredParams: PARAMETERS,
          tolerance: 60,
        },
        request,
      );
      expect(checked).toBe(true);
      const verified = await verifySignature(descriptorOf(method, url, headers), {
        policy: { algorithms: algs, requiredComponents: covered, requiredParameters: PARAMETERS, clockSkew: 60 },
        resolveVerifier: () => ({ algorithm: alg, verify: keys.verify }),
      });
      expect(verified.parameters).toMatchObject({ keyid: keys.keyid, alg, tag: 'mlsd' });
    }
  });

  it('is made by two independent libraries, and taken', async () => {
    const keys = await keysOf(alg);
    for (const { method, target, body, covered } of CASES) {
      for (const signWith of [byHttpMessageSignatures, byHttpMessageSig]) {
        const bytes = body === undefined ? undefined : encodeCbor(body);
        const url = `${server().url()}${target}`;
        const headers: Record<string, string> = {
          accept: 'application/cbor',
          ...(bytes === undefined
            ? {}
            : {
                'content-type': 'application/cbor',
                'content-digest': contentDigest(bytes, nodeSha256),
                'idempotency-key': newId(),
              }),
        };
        const signed = await signWith(keys, { method, url, headers }, covered);
        const response = await fetch(url, { method, headers: signed, ...(bytes === undefined ? {} : { body: bytes }) });
        expect([signWith.name, response.status]).toEqual([signWith.name, 200]);
        await response.arrayBuffer();
      }
    }
  });
});

type Request = { readonly method: string; readonly url: string; readonly headers: Record<string, string> };

async function byHttpMessageSignatures(keys: Keys, request: Request, covered: readonly string[]) {
  const signed = await httpbis.signMessage(
    {
      name: 'sig1',
      key: { id: keys.keyid, alg: keys.alg, sign: async (data) => Buffer.from(keys.sign(data)) },
      fields: [...covered],
      params: PARAMETERS,
      paramValues: { created: new Date(), nonce: newId(), tag: 'mlsd' },
    },
    request,
  );
  return Object.fromEntries(Object.entries(signed.headers).map(([name, value]) => [name, String(value)]));
}

async function byHttpMessageSig(keys: Keys, { method, url, headers }: Request, covered: readonly string[]) {
  const { alg, keyid, sign } = keys;
  const created = Math.floor(Date.now() / 1000);
  const fields = await createSignature(descriptorOf(method, url, headers), {
    label: 'sig1',
    components: covered,
    parameters: { created, nonce: newId(), keyid, alg, tag: 'mlsd' },
    signer: { algorithm: alg, sign },
  });
  return { ...headers, signature: fields.signature, 'signature-input': fields.signatureInput };
}

function descriptorOf(method: string, targetUri: string, headers: Record<string, string>): RequestDescriptor {
  const fields = Object.entries(headers).map(([name, value]) => ({ name, value }));
  return { kind: 'request', method, targetUri, fields };
}
