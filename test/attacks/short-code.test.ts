import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openChatClient } from '../../src/client/open-chat-client.ts';
import { linkFolder } from '../../src/client/open-new-device.ts';
import { createOfferBoard } from '../../src/client/runner/offer-board.ts';
import { createOfferReader } from '../../src/client/runner/offered-device.ts';
import { TransportError } from '../../src/client/transport/server-api.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { decodeDeviceOffer, formatDeviceOffer } from '../../src/wire/device-offer.ts';
import type { AccountId } from '../../src/wire/ids.ts';
import { deviceOfferIdOf, formatLinkCode, linkCodeOf, parseLinkCode } from '../../src/wire/link-code.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import { offerOf } from '../support/device-offers.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { createDeviceKey } from '../support/signed-client.ts';

const ME = 'm'.repeat(32) as AccountId;
const OTHER = 'o'.repeat(32) as AccountId;
const codeOf = (offer: Uint8Array): string => formatLinkCode(linkCodeOf(offer, nodeSha256), nodeSha256);

describe('a short code and a server that lies', () => {
  const asked: string[] = [];
  const reading = (answer: Uint8Array | undefined) => {
    const deviceOffer = async (id: string) => {
      asked.push(id);
      return answer;
    };
    return createOfferReader({ api: { deviceOffer }, sha256: nodeSha256, me: ME });
  };

  test('S8: stands for the one device that shows it: whatever else the server gives in its place is refused', async () => {
    const mine = offerOf(createDeviceKey(), ME).offer;
    const theirs = offerOf(createDeviceKey(), ME).offer;
    expect(await reading(mine)(codeOf(mine))).toEqual(decodeDeviceOffer(mine));
    const changed = mine.slice();
    changed[changed.length - 1]! ^= 1;
    for (const lie of [theirs, changed, mine.slice(1), new Uint8Array(0), undefined]) {
      expect(await reading(lie)(codeOf(mine))).toMatchObject({ kind: 'refused' });
    }
  });

  test('is refused when it is for another account, also when the server hands it out', async () => {
    const { offer } = offerOf(createDeviceKey(), OTHER);
    expect(await reading(offer)(codeOf(offer))).toMatchObject({ kind: 'refused' });
    const long = formatDeviceOffer(decodeDeviceOffer(offer)!, nodeSha256);
    expect(await reading(undefined)(long)).toMatchObject({ kind: 'refused' });
  });

  test('is not asked for when there is a slip in it, and the server never hears the code itself', async () => {
    const { offer, id } = offerOf(createDeviceKey(), ME);
    const code = codeOf(offer);
    asked.length = 0;
    const slipped = code.replace(/^./, (first) => (first === 'a' ? 'b' : 'a'));
    expect(await reading(offer)(slipped)).toMatchObject({ kind: 'refused' });
    expect(await reading(offer)('')).toMatchObject({ kind: 'refused' });
    expect(asked).toEqual([]);
    await reading(offer)(code);
    expect(asked).toEqual([id]);
    expect(id).toBe(deviceOfferIdOf(parseLinkCode(code, nodeSha256)!, nodeSha256));
  });
});

test('a server that keeps no offer, or takes none now, gets nothing more than that: the long code is shown instead', async () => {
  const { offer } = offerOf(createDeviceKey(), ME);
  const board = (putDeviceOffer: () => Promise<{ expires: number }>, long = false) =>
    createOfferBoard({ api: { putDeviceOffer }, offer: decodeDeviceOffer(offer)!, sha256: nodeSha256, long });
  expect(await board(async () => ({ expires: 1 })).put()).toBe(codeOf(offer));
  const long = formatDeviceOffer(decodeDeviceOffer(offer)!, nodeSha256);
  for (const code of ['storage-full', 'rate-limited', 'not-found', 'not-ready'] as const) {
    expect(await board(() => Promise.reject(new ProblemError(code, 'no'))).put()).toBe(long);
  }
  expect(await board(() => Promise.reject(new TransportError('unreachable', 'away'))).put()).toBe(long);
  let asked = 0;
  const counting = async () => {
    asked += 1;
    return { expires: 1 };
  };
  const quiet = board(counting, true);
  expect(await quiet.put()).toBe(long);
  await quiet.renew();
  expect(asked).toBe(0);
});

describe('a short code that somebody else sees', () => {
  let server: TestServer;
  let folder: string;
  beforeAll(async () => {
    server = await startServer();
    folder = await mkdtemp(join(tmpdir(), 'mlschat-code-'));
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test('S8: adds the device to no other account, and shows nobody else what waits under it', async () => {
    const start = (userName: string) =>
      openChatClient({ dir: join(folder, userName), server: server.url(), userName, inProcess: true });
    const [ann, eve] = [await start('ann'), await start('eve')];
    const { account } = (await ann.status()).me;
    let offered: (code: string) => void = () => {};
    const offer = new Promise<string>((resolve) => {
      offered = resolve;
    });
    const linked = linkFolder({
      ...{ dir: join(folder, 'phone'), server: server.url(), account, deviceLabel: 'phone', onOffer: offered },
      signal: AbortSignal.timeout(240_000),
    });
    const code = await Promise.race([offer, linked]);
    expect(code).toMatch(/^([a-z2-7]{4}-){5}[a-z2-7]{4}$/);
    expect(await eve.readOffer(code)).toMatchObject({ kind: 'refused' });
    expect(await eve.link(code)).toMatchObject({ kind: 'refused' });
    expect(await ann.readOffer(code)).toMatchObject({ kind: 'offer', label: 'phone' });
    expect(await ann.devices()).toHaveLength(1);
    expect(await ann.link(code)).toEqual({ kind: 'done' });
    expect(await linked).toBe('ann');
    expect(await ann.link(code)).toMatchObject({ kind: 'refused' }); // a device is added once
    for (const chat of [ann, eve]) await chat.close();
  });

  test('is not needed: the long code holds the offer, and leaves nothing on the server', async () => {
    const bea = await openChatClient({
      ...{ dir: join(folder, 'bea'), server: server.url(), userName: 'bea', inProcess: true },
    });
    const { account } = (await bea.status()).me;
    let offered: (code: string) => void = () => {};
    const offer = new Promise<string>((resolve) => {
      offered = resolve;
    });
    const linked = linkFolder({
      ...{ dir: join(folder, 'tablet'), server: server.url(), account, long: true, onOffer: offered },
      signal: AbortSignal.timeout(240_000),
    });
    const code = await Promise.race([offer, linked]);
    expect(code.length).toBeGreaterThan(200);
    expect(await bea.link(code)).toEqual({ kind: 'done' });
    expect(await linked).toBe('bea');
    await bea.close();
  });
});
