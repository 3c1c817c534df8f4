import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { fromBase64Url, toHex, toUtf8 } from '../../src/wire/bytes.ts';
import { decodeEntry } from '../../src/wire/entry.ts';
import { decodePage } from '../../src/wire/page.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { follow, readItems } from '../support/stream-reader.ts';
import type { TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';
import { useServer } from './support.ts';

const { server, device, metric } = useServer({ operation: { heartbeatMs: 200, drainTimeoutMs: 1_500 } });

const open = (by: TestDevice, cursor = 'start', accept = 'application/cbor-seq', signal?: AbortSignal) =>
  by.http.fetch('GET', `/v1/sync?cursor=${cursor}`, { accept, ...(signal === undefined ? {} : { signal }) });
/** Everything for the device, by pages. */
async function whole(of: TestDevice): Promise<string[]> {
  const all: string[] = [];
  for (let cursor = 'start'; ; ) {
    const answered = await of.http.request('GET', `/v1/sync?cursor=${cursor}`);
    okValue(answered);
    const page = decodePage(answered.bytes);
    all.push(...page.entries.map(toHex));
    if (page.upToDate) return all;
    cursor = page.cursor;
  }
}

/** Of entries too long to be printed. */
const digest = (hex: string): string => toHex(nodeSha256(toUtf8(hex))).slice(0, 16);

async function groupOf(...members: [TestDevice, ...TestDevice[]]): Promise<Uint8Array> {
  const [founder, ...others] = members;
  const group = await founder.createGroup();
  if (others.length > 0) await founder.invite(group, ...others);
  for (const other of others) await other.catchUp();
  return group;
}

describe('the live stream', () => {
  it('replays, says caught-up once, and goes on: no gap, no duplicate, while writers race', async () => {
    const writers = (await Promise.all([device(), device(), device()])) as [TestDevice, TestDevice, TestDevice];
    const [reader] = writers;
    const group = await groupOf(...writers);
    for (let i = 0; i < 30; i += 1) await writers[i % 3]!.send(group, `before ${i}`);
    const total = (await whole(reader)).length + 3 * 40;

    const racing = writers.map(async (writer, w) => {
      for (let i = 0; i < 40; i += 1) await writer.send(group, `racing ${w} ${i}`);
    });
    const streams = await Promise.all([open(reader), open(reader), open(reader)]);
    const followed = await Promise.all(
      streams.map((response) => follow(response.body!, ({ entries }) => entries.length >= total)),
    );
    await Promise.all(racing);
    const expected = await whole(reader);
    for (const { entries, caughtUp } of followed) {
      expect(entries).toEqual(expected);
      expect(caughtUp).toBe(1);
    }
  });

  it('resumes after any entry it has sent', async () => {
    const alice = await device();
    const group = await groupOf(alice);
    for (let i = 0; i < 8; i += 1) await alice.send(group, `${i}`);
    const first = await follow((await open(alice)).body!, ({ caughtUp }) => caughtUp === 1);
    for (const [i, cursor] of first.cursors.entries()) {
      const rest = await follow((await open(alice, cursor)).body!, ({ caughtUp }) => caughtUp === 1);
      expect(rest.entries).toEqual(first.entries.slice(i + 1));
    }
  });

  it('is heard at once and lives on heartbeats while nothing happens', async () => {
    const alice = await device();
    const followed = await follow((await open(alice)).body!, ({ heartbeats }) => heartbeats === 3);
    expect(followed).toMatchObject({ entries: [], caughtUp: 1, heartbeats: 3 });
  });

  it('as server-sent events has entries as objects and the cursor as the event’s id', async () => {
    const alice = await device();
    const group = await groupOf(alice);
    await alice.send(group, 'hello');
    const response = await open(alice, 'start', 'text/event-stream');
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    let text = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.includes('event: heartbeat')) break;
    }
    const events = text.split('\n\n').filter((event) => event !== '');
    const [page, caughtUp, heartbeat] = events.map((event) => {
      const fields = new Map(
        event.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      );
      return { event: fields.get('event'), id: fields.get('id'), data: JSON.parse(fields.get('data')!) };
    });
    expect(page).toMatchObject({ event: 'page', data: { entries: [{ kind: 'group-created' }, { kind: 'message' }] } });
    expect(page!.id).toBe(page!.data.cursor);
    const resumed = await open(alice, page!.data.entries[0].cursor, 'text/event-stream');
    expect(resumed.status).toBe(200);
    await resumed.body!.cancel();
    expect(fromBase64Url(page!.data.entries[1].payload)).toBeDefined();
    expect(caughtUp).toMatchObject({ event: 'caught-up', id: page!.id, data: { cursor: page!.id } });
    expect(heartbeat).toEqual({ event: 'heartbeat', id: undefined, data: {} });
  });

  it('D13: a device has four open at most, and gets a place back when one ends', async () => {
    const alice = await device();
    const ends = Array.from({ length: 4 }, () => new AbortController());
    for (const end of ends) expect((await open(alice, 'start', 'application/cbor-seq', end.signal)).status).toBe(200);
    const refused = await alice.http.request('GET', '/v1/sync', { accept: 'application/cbor-seq' });
    expect(problemOf(refused)).toMatchObject({ code: 'rate-limited', status: 429 });
    ends[0]!.abort();
    const again = await until(async () => {
      const response = await open(alice);
      return response.status === 200 ? response : undefined;
    });
    await again.body!.cancel();
    for (const end of ends) end.abort();
  });

  it('with a bad cursor is a problem, not a stream', async () => {
    const alice = await device();
    const refused = await alice.http.request('GET', '/v1/sync?cursor=nonsense', { accept: 'application/cbor-seq' });
    expect(problemOf(refused).code).toBe('cursor-invalid');
  });

  it('D13: a reader that does not read costs a cursor and is cut after a while; what it missed it gets by resuming', async () => {
    const alice = await device();
    const group = await groupOf(alice);
    const big = 'x'.repeat(60_000);
    for (let i = 0; i < 6; i += 1) {
      const messages = [];
      for (let j = 0; j < 12; j += 1) messages.push({ id: newId(), message: await alice.encrypt(group, big) });
      okValue(await alice.postMessages(group, messages));
    }
    // a socket of its own that never reads
    const { port } = server().running().http;
    const head = await signedHead(alice, `/v1/sync?cursor=start`, port);
    const socket = connect({ port, host: '127.0.0.1' });
    socket.pause();
    socket.write(head);
    const isCut = new Promise<void>((resolve) => {
      socket.on('close', () => resolve());
      socket.on('error', () => resolve());
    });
    await until(() => metric('mlsd_streams_open').then((open) => open === 1));
    await until(() => metric('mlsd_streams_open').then((open) => open === 0));
    socket.resume();
    await isCut;
    const after = await follow((await open(alice)).body!, ({ caughtUp }) => caughtUp === 1);
    expect(after.entries.map(digest)).toEqual((await whole(alice)).map(digest));
  });

  it('ends with a resumable reason when the server closes, and goes on from its cursor after the restart', async () => {
    const alice = await device();
    const group = await groupOf(alice);
    await alice.send(group, 'before');
    const stream = follow((await open(alice)).body!, () => false);
    await until(() => metric('mlsd_streams_open').then((count) => count === 1));
    await server().restart();
    const { closing, cursors, entries } = await stream;
    expect(closing).toEqual({ type: 'closing', reason: 'server-closing', resumable: true });
    await alice.send(group, 'after');
    const rest = await follow((await open(alice, cursors.at(-1)!)).body!, ({ caughtUp }) => caughtUp === 1);
    expect([...entries, ...rest.entries]).toEqual(await whole(alice));
    expect(rest.entries.map((hex) => decodeEntry(Buffer.from(hex, 'hex')).kind)).toEqual(['message']);
  });

  it('any number of streams may be open without a warning of the runtime', async () => {
    const warnings: string[] = [];
    const heard = (warning: Error): void => void warnings.push(warning.name);
    process.on('warning', heard);
    try {
      const readers = await Promise.all([device(), device(), device()]);
      const streams = await Promise.all(readers.flatMap((reader) => [0, 1, 2, 3].map(() => open(reader))));
      await until(() => metric('mlsd_streams_open').then((count) => count === streams.length));
      await Promise.all(streams.map(({ body }) => follow(body!, ({ caughtUp }) => caughtUp === 1)));
    } finally {
      process.off('warning', heard);
    }
    expect(warnings).toEqual([]);
  });

  it('items are whole: a reader may stop anywhere between two', async () => {
    const alice = await device();
    const group = await groupOf(alice);
    for (let i = 0; i < 5; i += 1) await alice.send(group, `${i}`);
    for await (const item of readItems((await open(alice)).body!)) {
      expect(item.type).toBe('page');
      break;
    }
    await until(() => metric('mlsd_streams_open').then((count) => count === 0));
  });
});

async function signedHead(by: TestDevice, target: string, port: number): Promise<string> {
  let headers: Record<string, string> = {};
  const never = AbortSignal.abort();
  await by.http
    .fetch('GET', target, {
      accept: 'application/cbor-seq',
      signal: never,
      tamper: (made) => {
        headers = { ...made };
      },
    })
    .catch(() => undefined); // aborted before it was sent: only its headers are wanted
  const lines = Object.entries({ host: `127.0.0.1:${port}`, connection: 'close', ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return [`GET ${target} HTTP/1.1`, ...lines, '', ''].join('\r\n');
}
