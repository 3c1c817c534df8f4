import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createHttpApi } from '../../src/client/transport/http-api.ts';
import { nodeHttp } from '../../src/client/transport/http-request.ts';
import type { ServerApi } from '../../src/client/transport/server-api.ts';
import { createKeyAgreement } from '../../src/mls/key-agreement-node.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { START_CURSOR } from '../../src/wire/ids.ts';
import { encodeStreamItem } from '../../src/wire/page.ts';
import { createDeviceKey } from '../support/signed-client.ts';

/** A client of a server that opens sessions as it should, and answers everything else with `answer`. */
async function against(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  use: (api: ServerApi) => Promise<void>,
): Promise<void> {
  const evil = createServer((request, response) => {
    request.resume();
    if (request.url !== '/v1/sessions') {
      answer(request, response);
      return;
    }
    const session = { key: createKeyAgreement().publicKey, ticket: 't'.repeat(100), expiresAt: Date.now() + 900_000 };
    response.writeHead(201, { 'content-type': 'application/cbor' }).end(encodeCbor(session));
  }).listen(0, '127.0.0.1');
  await once(evil, 'listening');
  const key = createDeviceKey();
  const api = createHttpApi({
    server: `http://127.0.0.1:${(evil.address() as AddressInfo).port}`,
    device: key.id,
    sign: async (message) => key.sign(message),
    sha256: nodeSha256,
    now: Date.now,
    randomBytes: (length) => new Uint8Array(length).fill(7),
    platform: nodeHttp,
  });
  try {
    await use(api);
  } finally {
    await api.close();
    evil.closeAllConnections();
    evil.close();
  }
}

async function readAll(api: ServerApi): Promise<number> {
  let items = 0;
  for await (const _ of api.syncStream(START_CURSOR, AbortSignal.timeout(240_000))) items += 1;
  return items;
}

/** Bytes for as long as somebody takes them. */
function endless(response: ServerResponse, first: Uint8Array): void {
  const more = Buffer.alloc(1024 * 1024);
  const write = (): void => {
    while (!response.destroyed && response.write(more));
  };
  response.on('drain', write).on('error', () => {});
  response.write(first);
  write();
}

describe('D13: an evil server’s answers', () => {
  it('without an end are given up at a bound, pages and items of a stream alike', async () => {
    const type = { 'content-type': 'application/cbor-seq' };
    const longItem = Uint8Array.of(0x5b, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff); // bytes without an end in sight
    await against(
      (_, response) => endless(response.writeHead(200, type), longItem),
      async (api) => {
        await expect(readAll(api)).rejects.toMatchObject({ code: 'malformed' });
        await expect(api.syncPage(START_CURSOR, 1)).rejects.toMatchObject({ code: 'malformed' });
        await expect(api.stock()).rejects.toMatchObject({ code: 'malformed' });
      },
    );
  });

  it('of deep, lying or indefinite CBOR are malformed, whatever was asked', async () => {
    const bombs = [
      new Uint8Array(50_000).fill(0x81),
      Uint8Array.of(0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00),
      Uint8Array.of(0x9f, 0x00, 0xff),
      encodeCbor({ type: 'page', entries: [1], cursors: new Uint8Array(16), cursor: 'c', upToDate: true, heads: [] }),
      encodeCbor({ type: 'page', entries: [], cursors: new Uint8Array(16), cursor: 'c', upToDate: true, heads: [] }),
      encodeCbor({ type: 'caught-up', cursor: '../../etc/passwd' }),
      encodeCbor({ type: 'caught-up', cursor: 'c\r\nx: y' }),
      encodeCbor('page'),
    ];
    for (const bomb of bombs) {
      await against(
        (_, response) => response.writeHead(200, { 'content-type': 'application/cbor-seq' }).end(bomb),
        async (api) => {
          const read = await readAll(api).catch((error: unknown) => error);
          // an item that is cut off is a connection that was
          expect([0, expect.objectContaining({ code: 'malformed' })]).toContainEqual(read);
          await expect(api.syncPage(START_CURSOR, 1)).rejects.toMatchObject({ code: 'malformed' });
          await expect(api.stock()).rejects.toMatchObject({ code: 'malformed' });
        },
      );
    }
  });

  it('that end one stream after the other are not asked for without end', async () => {
    let streams = 0;
    await against(
      (_, response) => {
        streams += 1;
        const closing = encodeStreamItem({ type: 'closing', reason: 'session-expired', resumable: true });
        response.writeHead(200, { 'content-type': 'application/cbor-seq' }).end(closing);
      },
      async (api) => {
        await readAll(api);
        expect(streams).toBeLessThanOrEqual(5);
      },
    );
  });
});
