import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { okValue, problemOf } from '../support/signed-client.ts';
import { pathOf, type TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';
import { useServer } from './support.ts';

const KIB = 1024;
const MAX_BYTES = 2 * KIB * KIB;
const { server, device } = useServer({
  limits: { attachmentMaxBytes: MAX_BYTES, attachmentsPerDevice: 3, attachmentsPerMinute: 1_000 },
});

const blobOf = (size: number): Uint8Array => new Uint8Array(randomBytes(size));
const hashOf = (blob: Uint8Array): string => toBase64Url(nodeSha256(blob));
const put = (by: TestDevice, group: Uint8Array, blob: Uint8Array, more: { hash?: string; as?: 'json' } = {}) => {
  const { hash = hashOf(blob), as = 'cbor' } = more;
  const body = { blob: as === 'json' ? toBase64Url(blob) : blob };
  return by.http.request('PUT', `${pathOf(group)}/blobs/${hash}`, { body, as });
};
const get = (by: TestDevice, group: Uint8Array, hash: string) =>
  by.http.request('GET', `${pathOf(group)}/blobs/${hash}`);

async function pair() {
  const [alice, bob] = [await device(), await device()];
  const group = await alice.createGroup();
  await alice.invite(group, bob);
  return { alice, bob, group };
}

describe('attachments', () => {
  it('are kept as they came, for the members of their group, also across a restart', async () => {
    const { alice, bob, group } = await pair();
    const blob = blobOf(MAX_BYTES);
    const before = Date.now();
    const stored = await put(alice, group, blob);
    expect(stored.status).toBe(201);
    expect(okValue(stored).size).toBe(MAX_BYTES);
    expect(okValue(stored).expires).toBeGreaterThanOrEqual(before + 30 * 24 * 3600 * 1000);
    expect(hashOf(okValue(await get(bob, group, hashOf(blob))).blob)).toBe(hashOf(blob));
    await server().restart();
    expect(hashOf(okValue(await get(bob, group, hashOf(blob))).blob)).toBe(hashOf(blob));
  });

  it('are known by their hash: put twice they are one, under another hash they are refused', async () => {
    const { alice, bob, group } = await pair();
    const blob = blobOf(1_000);
    for (let i = 0; i < 5; i += 1) okValue(await put(alice, group, blob, i === 0 ? { as: 'json' } : {}));
    okValue(await put(bob, group, blob));
    expect(okValue(await get(bob, group, hashOf(blob))).blob).toEqual(blob);
    const wrong = await put(alice, group, blob, { hash: hashOf(blobOf(1)) });
    expect(wrong.status).toBe(422);
    expect(problemOf(wrong).code).toBe('hash-mismatch');
  });

  it('D11: are read and stored by members of the group alone, and one group does not give those of another', async () => {
    const { alice, bob, group } = await pair();
    const eve = await device();
    const blob = blobOf(1_000);
    okValue(await put(alice, group, blob));
    expect(problemOf(await get(eve, group, hashOf(blob))).code).toBe('not-found');
    expect(problemOf(await put(eve, group, blobOf(10))).code).toBe('not-found');
    const other = await eve.createGroup();
    expect(problemOf(await get(eve, other, hashOf(blob))).code).toBe('not-found');
    await alice.remove(group, bob);
    expect(problemOf(await get(bob, group, hashOf(blob))).code).toBe('forbidden');
    expect(problemOf(await put(bob, group, blobOf(10))).code).toBe('forbidden');
  });

  it('D13: are bounded in size and in what one device may have stored at a time', async () => {
    const { alice, bob, group } = await pair();
    expect(problemOf(await put(alice, group, blobOf(MAX_BYTES + 1))).code).toBe('payload-too-large');
    const blobs = [blobOf(10), blobOf(11), blobOf(12)];
    for (const blob of blobs) okValue(await put(alice, group, blob));
    const refused = problemOf(await put(alice, group, blobOf(13)));
    expect(refused).toMatchObject({ code: 'forbidden', reason: 'attachment-quota' });
    okValue(await put(alice, group, blobs[0]!)); // it is there already
    okValue(await put(bob, group, blobOf(13)));
  });

  it('take no hash that is none: a path leads nowhere else', async () => {
    const { alice, group } = await pair();
    const [dots, wide, short] = ['..%2F..%2Fsecret', '*', 'AAAA'];
    for (const hash of [dots, wide, short, `${'A'.repeat(42)}B`, '%3E']) {
      expect(problemOf(await get(alice, group, hash)).code).toBe('invalid-request');
    }
  });
});

describe('attachments of which there are many', () => {
  const { device: newDevice } = useServer({ limits: { attachmentsPerMinute: 3, attachmentBytesPerDevice: 2_000 } });

  it('D13: are limited in rate and in bytes by device', async () => {
    const alice = await newDevice('roomless');
    const group = await alice.createGroup();
    okValue(await put(alice, group, blobOf(1_500)));
    expect(problemOf(await put(alice, group, blobOf(501))).reason).toBe('attachment-quota');
    okValue(await put(alice, group, blobOf(500)));
    const limited = await put(alice, group, blobOf(1));
    expect(problemOf(limited).code).toBe('rate-limited');
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});

describe('attachments that are old', () => {
  const { device: newDevice } = useServer({ limits: { attachmentRetentionMs: 1_000 } });

  it('are gone, and no longer count', async () => {
    const alice = await newDevice('forgetful');
    const group = await alice.createGroup();
    const blob = blobOf(1_000);
    okValue(await put(alice, group, blob));
    await until(async () => (await get(alice, group, hashOf(blob))).status === 404);
  });
});
