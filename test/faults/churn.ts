import { randomBytes } from 'node:crypto';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { openSession } from '../support/session-client.ts';
import { okValue } from '../support/signed-client.ts';
import { pathOf, TestDevice } from '../support/test-device.ts';
import { openRawConnection } from './raw-http.ts';

const BLOBS = 50;
const BLOB_BYTES = 64 * 1024;
/** One turn in so many stores and fetches an attachment, and commits: a device may do only so many a minute. */
const HEAVY_EVERY = 8;
/** Of the poll that finds nothing: what a turn lasts. */
const POLL_SECONDS = 1;

/** Everything that comes and goes on a server: where something of it stays behind, this finds it. */
export interface Churn {
  /** Whole turns so far. */
  readonly turns: number;
  /** Waits for the turn under way. @throws what a turn failed with */
  stop(): Promise<void>;
}

/** A turn a second: a session, a long poll that ends, a stream that is cut, a connection; sometimes a blob and a commit. */
export async function startChurn(url: () => string): Promise<Churn> {
  const device = await TestDevice.register(url, 'churn');
  const group = await device.createGroup();
  const blobs = Array.from({ length: BLOBS }, () => new Uint8Array(randomBytes(BLOB_BYTES)));
  const ending = new AbortController();
  let turns = 0;

  const turn = async (): Promise<void> => {
    const session = await openSession(url, device.http);
    okValue(await session.request('GET', '/v1/groups'));
    okValue(await device.http.request('GET', '/v1/sync?cursor=start&limit=10'));
    await device.syncAll();
    okValue(await device.http.request('GET', `/v1/sync?cursor=${device.cursor}&wait=${POLL_SECONDS}`));
    await cutStream(device);
    await comeAndGo(url());
    if (turns % HEAVY_EVERY !== 0) return;
    const blob = blobs[(turns / HEAVY_EVERY) % BLOBS]!;
    const path = `${pathOf(group)}/blobs/${toBase64Url(nodeSha256(blob))}`;
    okValue(await device.http.request('PUT', path, { body: { blob } }));
    okValue(await device.http.request('GET', path));
    await device.commit(group);
  };
  const running = (async () => {
    while (!ending.signal.aborted) {
      await turn();
      turns += 1;
    }
  })();
  running.catch(() => undefined); // told to whoever stops it
  return {
    get turns() {
      return turns;
    },
    stop() {
      ending.abort();
      return running;
    },
  };
}

/** Reads the first bytes of a live stream and goes away without a word. */
async function cutStream(device: TestDevice): Promise<void> {
  const cut = new AbortController();
  const response = await device.http.fetch('GET', '/v1/sync?cursor=start', {
    accept: 'application/cbor-seq',
    signal: cut.signal,
  });
  if (response.status !== 200) throw new Error(`a stream was answered with ${response.status}`);
  await response.body!.getReader().read();
  cut.abort();
}

async function comeAndGo(url: string): Promise<void> {
  const { host, port } = new URL(url);
  const connection = openRawConnection(Number(port));
  const answer = await connection.send(Buffer.from(`GET /readyz HTTP/1.1\r\nhost: ${host}\r\n\r\n`));
  connection.close();
  if (answer?.status !== 200) throw new Error(`/readyz was answered with ${answer?.status}`);
}
